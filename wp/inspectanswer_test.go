package wp

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswerIsTheLastMarkedLine(t *testing.T) {
	t.Parallel()
	m := Mask{Nonce: "N", AsUser: "x"}
	for body, want := range map[string]string{
		"wpmend:N:a":                          "a",
		"noise\nwpmend:N:a\n":                 "a",
		"wpmend:N:a\nwpmend:N:b\nafter":       "b",
		"\xef\xbb\xbf\nwpmend:M:a\nwpmend:N:": "",
		"text wpmend:N:a":                     "none",
		"wpmend:M:a":                          "none",
		"":                                    "none",
		"\nwpmend:N":                          "none",
	} {
		got, err := m.answer([]byte(body))
		if err != nil {
			got = "none"
		}
		if got != want || err != nil && !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%q: %q, %v", body, got, err)
		}
	}
	if !m.NoSuchUser([]byte("wpmend:N:no such user\n")) || (Mask{Nonce: "N"}).NoSuchUser([]byte("wpmend:N:no such user\n")) {
		t.Error("no such user")
	}
	for body, want := range map[string]error{
		"wpmend:N:forgotten\n":         nil,
		"wpmend:N:not done: still x\n": ErrNotForgotten,
		"wpmend:M:forgotten\n":         ErrNoAnswer,
	} {
		if err := m.Forgotten([]byte(body)); !errors.Is(err, want) || want != nil && !errors.Is(err, ErrNotForgotten) {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestInspectionsThatAreNotBelieved(t *testing.T) {
	t.Parallel()
	for _, said := range []string{
		"", "{", "[]", `{"Constants":[]}`, `{"Unknown":1}`, `{"Multisite":"1"}`,
		`{"Version":"%"}`, `{"Version":"6%0A1"}`, `{"Version":"6%001"}`, `{"Version":"` + strings.Repeat("9", 5000) + `"}`,
		`{"Constants":{"ABSPATH":"relative/"}}`, `{"Constants":{"WP_CONTENT_DIR":"/a/../b"}}`, `{"Constants":{"WP_PLUGIN_DIR":""}}`,
		`{"Constants":{"WPMU_PLUGIN_DIR":"//a"}}`, `{"Constants":{"DB_HOST":"a%1Bb"}}`, `{"Constants":{"DB_PASSWORD":"a%00b"}}`,
		`{"Config":"wp-config.php"}`, `{"Prefix":"wp_; DROP"}`, `{"Plugins":"%zz"}`, "{}{", `{} trailing`,
	} {
		if i, err := readInspection(said); !errors.Is(err, ErrInspection) {
			t.Errorf("%.80q: %+v, %v", said, i, err)
		}
	}
	got, err := readInspection(`{"Constants":{"ABSPATH":"/srv/a%20b/","WP_CONTENT_DIR":"/srv/%FF/","DB_PASSWORD":"a%0Ab"},"Prefix":"wp_",` +
		`"Plugins":"a%3A1%3A%7Bi%3A0%3Bs%3A3%3A%22a%FFb%22%3B%7D","Network":"broken"}`)
	want := Inspection{Constants: map[string]string{"ABSPATH": "/srv/a b/", "WP_CONTENT_DIR": "/srv/\xff", "DB_PASSWORD": "a\nb"}, Prefix: "wp_",
		Plugins: []string{"a\xffb"}, Problem: got.Problem}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || !strings.Contains(got.Problem, sitewide) {
		t.Errorf("%v %q: %s", err, got.Problem, diff)
	}
}

func TestInspectedHoldsOverWhatWasRead(t *testing.T) {
	t.Parallel()
	read := Config{File: "/w/wp-config.php", Constants: map[string]Value{
		"DB_NAME": {Text: "a", Known: true, File: "/w/x.php", Line: 7}, "DB_USER": {Text: "b", Known: true, File: "/w/x.php", Line: 8},
		"DB_HOST": {File: "/w/x.php", Line: 9, Why: "computed"}, "WP_CACHE": {Text: "1", Known: true}, "OTHER": {Text: "kept", Known: true},
	}, Prefix: Value{Why: "computed", File: "/w/x.php", Line: 3}, Gaps: []Gap{{File: "/w/y.php"}}}
	got := read.Inspected(Inspection{Constants: map[string]string{"DB_NAME": "a", "DB_USER": "c", "DB_HOST": "h", "DB_PASSWORD": "p", "NOT_ASKED": "x"}, Prefix: "p_"})
	want := Config{File: "/w/wp-config.php", Constants: map[string]Value{
		"DB_NAME": {Text: "a", Known: true, File: "/w/x.php", Line: 7}, "DB_USER": {Text: "c", Known: true, File: "/w/x.php", Line: 8},
		"DB_HOST": {Text: "h", Known: true, File: "/w/x.php", Line: 9}, "DB_PASSWORD": {Text: "p", Known: true, File: "/w/wp-config.php", Line: 1},
		"OTHER": {Text: "kept", Known: true},
	}, Prefix: Value{Text: "p_", Known: true, File: "/w/x.php", Line: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(read.Constants) != 5 || len(read.Gaps) != 1 {
		t.Errorf("what was read was changed: %+v", read)
	}
	if _, ok := got.Const("WP_CONTENT_DIR"); ok {
		t.Error("a constant that WordPress does not have")
	}
}

func FuzzParseInspection(f *testing.F) {
	f.Add([]byte("noise\nwpmend:N:" + `{"Constants":{"ABSPATH":"/a/"},"Prefix":"wp_","Version":"6.1","PHP":"8.2","Multisite":true,"Plugins":"a%3A0%3A%7B%7D","Config":"/a/wp-config.php"}` + "\n"))
	f.Add([]byte(`wpmend::{"Problem":"%41"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		i, err := ParseInspection(body)
		if err != nil {
			return
		}
		for name, text := range i.Constants {
			if len(text) > maxInspectValue || strings.IndexByte(text, 0) >= 0 || name != "DB_PASSWORD" && strings.ContainsAny(text, "\n\r\x1b") {
				t.Errorf("%s is %q", name, text)
			}
		}
		for _, path := range []string{i.Config, i.Constants["WP_CONTENT_DIR"], i.Constants["WP_PLUGIN_DIR"]} {
			if path != "" && (!filepath.IsAbs(path) || filepath.Clean(path) != path) {
				t.Errorf("path %q", path)
			}
		}
		for _, text := range []string{i.Prefix, i.Version, i.PHP, i.Template, i.Stylesheet} {
			if strings.ContainsAny(text, "\n\r\x1b\x00") {
				t.Errorf("%+v", i)
			}
		}
		if c := (Config{File: "/x"}).Inspected(i); len(c.Constants) > len(inspected) {
			t.Errorf("%+v", c)
		}
	})
}

// What is asked of a Config must be asked of an inspection too, or an unknown
// constant would be taken for one that is not there.
func TestInspectionAsksForAllThatIsUsed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && !strings.HasSuffix(file, "_test.go") {
			source.Write(b)
		}
	}
	for _, condition := range dropIns {
		if condition != "" {
			source.WriteString(`Const("` + condition + `")`)
		}
	}
	for _, begin := range []string{`Const("`, `folder("`, `Constants["`} {
		for _, rest := range strings.Split(source.String(), begin)[1:] {
			name, _, _ := strings.Cut(rest, `"`)
			if !strings.Contains(" "+strings.Join(inspected, " ")+" ", " "+name+" ") {
				t.Errorf("%s is used, but not asked for", name)
			}
		}
	}
}
