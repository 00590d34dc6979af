package ini

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

const sample = "; my own notes\r\n[PHP]\r\nmemory_limit = 128M ; enough\r\nMax_Execution_Time=1\r\nmax_execution_time=30\r\n" +
	"upload_tmp_dir=\"/tmp;x\"\r\nmemory_limit = 256M\r\n\r\n[PATH=/srv/a]\r\nmemory_limit = 1G\r\n; the end"

func TestGetAndSet(t *testing.T) {
	t.Parallel()
	f, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"memory_limit": "256M", "max_execution_time": "30", "upload_tmp_dir": "/tmp;x", "nothing": ""} {
		if got, ok := f.Get(name); got != want || ok != (want != "") {
			t.Errorf("%s is %q (%v), want %q", name, got, ok, want)
		}
	}
	g, err := f.Set("memory_limit", "512M")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(sample, "memory_limit = 256M", "memory_limit = 512M", 1); string(g.Bytes()) != want {
		t.Errorf("got %q", g.Bytes())
	}
	g, err = g.Set("post_max_size", "64M")
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := g.Get("post_max_size"); v != "64M" || !bytes.Contains(g.Bytes(), []byte("\r\npost_max_size = 64M\r\n[PATH=")) {
		t.Errorf("a new setting must hold for every script: %q", g.Bytes())
	}
	if !bytes.HasSuffix(g.Bytes(), []byte("; the end")) {
		t.Errorf("the end of the file has changed: %q", g.Bytes())
	}
}

func TestPoolFile(t *testing.T) {
	t.Parallel()
	const text = "[www]\nPM.max_children=5 ; five\nphp_admin_value[memory_limit] = 64M\nphp_admin_value[memory_limit] = 128M\n[other]\npm.max_children = 9"
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := f.GetIn("WWW", "pm.max_children"); v != "5" {
		t.Errorf("pm.max_children of www is %q", v)
	}
	if v, _ := f.GetIn("www", "php_admin_value[memory_limit]"); v != "64M" {
		t.Errorf("the first php_admin_value counts, got %q", v)
	}
	for _, change := range [][3]string{
		{"www", "pm.max_children", "[www]\nPM.max_children=7 ; five\n"},
		{"www", "php_admin_value[memory_limit]", "= 7\nphp_admin_value[memory_limit] = 128M\n"},
		{"www", "request_terminate_timeout", "128M\nrequest_terminate_timeout = 7\n[other]\n"},
		{"other", "request_terminate_timeout", "[other]\npm.max_children = 9\nrequest_terminate_timeout = 7\n"},
		{"third", "pm", "pm.max_children = 9\n[third]\npm = 7\n"},
	} {
		g, err := f.SetIn(change[0], change[1], "7")
		if err != nil || !strings.Contains(string(g.Bytes()), change[2]) {
			t.Errorf("%s in %s: %v\n%s", change[1], change[0], err, g.Bytes())
		}
	}
}

// TestBroken: what stands behind a fault is not in force, and nothing is written there.
func TestBroken(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a = 1\nb = \"x\nc = 3\n", "a = 1\nb = it's\nc = 3\n", "a = 1\n]\nc = 3", "a = 1\nb=yes no\nc=3", "a = 1\x00\nc = 3"} {
		f, err := Parse([]byte(text))
		var fault *SyntaxError
		if !errors.As(err, &fault) || fault.Line < 1 || fault.Line > 2 {
			t.Errorf("%q: %v", text, err)
		}
		a, _ := f.Get("a")
		if _, ok := f.Get("c"); ok || a != "1" {
			t.Errorf("%q: a is %q, c is there: %v", text, a, ok)
		}
		if _, err := f.Set("a", "2"); err == nil {
			t.Errorf("%q was changed", text)
		}
		if !bytes.Equal(f.Bytes(), []byte(text)) {
			t.Errorf("%q came out as %q", text, f.Bytes())
		}
	}
	for _, bad := range [][2]string{{"a b", "1"}, {"on", "1"}, {"", "1"}, {"a]", "1"}, {"a", "1\n2"}, {"a", "'\"\\"}} {
		if _, err := (File{}).Set(bad[0], bad[1]); err == nil {
			t.Errorf("%q = %q was written", bad[0], bad[1])
		}
	}
}

// FuzzSet holds the law: what is not changed comes out as it went in; what was set is got; only one statement differs.
func FuzzSet(f *testing.F) {
	f.Add([]byte(sample), "memory_limit", "1G")
	f.Add([]byte("a = \"two\nlines\" ; x\nb"), "a", "on")
	f.Add([]byte("\ufeffa[b] = 'x' "), "a[b]", `\"`)
	f.Fuzz(func(t *testing.T, text []byte, name, value string) {
		was, err := Parse(text)
		if !bytes.Equal(was.Bytes(), text) {
			t.Fatalf("%q came out as %q", text, was.Bytes())
		}
		if err != nil {
			return
		}
		now, err := was.Set(name, value)
		if err != nil {
			return
		}
		if got, ok := now.Get(name); !ok || got != value {
			t.Fatalf("%q: set %s to %q, got %q %v in %q", text, name, value, got, ok, now.Bytes())
		}
		a, b := was.Entries(), now.Entries()
		key := func(e Entry) string { return e.Section + "\x00" + e.Name + "\x00" + e.Value }
		if len(b) == len(a)+1 {
			at := slices.IndexFunc(b, func(e Entry) bool {
				return e.Name == name && e.Value == value && !conditional(e.Section) && !slices.Contains(a, e)
			})
			if at < 0 {
				t.Fatalf("%q: what was added to %q?", now.Bytes(), text)
			}
			// The added line is gone again when it is cut out, but for a line end at the end of the file.
			cut := slices.Concat(now.Bytes()[:b[at].start], now.Bytes()[b[at].eol:])
			if !bytes.Equal(cut, text) && !bytes.Equal(bytes.TrimRight(cut, "\r\n"), bytes.TrimRight(text, "\r\n")) {
				t.Fatalf("%q became %q", text, now.Bytes())
			}
			return
		}
		differ := 0
		for i := range a {
			if key(a[i]) != key(b[i]) {
				differ++
			}
		}
		if len(a) != len(b) || differ > 1 {
			t.Fatalf("%q became %q", text, now.Bytes())
		}
	})
}
