package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Each fault shows as it does in the field, in the answer and in the logs, and
// is gone without a trace afterwards.
func TestFaults(t *testing.T) {
	t.Parallel()
	// A healthy page takes 50 ms, but seconds on a machine full of other tests.
	l := New(t, Options{Plugins: 8, TerminateTimeout: 5 * time.Second, SlowlogTimeout: time.Second})
	before, err := l.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fault  Fault
		status int
		body   string // what the answer says; empty: it has no body
		log    string
		says   string // a pattern for what is new in the log
	}{
		{Segfault, 502, "Bad Gateway", l.FPMLog(0), `child \d+ exited on signal 11 \(SIGSEGV\)`},
		{Kill9, 502, "Bad Gateway", l.FPMLog(0), `child \d+ exited on signal 9 \(SIGKILL\)`},
		{Hang, 502, "Bad Gateway", l.SlowLog(0), `\] sleep\(\) .*plugin-07\.php:\d+\n\S+ plugin_07_hang\(\)`},
		{Compute, 502, "Bad Gateway", l.FPMLog(0), `execution timed out \(\S+ sec\), terminating`},
		{Fatal, 500, "critical error", l.NginxErrorLog(0), `Call to undefined function plugin_07_function_that_nobody_defines\(\) in .*plugin-07\.php`},
		{Blank200, 200, "", l.NginxAccessLog(0), `"GET / HTTP/1.1" 200 5 `}, // an empty chunked body
		{Header9k, 502, "Bad Gateway", l.NginxErrorLog(0), `upstream sent too big header`},
		{FPMStopped, 502, "Bad Gateway", l.NginxErrorLog(0), `connect\(\) to unix:\S+ failed \(2: No such file`},
		{SocketMode, 502, "Bad Gateway", l.NginxErrorLog(0), `connect\(\) to unix:\S+ failed \(13: Permission denied\)`},
		{DatabaseDown, 500, "database", l.NginxAccessLog(0), `" 500 `},
		{Maintenance, 503, "scheduled maintenance", l.NginxAccessLog(0), `" 503 `},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			plugin := ""
			if c.fault.InPlugin() {
				plugin = Slug(7)
			}
			mark := size(t, c.log)
			if err := l.Break(0, c.fault, plugin); err != nil {
				t.Fatal(err)
			}
			status, body, err := l.Get("/")
			if err != nil {
				t.Fatal(err)
			}
			if status != c.status || !strings.Contains(body, c.body) || (c.body == "") != (body == "") {
				t.Errorf("status %d, body %q; want %d and %q", status, clip(body, 300), c.status, c.body)
			}
			wantLog(t, c.log, mark, c.says)
			if err := l.Mend(0); err != nil {
				t.Fatal(err)
			}
			wantHealthy(t, l, 0)
			after, err := l.Snapshot(0)
			if err != nil {
				t.Fatal(err)
			}
			if d := before.Diff(after); d != "" {
				t.Errorf("Mend leaves\n%s", d)
			}
		})
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// wantLog waits for a line: a server may write it after its answer.
func wantLog(t *testing.T, path string, mark int64, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var text []byte
	for range 1000 {
		all, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text = all[mark:]; re.Match(text) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%s has no %s:\n%s", filepath.Base(path), pattern, text)
}

// A fault right after another, within the second that OPcache's clock ticks in,
// is seen; and Mend finds a plugin whose folder was renamed meanwhile.
func TestFaultsInQuickSuccession(t *testing.T) {
	t.Parallel()
	l := New(t, Options{Plugins: 2})
	before, err := l.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fault  Fault
		status int
	}{{Fatal, 500}, {Blank200, 200}, {Segfault, 502}, {Fatal, 500}, {Blank200, 200}} {
		if err := l.Break(0, c.fault, Slug(1)); err != nil {
			t.Fatal(err)
		}
		if status, body, err := l.Get("/"); err != nil || status != c.status || Complete(body) && status == 200 {
			t.Fatalf("%s: status %d, whole page %v, %v; want %d", c.fault, status, Complete(body), err, c.status)
		}
		if err := l.Mend(0); err != nil {
			t.Fatal(err)
		}
	}

	if err := l.Break(0, Fatal, Slug(1)); err != nil {
		t.Fatal(err)
	}
	plugins := filepath.Join(l.Site(0).Root, "wp-content/plugins")
	away := filepath.Join(plugins, ".away")
	if err := os.Rename(filepath.Join(plugins, Slug(1)), away); err != nil {
		t.Fatal(err)
	}
	wantHealthy(t, l, 0)
	changed, err := l.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	if d := before.Diff(changed); !strings.Contains(d, "gone: wp-content/plugins/plugin-01 (d") ||
		!strings.Contains(d, "new: wp-content/plugins/.away/plugin-01.php (") {
		t.Errorf("Diff does not tell the renaming:\n%s", d)
	}
	if err := l.Mend(0); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, filepath.Join(plugins, Slug(1))); err != nil {
		t.Fatal(err)
	}
	after, err := l.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	if d := before.Diff(after); d != "" {
		t.Errorf("after renaming back:\n%s", d)
	}
}

func TestBreakRefuses(t *testing.T) {
	t.Parallel()
	l := New(t, Options{Plugins: 1, TCP: true})
	for _, c := range []struct {
		fault        Fault
		plugin, want string
	}{
		{"flood", "", fmt.Sprintf("no such fault; there are %v", Faults())},
		{Fatal, "", "a plugin must be named for faults of plugins, and only for these"},
		{Maintenance, "plugin-01", "a plugin must be named for faults of plugins, and only for these"},
		{Fatal, "plugin-02", "open " + filepath.Join(l.Site(0).Root, "wp-content/plugins/plugin-02") + ": no such file or directory"},
		{SocketMode, "", "the pool listens on TCP and has no socket file"},
	} {
		want := "cannot break shop.lab.test by " + string(c.fault) + ": " + c.want
		if err := l.Break(0, c.fault, c.plugin); err == nil || err.Error() != want {
			t.Errorf("error %v\nwant  %s", err, want)
		}
	}
	wantHealthy(t, l, 0)
}
