package process

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const statTail = " S 1 10 10 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0"

func TestParseStat(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nginx", "a b", ") S 99 (", "x)\n(y", ""} {
		s, err := parseStat("42 (" + name + ")" + statTail)
		if err != nil || s.start != 987654 || s.ppid != 1 || s.state != 'S' || s.kernel {
			t.Errorf("%q: %+v, %v", name, s, err)
		}
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 1", "42 (x)" + strings.Replace(statTail, "987654", "-", 1)} {
		if s, err := parseStat(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, s)
		}
	}
}

func TestParseArgv(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"": nil, "\x00\x00": nil,
		"php-fpm: master process (/etc/fpm.conf)\x00\x00\x00\x00":  {"php-fpm: master process (/etc/fpm.conf)"},
		"php-fpm: pool www                \x00":                    {"php-fpm: pool www"},
		"nginx: master process /usr/sbin/nginx -c /etc/n.conf\x00": {"nginx: master process /usr/sbin/nginx -c /etc/n.conf"},
		"/usr/sbin/php-fpm8.2\x00--nodaemonize\x00-c\x00a b \x00":  {"/usr/sbin/php-fpm8.2", "--nodaemonize", "-c", "a b "},
	} {
		if got := parseArgv(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseUnit(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0::/system.slice/php8.2-fpm.service\n":                                     "php8.2-fpm.service",
		"0::/system.slice/system-php\\x2dfpm.slice/php-fpm@site.service/sub\n":      "php-fpm@site.service",
		"12:pids:/x.service\n1:name=systemd:/system.slice/nginx.service\n0::/\n":    "nginx.service",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/evil.service\n": "user@1000.service",
		"0::/user.slice/user-0.slice/session-3.scope\n":                             "session-3.scope",
		"0::/docker/0123456789abcdef/system.slice/x.service\n":                      "",
		"0::/_cgroup.service\n":              "cgroup.service",
		"0::/\n":                             "",
		"5:memory:/system.slice/a.service\n": "",
		"junk":                               "", "": "",
	} {
		if got := parseUnit(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestListOfADamagedProc(t *testing.T) {
	t.Parallel()
	proc := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("10/stat", "10 (ok)"+statTail)
	write("10/status", "Name:\tok\nUid:\t5\t6\t7\t8\n")
	write("10/cmdline", "ok\x00")
	write("11/stat", "11 (no status)"+statTail)
	write("12/stat", "junk")
	write("13/stat", "13 (zombie)"+strings.Replace(statTail, "S", "Z", 1))
	write("14/stat", "14 (kernel)"+strings.Replace(statTail, "4194304", "2129984", 1))
	write("self/stat", "10 (ok)"+statTail)
	procs, err := list(proc)
	if err != nil {
		t.Fatal(err)
	}
	want := []Process{{PID: 10, PPID: 1, UID: 5, Start: 987654, Argv: []string{"ok"}}}
	if !reflect.DeepEqual(procs, want) {
		t.Errorf("%+v, want %+v", procs, want)
	}
	if _, err := list(filepath.Join(proc, "none")); err == nil {
		t.Error("a missing /proc is no error")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("42 (x)" + statTail)
	f.Add("Uid:\t0\t0\t0\t0\n")
	f.Add("0::/system.slice/a.service\n")
	f.Add("a\x00b\x00\x00")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseStat(text)
		_, _, _ = parseUIDs(text)
		if unit := parseUnit(text); strings.Contains(unit, "/") || strings.HasSuffix(unit, ".slice") {
			t.Errorf("unit %q", unit)
		}
		size := 0
		for _, a := range parseArgv(text) {
			size += len(a) + 1
		}
		if size > len(text)+1 {
			t.Errorf("argv longer than the command line")
		}
	})
}
