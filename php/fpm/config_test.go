package fpm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memory is a source of files that are not on disk.
type memory map[string]string

func (m memory) read(path string, max int) ([]byte, error) {
	text, ok := m[path]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return []byte(text[:min(len(text), max)]), nil
}

func (m memory) glob(pattern string) ([]string, error) {
	var found []string
	for path := range m {
		if ok, err := filepath.Match(pattern, path); err != nil {
			return nil, err
		} else if ok {
			found = append(found, path)
		}
	}
	return found, nil
}

func (m memory) prefix() (string, error) {
	if p, ok := m["prefix"]; ok {
		return p, nil
	}
	return "", errors.New("the prefix is unknown")
}

func TestLoadFollowsSectionsAcrossFiles(t *testing.T) {
	t.Parallel()
	global, pools, err := load(memory{
		"prefix": "/opt/php",
		"/etc/fpm.conf": "; main\nerror_log = /var/log/fpm.log\n[global]\r\nPid = run/fpm.pid\r\n[www]\nuser = www-data\ninclude=fpm.d/a.conf\n" +
			"pm = static\n[WWW]\npm = dynamic\n[Global]\nprocess.max = 3",
		"/opt/php/fpm.d/a.conf": "group = $pool\n[api]\nlisten = run/$pool.sock\nphp_admin_value[error_log] = /var/log/$pool/$pool.log\nenv[ 'X' ] = $pool",
	}, "/etc/fpm.conf")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Directive{
		{Key: "error_log", Value: "/var/log/fpm.log", File: "/etc/fpm.conf", Line: 2},
		{Key: "pid", Value: "run/fpm.pid", File: "/etc/fpm.conf", Line: 4},
		{Key: "process.max", Value: "3", File: "/etc/fpm.conf", Line: 12},
	}, global); diff != "" {
		t.Error(diff)
	}
	a := "/opt/php/fpm.d/a.conf"
	if diff := cmp.Diff([]Pool{
		{Name: "www", Directives: []Directive{
			{Key: "user", Value: "www-data", File: "/etc/fpm.conf", Line: 6},
			{Key: "group", Value: "www", Raw: "$pool", File: a, Line: 1},
			{Key: "pm", Value: "dynamic", File: "/etc/fpm.conf", Line: 10}}},
		{Name: "api", Directives: []Directive{
			{Key: "listen", Value: "/opt/php/run/api.sock", Raw: "run/$pool.sock", File: a, Line: 3},
			{Key: "php_admin_value[error_log]", Value: "/var/log/api/api.log", Raw: "/var/log/$pool/$pool.log", File: a, Line: 4},
			{Key: "env[X]", Value: "api", Raw: "$pool", File: a, Line: 5},
			// FPM's section goes on behind the include.
			{Key: "pm", Value: "static", File: "/etc/fpm.conf", Line: 8}}},
	}, pools); diff != "" {
		t.Error(diff)
	}
}

func TestPoolGetters(t *testing.T) {
	t.Parallel()
	p := Pool{Name: "x", Directives: []Directive{
		{Key: "request_terminate_timeout", Value: "30s"}, {Key: "request_terminate_timeout", Value: "2m"}, {Key: "clear_env", Value: ""},
		{Key: "catch_workers_output", Value: "1"}, {Key: "env[Home]", Value: "a"}, {Key: "listen", Value: "9000"}}}
	if d := p.Duration("Request_Terminate_Timeout"); d != 2*time.Minute {
		t.Errorf("the later directive does not win: %v", d)
	}
	if d := p.Duration("request_slowlog_timeout"); d != 0 {
		t.Errorf("an unset time is %v", d)
	}
	if on, ok := p.Flag("clear_env"); on || !ok {
		t.Error("clear_env = no is not off")
	}
	if on, ok := p.Flag("catch_workers_output"); !on || !ok {
		t.Error("catch_workers_output = yes is not on")
	}
	if _, ok := p.Get("env[HOME]"); ok {
		t.Error("names of variables have no case")
	}
	if v, ok := p.Get("ENV[Home]"); !ok || v != "a" {
		t.Errorf("env[Home] is %q", v)
	}
	if a := p.Listen(); a != (Address{"tcp", "127.0.0.1:9000"}) {
		t.Errorf("listens on %v", a)
	}
	if a := (Pool{}).Listen(); a != (Address{}) {
		t.Errorf("a pool without listen listens on %v", a)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	deep := memory{}
	for i := range 6 {
		deep[fmt.Sprintf("/%d", i)] = fmt.Sprintf("include=/%d", i+1)
	}
	for _, c := range []struct {
		files memory
		want  string
	}{
		{memory{}, "open /0: file does not exist"},
		{memory{"/0": "[global]\n\nx"}, "/0:3: a directive without ="},
		{memory{"/0": "a=b\ninclude=/1", "/1": ";\nenv[]=1"}, "/0:2: /1:2: a directive needs one name between [ and ]"},
		{memory{"/0": "include="}, "/0:1: include names no file"},
		{memory{"/0": "include=etc/x.conf"}, "/0:1: include etc/x.conf is relative: the prefix is unknown"},
		{memory{"/0": "include=/[a"}, "/0:1: include /[a: syntax error in pattern"},
		{memory{"/0": "include=/0"}, "/0:1: /0:1: /0:1: /0:1: /0:1: /0: included more than 5 files deep"},
		{deep, "/0:1: /1:1: /2:1: /3:1: /4:1: /5: included more than 5 files deep"},
		{memory{"/0": "[a]\nlisten = x.sock"}, "/0:2: socket x.sock is relative: the prefix is unknown"},
		{memory{"/0": "[" + strings.Repeat("a", 3000) + "]\nx=" + strings.Repeat("$pool", 3000)}, "/0:2: the value is too long with $pool filled in"},
	} {
		_, _, err := load(c.files, "/0")
		if err == nil || err.Error() != c.want {
			t.Errorf("%v: %v, want %s", c.files, err, c.want)
		}
	}
}

func TestDiskBelievesOnlyRootsFiles(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"owner", "group", "others", "huge"} {
		writeFile(t, path(name), "[www]\n")
	}
	if err := errors.Join(os.Chown(path("owner"), 33, 0), os.Chmod(path("group"), 0o664), os.Chmod(path("others"), 0o646),
		os.Truncate(path("huge"), 1<<40), syscall.Mkfifo(path("fifo"), 0o644), os.Mkdir(path("folder"), 0o755),
		os.Symlink("owner", path("link")), os.Symlink("loop", path("loop"))); err != nil {
		t.Fatal(err)
	}
	const disbelief = " is not believed: it must belong to root and be writable by nobody else (chown root, chmod go-w)"
	for name, want := range map[string]string{
		"owner": path("owner") + disbelief, "group": path("group") + disbelief, "others": path("others") + disbelief,
		"link": path("link") + disbelief, "fifo": path("fifo") + " is not a regular file", "folder": path("folder") + " is not a regular file",
		"huge": path("huge") + " is larger than 4194304 bytes", "loop": "open " + path("loop") + ": too many levels of symbolic links",
	} {
		_, err := Load(phpFPM, path(name))
		if want = "read the configuration of PHP-FPM: " + want; err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := Load(phpFPM, "fpm.conf"); err == nil || err.Error() != `the configuration "fpm.conf" is not an absolute path` {
		t.Errorf("a relative path: %v", err)
	}
}

func TestDiskGlobAndPrefix(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	writeFile(t, dir+"/d/.hidden.conf", "[hidden]\n")
	writeFile(t, dir+"/d/b.conf", "[b]\n")
	writeFile(t, dir+"/d/a.conf", "[a]\nlisten = run/php/$pool.sock\n[c]\nprefix = /srv/c\nlisten = c.sock\n")
	writeFile(t, dir+"/d/folder.conf/x", "")
	writeFile(t, dir+"/fpm.conf", "[global]\nerror_log = log/fpm.log\ninclude = "+dir+"/d/*.conf\ninclude="+dir+"/none/*.conf\n")
	m, err := Load(phpFPM, dir+"/fpm.conf")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range m.Pools {
		names = append(names, p.Name+" "+p.Listen().String())
	}
	if diff := cmp.Diff([]string{"a unix:/usr/run/php/a.sock", "c unix:/srv/c/c.sock", "b "}, names); diff != "" {
		t.Error(diff)
	}
	if m.Prefix != "/usr" {
		t.Errorf("Debian's prefix is %q", m.Prefix)
	}
	if m.ErrorLog != "" {
		t.Errorf("a relative error_log is taken for %q", m.ErrorLog)
	}
}

func TestMasterSurvivesJSON(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	writeFile(t, dir+"/fpm.conf", "[global]\nerror_log="+dir+"/log\n[www]\nuser=33\nlisten="+dir+"/s\nphp_value[error_reporting] = E_ALL & ~E_NOTICE\nenv[X]='a;b'\n")
	m, err := Load(phpFPM, dir+"/fpm.conf")
	if err != nil {
		t.Fatal(err)
	}
	m.Args, m.Env, m.Unit = []string{"-c", "/etc/php.ini"}, []string{"A=b"}, "php8.2-fpm.service"
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back Master
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, back); diff != "" {
		t.Error(diff)
	}
	if m.ErrorLog != dir+"/log" {
		t.Errorf("error log %q", m.ErrorLog)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("[global]\npid=/x\ninclude=/1\n[www]\nuser=a\nlisten=b", "[$pool]\nx=$pool$pool\n[WWW]\nenv[a]=\"b\" ; c")
	f.Add("include=/*", "include=/0")
	f.Fuzz(func(t *testing.T, main, other string) {
		if len(main)+len(other) > 1<<16 {
			return
		}
		global, pools, err := load(memory{"/0": main, "/1": other, "prefix": "/usr"}, "/0")
		if err != nil {
			if global != nil || pools != nil {
				t.Error("an error and a result")
			}
			return
		}
		seen := map[string]bool{}
		for _, p := range pools {
			name := strings.ToLower(p.Name)
			if seen[name] || name == "global" || strings.Contains(p.Name, "\n") {
				t.Errorf("pool %q twice, or not one", p.Name)
			}
			seen[name] = true
			for _, d := range p.Directives {
				if d.Line < 1 || d.Key != canonical(d.Key) || strings.ContainsAny(d.Value+d.Raw, "\n\r\x00") {
					t.Errorf("%+v", d)
				}
			}
		}
	})
}

func BenchmarkLoad100Pools(b *testing.B) {
	dir := tempDir(b)
	for i := range 100 {
		writeFile(b, fmt.Sprintf("%s/d/%d.conf", dir, i), fmt.Sprintf("[site%d.example]\nuser = www-data\ngroup = www-data\nlisten = /run/php/$pool.sock\n"+
			"pm = ondemand\npm.max_children = 5\nphp_admin_value[memory_limit] = 256M\nphp_admin_value[open_basedir] = /home/$pool:/tmp\nenv[TMP] = /tmp\n", i))
	}
	writeFile(b, dir+"/fpm.conf", "[global]\nerror_log = "+dir+"/log\ninclude="+dir+"/d/*.conf\n")
	for b.Loop() {
		m, err := Load(phpFPM, dir+"/fpm.conf")
		if err != nil || len(m.Pools) != 100 {
			b.Fatal(len(m.Pools), err)
		}
	}
}
