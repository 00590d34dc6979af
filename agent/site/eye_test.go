package site

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// Whatever changes on a host, who has looked before finds what who looks for the first time finds; and where nothing
// changes he finds the same.
func TestEyeSeesWhatIsThere(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Sites: 2, Plugins: 1})
	mine := func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var e Eye
	look := func(fresh string) (Host, bool) {
		t.Helper()
		h, same, err := e.Discover(context.Background(), Host{}, mine, fresh)
		must(err)
		return h, same
	}
	h, _ := look("")
	if len(h.Sites) != 2 {
		t.Fatalf("%d sites: %v", len(h.Sites), h.Problems)
	}
	if again, _ := look(""); !reflect.DeepEqual(again.Sites, h.Sites) { // other servers of this machine may have changed
		t.Errorf("nothing has changed, and the sites are others: %+v", again.Sites)
	}
	root := l.Site(0).Root
	write := func(path, text string) { must(os.WriteFile(path, []byte(text), 0o644)) }
	edit := func(path, old, with string) {
		text, err := os.ReadFile(path)
		must(err)
		write(path, strings.Replace(string(text), old, with, 1))
	}
	vhosts := filepath.Join(filepath.Dir(l.NginxConfig()), "sites")
	pools := filepath.Join(filepath.Dir(l.FPMConfig(0)), "pool.d")
	for _, c := range []struct {
		name   string
		change func()
	}{
		{"another name", func() {
			edit(filepath.Join(vhosts, l.Site(0).Domain+".conf"), "server_name ", "server_name other.example ")
		}},
		{"another vhost", func() {
			write(filepath.Join(vhosts, "zz.conf"), "server { listen 127.0.0.1:1; server_name zz.example; root /nowhere; }\n")
		}},
		{"one vhost less", func() { must(os.Remove(filepath.Join(vhosts, l.Site(1).Domain+".conf"))) }},
		{"a limit of a pool", func() {
			edit(filepath.Join(pools, l.Site(0).Pool+".conf"), "\n", "\nphp_admin_value[memory_limit] = 77M\n")
		}},
		{"a pool less", func() { must(os.Rename(filepath.Join(pools, l.Site(1).Pool+".conf"), filepath.Join(pools, "off"))) }},
		{"a second WordPress", func() {
			must(os.MkdirAll(filepath.Join(root, "blog/wp-includes"), 0o755))
			write(filepath.Join(root, "blog/wp-load.php"), "<?php\n")
			write(filepath.Join(root, "blog/wp-includes/version.php"), "<?php\n$wp_version = '5.0';\n")
		}},
		{"its update", func() { write(filepath.Join(root, "blog/wp-includes/version.php"), "<?php\n$wp_version = '5.1';\n") }},
		{"its end", func() { must(os.RemoveAll(filepath.Join(root, "blog"))) }},
	} {
		time.Sleep(15 * time.Millisecond) // the kernel's clock for files
		c.change()
		got, same := look("")
		want, err := Discover(context.Background(), Host{}, mine)
		must(err)
		if same {
			t.Errorf("%s is not seen", c.name)
		}
		for i := range got.Sites {
			if i < len(want.Sites) && !reflect.DeepEqual(got.Sites[i], want.Sites[i]) {
				t.Errorf("%s: found\n%+v\nis there\n%+v", c.name, got.Sites[i], want.Sites[i])
			}
		}
		if len(got.Sites) != len(want.Sites) {
			t.Errorf("%s: %d sites found, %d are there", c.name, len(got.Sites), len(want.Sites))
		}
	}
}
