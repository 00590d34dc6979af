package web

import (
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"wpmend/agent/config"
	"wpmend/php/ini"
)

func get(t *testing.T, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func each(t *testing.T, do func(name, text string)) {
	t.Helper()
	n := 0
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		n++
		do(name, string(text))
		return err
	})
	if err != nil || n < 10 {
		t.Fatalf("%d files, %v", n, err)
	}
}

// Every file that the page names is served, with its type, and asked for once.
func TestHandler(t *testing.T) {
	t.Parallel()
	index := get(t, "/")
	if index.StatusCode != 200 || index.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("/ is %d, %v", index.StatusCode, index.Header)
	}
	each(t, func(name, _ string) {
		if name == "assets/index.html" {
			return
		}
		r := get(t, "/"+name)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") == "" || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is %d, %v", name, r.StatusCode, r.Header)
		}
		if again := get(t, "/"+name, "If-None-Match", r.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s is %d the second time, want 304", name, again.StatusCode)
		}
	})
	for _, path := range []string{"/index.html", "/assets/", "/assets/index.html", "/assets/nothing.js", "/assets/../web.go", "/assets/%2e%2e/web.go", "/v1/sites"} {
		if r := get(t, path); r.StatusCode == 200 {
			t.Errorf("%s is served", path)
		}
	}
}

// The page loads nothing from elsewhere, and nothing in it makes markup of text.
func TestSource(t *testing.T) {
	t.Parallel()
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|setHTML|\beval\(|new Function|\.style\b|\.cssText`)
	elsewhere := regexp.MustCompile(`(?:https?:)?//[a-z0-9.-]+\.[a-z]|@import|url\(`)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(?:\s[^>]*)?>[^<]|javascript:`)
	refers := regexp.MustCompile(`(?:src|href)="([^"#]+)|from "\./([^"]+)"`)
	names := map[string]bool{}
	each(t, func(name, _ string) { names[name] = true })
	each(t, func(name, text string) {
		text = strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "")
		if found := elsewhere.FindString(text); found != "" {
			t.Errorf("%s names %q", name, found)
		}
		if found := markup.FindString(text); found != "" {
			t.Errorf("%s has %q", name, found)
		}
		if strings.HasSuffix(name, ".html") && inline.MatchString(text) {
			t.Errorf("%s holds %q", name, inline.FindString(text))
		}
		if strings.HasSuffix(name, ".svg") {
			return
		}
		for _, m := range refers.FindAllStringSubmatch(text, -1) {
			file := m[1]
			if m[2] != "" {
				file = "assets/" + m[2]
			}
			if !names[file] {
				t.Errorf("%s refers to %q, which is not there (only relative addresses work below a panel's path)", name, file)
			}
		}
	})
}

// What the page knows of limits and modes by itself is what Go knows.
func TestSameAsGo(t *testing.T) {
	t.Parallel()
	text, err := files.ReadFile("assets/limits.js")
	if err != nil {
		t.Fatal(err)
	}
	known := strings.Join(ini.Names(), " ")
	drawn := regexp.MustCompile(`(?m)^  ([a-z_]+): "`).FindAllStringSubmatch(string(text), -1)
	if len(drawn) < 8 {
		t.Fatalf("limits.js names %d limits", len(drawn))
	}
	for _, m := range drawn {
		if !strings.Contains(known, m[1]) {
			t.Errorf("limits.js draws %s, which is no link of the chain", m[1])
		}
	}
	m := regexp.MustCompile(`const enough = \(t\) => \(t \* (\d+)\) / (\d+) \+ (\d+);`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatal("limits.js does not say how long a gateway must wait")
	}
	number := func(i int) float64 {
		n, err := strconv.ParseFloat(m[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, seconds := range []float64{1, 30, 60, 300} {
		page := math.Floor(seconds*number(1)/number(2)+number(3)) + 1
		if want := ini.Enough(time.Duration(seconds) * time.Second).Seconds(); page != want {
			t.Errorf("behind %v s a gateway waits %v s by the page, %v s by Go", seconds, page, want)
		}
	}
	app, err := files.ReadFile("assets/app.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []config.Mode{config.Heal, config.Suggest, config.Observe} {
		if !strings.Contains(string(app), string(mode)+": \"") {
			t.Errorf("app.js has no words for the mode %s", mode)
		}
	}
}
