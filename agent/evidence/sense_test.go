package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"wpmend/agent/diagnose"
	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
	"wpmend/wp"
)

// One real site, well at first and then broken in one layer after the other; what is
// gathered says where.
func TestSensesOfARealSite(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 2})
	ctx := t.Context()
	discover := func(remembered site.Host) (site.Host, site.Site) {
		t.Helper()
		host, err := site.Discover(ctx, remembered, func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") })
		if err != nil {
			t.Fatal(err)
		}
		s, err := site.Find(host.Sites, l.Site(0).Root)
		if err != nil {
			t.Fatal(err, host.Problems)
		}
		return host, s
	}
	host, s := discover(site.Host{})
	next := s
	next.ID = "next"
	gather := func(ask Ask) (diagnose.Facts, error) {
		t.Helper()
		w, unread := s.Read(ctx)
		ask.Unread = unread
		marks, err := Mark(s)
		if err != nil {
			t.Fatal(err)
		}
		front := probe.ByFront(ctx, s, probe.Home(s), probe.Limits{Timeout: 20 * time.Second, Body: 1 << 20})
		f, err := marks.Asking(ask).Gather(ctx, s, w, front)
		return f, err
	}
	edit := func(file string, change func(string) string) (undo func()) {
		t.Helper()
		path := filepath.Join(s.Root, file)
		old, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(change(string(old))), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			t.Helper()
			if err := os.WriteFile(path, old, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	linted := func(what, file string, line int, text string, f diagnose.Facts, err error) {
		t.Helper()
		if len(f.Lint) == 0 || f.Lint[0].File != file || f.Lint[0].Line != line || !strings.Contains(f.Lint[0].Text, text) || f.Lint[0].Changed.IsZero() || err != nil {
			t.Errorf("%s: %v: %+v, %v", what, f.Front.Outcome, f.Lint, err)
		}
	}

	name := probe.Home(s).Hostname() + "."
	f, err := gather(Ask{Everything: true, Edge: true, Others: []site.Site{s, next}, Resolver: zone{name: []dnsmessage.ResourceBody{a(l.Address)}}.serve(t)})
	if err != nil || f.Front.Outcome != probe.Healthy || f.Visitor.Outcome != probe.Healthy || f.Edge.Public.Outcome != probe.Healthy || f.Edge.Elsewhere ||
		f.Server.PID != l.NginxMaster() || f.Server.Dial != nil || f.Server.Test != nil || f.Server.Listen != l.Address+":80" || f.Server.Files == 0 || f.Server.MaxFiles <= f.Server.Files ||
		f.Next != (diagnose.Neighbours{Asked: 1}) || len(f.Lint) != 0 || f.Limits.Memory <= 0 || len(f.Host.Disks) == 0 || f.Visits.Requests == 0 || len(f.Visits.URLs) == 0 ||
		f.ThemeMissing != "" || f.Updating != "" || f.Database != nil || f.Host.FiltersUnread == "" && len(f.Host.Filters) > 0 {
		t.Errorf("well: %+v, %v", f, err)
	}
	for _, u := range f.Visits.URLs {
		if strings.Contains(u.Name, "?") {
			t.Errorf("%q may hold a secret", u.Name)
		}
	}

	undo := edit("wp-config.php", func(old string) string { return strings.Replace(old, "<?php\n", "<?php\n$a = 1\n$b = 2;\n", 1) })
	f, err = gather(Ask{})
	linted("a missing semicolon", "wp-config.php", 3, "unexpected variable", f, err)
	undo()
	undo = edit("wp-config.php", func(old string) string { return "<?php\nif (true) {\n" })
	f, err = gather(Ask{})
	linted("an open bracket", "wp-config.php", 3, "Unclosed", f, err)
	var wrong *wp.SyntaxError
	if !errors.As(f.Unread, &wrong) || wrong.File != filepath.Join(s.Root, "wp-config.php") || wrong.Line != 2 {
		t.Errorf("%v", f.Unread)
	}
	undo()
	const plugin = "wp-content/plugins/plugin-02/plugin-02.php"
	undo = edit(plugin, func(old string) string { return old + "\nfunction ( {\n" })
	f, err = gather(Ask{})
	if f.Front.Outcome != probe.Fatal || len(f.Lint) != 1 || f.Lint[0].File != plugin || err != nil {
		t.Errorf("%v: %+v, %v", f.Front.Outcome, f.Lint, err)
	}
	// The same where PHP has said nothing of it.
	silent, err := lints(ctx, linting{site: s, wp: site.WordPress{Paths: wp.DefaultPaths()}, first: time.Now(), changed: true})
	if len(silent) != 1 || silent[0].File != plugin || err != nil {
		t.Errorf("%+v, %v", silent, err)
	}
	undo()

	w, err := s.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	theme := filepath.Join(s.Root, w.Paths.Themes, w.Active.Stylesheet)
	if err := os.Rename(theme, theme+"-gone"); err != nil {
		t.Fatal(err)
	}
	if f, err = gather(Ask{}); f.ThemeMissing != filepath.Join(w.Paths.Themes, w.Active.Stylesheet) || err != nil {
		t.Errorf("theme: %q, %v", f.ThemeMissing, err)
	}
	if err := os.Rename(theme+"-gone", theme); err != nil {
		t.Fatal(err)
	}

	if err := l.StopFPM(); err != nil {
		t.Fatal(err)
	}
	if f, err = gather(Ask{Others: []site.Site{s, next}}); f.Next != (diagnose.Neighbours{Asked: 1, Failing: 1}) || f.Visitor.Outcome != probe.BadGateway || err != nil {
		t.Errorf("without FPM: %+v, %+v, %v", f.Next, f.Visitor, err)
	}

	// nginx has gone, and its configuration would not start it: the site is still known.
	if err := syscall.Kill(l.NginxMaster(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if l.NginxMaster() == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	f, err = gather(Ask{})
	if f.Front.Outcome != probe.Unreachable || f.Server.PID != 0 || !errors.Is(f.Server.Dial, syscall.ECONNREFUSED) || f.Server.Test != nil || err != nil {
		t.Errorf("without nginx: %v, %+v, %v", f.Front.Outcome, f.Server, err)
	}
	config, err := os.ReadFile(l.NginxConfig())
	if err == nil {
		err = os.WriteFile(l.NginxConfig(), append(config, "\nno_such_directive on;\n"...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, s = discover(host)
	f, err = gather(Ask{})
	var fault *gateway.ConfigError
	if !errors.As(f.Server.Test, &fault) || f.Server.TestFile != l.NginxConfig() || f.Server.TestLine == 0 || err != nil {
		t.Errorf("a broken configuration: %+v, %v", f.Server, err)
	}
}

// What cannot be read of a site is said, and nothing else is lost by it.
func TestUnreadableConfiguration(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	s := site.Site{Domain: "shop.example", Root: root, Owner: 33, Group: 33, Handler: site.ModPHP, Vhosts: []gateway.Vhost{{Names: []string{"shop.example"}}}}
	if _, err := s.Read(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing one: %v", err)
	}
	file := filepath.Join(root, "wp-config.php")
	if err := os.Symlink("/etc/shadow", file); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(file, 33, 33); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(context.Background()); !errors.Is(err, wp.ErrRefused) {
		t.Errorf("one that leads out: %v", err)
	}
	for code, line := range map[string]int{"": 1, "<html>": 1, "<?php\n'": 2, "<?php\n(]": 2, "\xff\xfe<\x00": 1} {
		if err := errors.Join(os.Remove(file), os.WriteFile(file, []byte(code), 0o644)); err != nil {
			t.Fatal(err)
		}
		_, err := s.Read(context.Background())
		var wrong *wp.SyntaxError
		if !errors.As(err, &wrong) || wrong.Line != line || wrong.File != file {
			t.Errorf("%q: %v (%+v)", code, err, wrong)
		}
		if !strings.Contains(fmt.Sprint(err), file) {
			t.Errorf("%v does not name the file", err)
		}
	}
}
