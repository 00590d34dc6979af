package fpm

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/php/fcgi"
)

// TestRenew: a .user.ini that every worker has read is read anew by all, under steady load and without a lost request.
func TestRenew(t *testing.T) {
	m, dir := live(t, "pm.max_children = 3\n")
	script := dir + "/limit.php"
	writeFile(t, script, "<?php echo ini_get('max_execution_time');")
	writeFile(t, dir+"/.user.ini", "max_execution_time = 41\n")
	m, err := Start(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, m.Process) })
	socket := dir + "/live.sock"
	// Without DOCUMENT_ROOT FPM reads no .user.ini.
	limit := func() string {
		t.Helper()
		r, err := fcgi.Do(context.Background(), "unix", socket, fcgi.Request{Params: map[string]string{"SCRIPT_FILENAME": script, "DOCUMENT_ROOT": dir, "REQUEST_METHOD": "GET"}}, fcgi.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Body)
	}
	for range 20 {
		if got := limit(); got != "41" {
			t.Fatalf("max_execution_time is %s", got)
		}
	}
	writeFile(t, dir+"/.user.ini", "max_execution_time = 42\n")
	if got := limit(); got != "41" {
		t.Fatalf("the worker does not keep its .user.ini: %s", got)
	}
	writeFile(t, dir+"/x.php", "<?php usleep(5000); echo 'a b';")
	end := steady(t, socket, dir+"/x.php", 3*time.Millisecond, "")
	left, err := m.Renew(context.Background(), "www", 20*time.Second)
	if err != nil || left != 0 {
		t.Errorf("%d workers left, %v", left, err)
	}
	asked, failed := end()
	if failed > 0 || asked == 0 {
		t.Errorf("%d of %d requests failed", failed, asked)
	}
	for range 20 {
		if got := limit(); got != "42" {
			t.Fatalf("a worker has kept its .user.ini: %s", got)
		}
	}
}

func TestSettings(t *testing.T) {
	m, dir := live(t, "")
	writeFile(t, dir+"/php.ini", "max_execution_time = 33\nopen_basedir =\n")
	m.Args = []string{"-c", dir + "/php.ini", "-d", "memory_limit=99M"}
	s, err := m.Settings(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(s.Version, "8.2.") || len(s.Files) < 3 || s.Files[0] != dir+"/php.ini" || !slices.IsSorted(s.Files[1:]) || !strings.HasSuffix(s.Files[1], ".ini") {
		t.Errorf("%s from %v", s.Version, s.Files)
	}
	for name, want := range map[string]string{"max_execution_time": "33", "memory_limit": "99M", "open_basedir": "", "user_ini.cache_ttl": "300"} {
		if got, ok := s.Values[name]; got != want || !ok {
			t.Errorf("%s is %q %v, want %q", name, got, ok, want)
		}
	}
}

// TestSupposing: what a file would bring is told without writing it, and FPM takes it the same way: the last of its
// own directives, the first of php_admin_value.
func TestSupposing(t *testing.T) {
	m, dir := live(t, "request_terminate_timeout = 10s\nphp_admin_value[memory_limit] = 100M\ninclude = "+t.TempDir()+"/none*.conf\n")
	text, err := os.ReadFile(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/pool.d", 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, m.Config, "[global]\ninclude = "+dir+"/pool.d/*.conf\n"+string(text))
	patterns, err := m.Includes()
	if err != nil || len(patterns) != 2 || patterns[0] != dir+"/pool.d/*.conf" {
		t.Fatalf("%q, %v", patterns, err)
	}
	own := []byte("[www]\nrequest_terminate_timeout = 20s\nphp_admin_value[memory_limit] = 200M\n")
	would, err := m.Supposing(dir+"/pool.d/own.conf", own)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir+"/pool.d/own.conf", string(own))
	if m, err = loadWith(m); err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(m.Pools, would.Pools, func(a, b Pool) bool { return a.Name == b.Name && slices.Equal(a.Directives, b.Directives) }) {
		t.Errorf("supposed %+v\n    read %+v", would.Pools, m.Pools)
	}
	p, _ := m.Pool("www")
	if v, _ := p.Get("request_terminate_timeout"); v != "10s" {
		t.Errorf("the last directive counts, got %s", v)
	}
	if v, _ := p.Get("php_admin_value[memory_limit]"); v != "200M" {
		t.Errorf("the first php_admin_value counts, got %s", v)
	}
	writeFile(t, dir+"/limit.php", "<?php echo ini_get('memory_limit');")
	if m, err = Start(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, m.Process) })
	if got := says(t, dir+"/live.sock", dir+"/limit.php"); got != "200M" {
		t.Errorf("PHP takes %s", got)
	}
	if gone, err := m.Supposing(dir+"/pool.d/own.conf", nil); err != nil || len(gone.Pools[0].Directives) != len(p.Directives)-2 {
		t.Errorf("without the file: %+v, %v", gone.Pools, err)
	}
}
