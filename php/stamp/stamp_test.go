package stamp

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// settled waits until times of now and of then differ on every file system.
func settled(paths ...string) Set { return Take(paths, time.Now().Add(coarse+time.Second)) }

// Whatever happens to a file, to what a link leads to, or to a folder's listing is seen; reading is not.
func TestSame(t *testing.T) {
	dir := t.TempDir()
	file, link, folder, absent := filepath.Join(dir, "a.conf"), filepath.Join(dir, "link"), filepath.Join(dir, "folder"), filepath.Join(dir, "absent")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(path, text string) { t.Helper(); must(os.WriteFile(path, []byte(text), 0o644)) }
	write(file, "one")
	must(os.Symlink(file, link))
	must(os.Mkdir(folder, 0o755))
	old := time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name   string
		change func()
	}{
		{"another text of the same length", func() { write(file, "two") }},
		{"a text with its old times put back", func() {
			write(file, "six")
			must(os.Chtimes(file, old, old))
		}},
		{"rights", func() { must(os.Chmod(file, 0o600)) }},
		{"an owner", func() { must(os.Chown(file, 33, 33)) }},
		{"another file", func() { write(file+".new", "two"); must(os.Rename(file+".new", file)) }},
		{"a new file in a folder", func() { write(filepath.Join(folder, "b.conf"), "") }},
		{"one that came", func() { write(absent, "") }},
		{"one that went", func() { must(os.Remove(absent)) }},
		{"a link that leads elsewhere", func() {
			must(os.Remove(link))
			must(os.Symlink(filepath.Join(folder, "b.conf"), link))
		}},
	} {
		s := settled(file, link, folder, absent)
		if _, err := os.ReadFile(file); err != nil || !s.Same() {
			t.Fatalf("before %s: not the same (%v)", c.name, err)
		}
		time.Sleep(15 * time.Millisecond) // the kernel's clock for files ticks at least every 10 ms
		c.change()
		if s.Same() {
			t.Errorf("%s is not seen", c.name)
		}
	}
	if Take([]string{file}, time.Now()).Same() {
		t.Error("a file that was written just now may change again within the same tick")
	}
	if (Set{}).Same() {
		t.Error("nothing was stamped")
	}
}

func TestOf(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"sites/a[1]/conf", "sites/b/conf", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string][]string{
		"/plain.conf":                {"/plain.conf"},
		"/sites/*.conf":              {"/sites"},
		"/sites/*/conf/*.conf":       {"/sites", "/sites/a[1]/conf", "/sites/b/conf"},
		"/sites/[!b]*/conf/x.conf":   {"/sites", "/sites/a[1]/conf/x.conf"},
		"/sites/*/conf/[xy]/?.conf":  {"/sites", "/sites/a[1]/conf", "/sites/b/conf"},
		"/not-there/*/conf/f-*.conf": {"/not-there"},
	} {
		got := Of(dir + pattern)
		for i := range got {
			got[i] = got[i][len(dir):]
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
}

// FuzzOf: whatever the pattern, what it depends on are clean absolute paths.
func FuzzOf(f *testing.F) {
	for _, p := range []string{"/etc/*.d/*", "/[!a]/b", "/*/[", "relative/*", `/a\*b/*`, "//x//*"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		for _, dir := range Of(pattern) {
			if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir {
				t.Errorf("%q gives %q", pattern, dir)
			}
		}
	})
}
