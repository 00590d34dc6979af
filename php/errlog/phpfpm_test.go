package errlog

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/php/fcgi"
)

// realFPM is a PHP-FPM of our own: pool p logs through FPM, pool q into a file with a zone of its own.
type realFPM struct{ dir string }

func startRealFPM(t *testing.T, terminate string) realFPM {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wp")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "w"), 0o755))
	must(t, os.Chown(filepath.Join(dir, "w"), 33, 33)) // www-data on Debian
	conf := filepath.Join(dir, "fpm.conf")
	put(t, conf, strings.NewReplacer("DIR", dir, "TERMINATE", terminate).Replace(`[global]
error_log = DIR/fpm.log
[p]
user = www-data
listen = DIR/p
pm = dynamic
pm.max_children = 2
pm.start_servers = 1
pm.min_spare_servers = 1
pm.max_spare_servers = 1
catch_workers_output = yes
slowlog = DIR/slow.log
request_slowlog_timeout = 1
request_terminate_timeout = TERMINATE
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
[q]
user = www-data
listen = DIR/q
pm = ondemand
pm.max_children = 1
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
php_admin_value[error_log] = DIR/w/php.log
php_admin_value[date.timezone] = Europe/Berlin
php_admin_value[memory_limit] = 16M
`))
	cmd := exec.Command("/usr/sbin/php-fpm8.2", "-n", "-d", "extension=posix", "-F", "-y", conf)
	// A test that panics runs no cleanup; its master must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	must(t, cmd.Start())
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-exited
	})
	for {
		if c, err := net.Dial("unix", filepath.Join(dir, "p")); err == nil {
			c.Close()
			return realFPM{dir}
		}
		select {
		case <-exited:
			t.Fatal("php-fpm did not start")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// waitFor reads FPM's log until it holds what is waited for: the master writes in its own time.
func (f realFPM) waitFor(t *testing.T, seen func([]FPMRecord) bool) {
	t.Helper()
	for range 1000 {
		if seen(scanFPM(t, f.read(t, "fpm.log"))) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("waited in vain; fpm's log is\n%s", f.read(t, "fpm.log"))
}

// run executes code as script name of a pool and returns its answer, if any, and its path.
func (f realFPM) run(t *testing.T, pool, name, code string) (*fcgi.Response, string) {
	t.Helper()
	script := filepath.Join(f.dir, name)
	must(t, os.MkdirAll(filepath.Dir(script), 0o755))
	put(t, script, "<?php\n"+code)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r, _ := fcgi.Do(ctx, "unix", filepath.Join(f.dir, pool), fcgi.Request{Params: map[string]string{
		"SCRIPT_FILENAME": script, "SCRIPT_NAME": "/" + name, "REQUEST_METHOD": "GET", "QUERY_STRING": "q=it's",
	}}, fcgi.Limits{})
	return r, script
}

func (f realFPM) read(t *testing.T, log string) string {
	t.Helper()
	b, err := ReadSince(filepath.Join(f.dir, log), Mark{}, 1<<20)
	must(t, err)
	return string(b)
}

func TestRealWorkersEnd(t *testing.T) {
	t.Parallel()
	f := startRealFPM(t, "3s")
	f.run(t, "p", "segv.php", `posix_kill(getmypid(), 11); sleep(9);`)
	f.run(t, "p", "kill.php", `posix_kill(getmypid(), 9); sleep(9);`)
	long := strings.Repeat("d", 200) + "/" + strings.Repeat("e", 200) + "/x.php"
	_, script := f.run(t, "p", long, "function g() { sleep(9); }\neval('g();');")

	var signals []int
	var slow []Slow
	f.waitFor(t, func(records []FPMRecord) bool {
		signals, slow = nil, nil
		for _, r := range records {
			if r.Exit != nil && r.Exit.PID != 0 && r.Pool == "p" && r.Level == "WARNING" && !r.Time.IsZero() {
				signals = append(signals, r.Exit.Signal)
			}
			if r.Slow != nil {
				slow = append(slow, *r.Slow)
			}
		}
		return len(signals) == 3
	})
	if got := fmt.Sprint(signals); got != "[11 9 15]" {
		t.Errorf("workers ended by %s", got)
	}
	if len(slow) != 2 || slow[0].Terminated || !slow[1].Terminated || slow[1].After < 3*time.Second {
		t.Fatalf("slow requests: %+v", slow)
	}
	for _, s := range slow {
		if s.Script != script[:255] || s.Method != "GET" || !strings.HasSuffix(s.URI, "?q=it's") || len(s.URI) > 128+7 {
			t.Errorf("slow request %+v", s)
		}
	}
	traces := scanSlow(t, f.read(t, "slow.log"))
	if len(traces) != 1 || traces[0].PID != slow[0].PID || traces[0].Pool != "p" {
		t.Fatalf("traces: %+v", traces)
	}
	var calls []string
	for _, frame := range traces[0].Frames {
		calls = append(calls, fmt.Sprintf("%s:%d", frame.Func, frame.Line))
	}
	if got := strings.Join(calls, " "); got != "sleep:2 g:3 [INCLUDE_OR_EVAL]:3" {
		t.Errorf("trace %s", got)
	}
}

// The same faults give the same errors, whether they come over FastCGI, cut short, or through a file.
func TestRealErrors(t *testing.T) {
	t.Parallel()
	f := startRealFPM(t, "60s")
	for _, c := range []struct {
		name, code string
		want       []PHPError
	}{
		{"uncaught.php", "namespace ns;\nfunction f($a) { throw new \\RuntimeException(\"msg\\nline2 in /x:3\"); }\nclass C { function m($x) { array_map('ns\\f', [1]); } }\n(new C)->m('secret');",
			[]PHPError{{Kind: "Fatal error", Class: "RuntimeException", Message: "msg\nline2 in /x:3", File: "SCRIPT", Line: 3, Frames: []Frame{
				{`ns\f`, "", 0}, {"array_map", "SCRIPT", 4}, {`ns\C->m`, "SCRIPT", 5}, {"{main}", "", 0}}}}},
		{"require.php", `require '/nope.php';`, []PHPError{
			{Kind: "Warning", Message: "require(/nope.php): Failed to open stream: No such file or directory", File: "SCRIPT", Line: 2},
			{Kind: "Fatal error", Class: "Error", Message: "Failed opening required '/nope.php' (include_path='.:/usr/share/php')", File: "SCRIPT", Line: 2, Frames: []Frame{{Func: "{main}"}}}}},
		{"parse.php", `$a = ;`, []PHPError{{Kind: "Parse error", Message: `syntax error, unexpected token ";"`, File: "SCRIPT", Line: 2}}},
		{"eval.php", "\neval('nope();');", []PHPError{{Kind: "Fatal error", Class: "Error", Message: "Call to undefined function nope()", File: "SCRIPT", Line: 3, Frames: []Frame{{"eval", "SCRIPT", 3}, {Func: "{main}"}}}}},
		{"memory.php", `ini_set('memory_limit', '16M'); $x = str_repeat('x', 1 << 26);`, []PHPError{
			{Kind: "Fatal error", Message: "Allowed memory size of 16777216 bytes exhausted (tried to allocate 67112960 bytes)", File: "SCRIPT", Line: 2}}},
		{"time.php", `set_time_limit(1); while (true);`, []PHPError{{Kind: "Fatal error", Message: "Maximum execution time of 1 second exceeded", File: "SCRIPT", Line: 2}}},
		{"several.php", `trigger_error("one"); trigger_error("two", E_USER_WARNING); trigger_error("three", E_USER_DEPRECATED); error_log("words");`, []PHPError{
			{Kind: "Notice", Message: "one", File: "SCRIPT", Line: 2}, {Kind: "Warning", Message: "two", File: "SCRIPT", Line: 2}, {Kind: "Deprecated", Message: "three", File: "SCRIPT", Line: 2}}},
	} {
		for _, pool := range []string{"p", "q"} {
			log := filepath.Join(f.dir, "w/php.log")
			m, err := MarkFile(log)
			must(t, err)
			r, script := f.run(t, pool, c.name, c.code)
			text := string(r.Stderr)
			if pool == "q" {
				b, err := ReadSince(log, m, 1<<20)
				must(t, err)
				text = string(b)
			}
			got := scanPHP(t, text)
			if len(got) != len(c.want) {
				t.Fatalf("%s of pool %s: %d errors in %q", c.name, pool, len(got), text)
			}
			for i, e := range got {
				if written := !e.Time.IsZero(); written != (pool == "q") || written && time.Since(e.Time).Abs() > time.Minute {
					t.Errorf("%s of pool %s: time %v", c.name, pool, e.Time)
				}
				e.Time = time.Time{}
				if a, b := fmt.Sprintf("%+v", e), strings.ReplaceAll(fmt.Sprintf("%+v", c.want[i]), "SCRIPT", script); a != b {
					t.Errorf("%s of pool %s:\n got %s\nwant %s", c.name, pool, a, b)
				}
			}
		}
	}
}

// FPM cuts what it sends to the web server; the place is still there, the end is not.
func TestRealErrorsCut(t *testing.T) {
	t.Parallel()
	f := startRealFPM(t, "60s")
	deep := "function f($n) { if ($n) { f($n - 1); } else { nope(); } }\nf(50);"
	r, script := f.run(t, "p", "deep.php", deep)
	if strings.Contains(string(r.Stderr), "thrown in") {
		t.Fatalf("not cut: %q", r.Stderr)
	}
	e, ok := ParsePHPError(SplitMessages(string(r.Stderr))[0])
	if !ok || e.File != script || e.Line != 2 || len(e.Frames) < 3 || e.Frames[0] != (Frame{"f", script, 2}) {
		t.Errorf("got %+v", e)
	}
}

// With catch_workers_output each line that a worker writes is a record of its own.
func TestRealWorkerOutput(t *testing.T) {
	t.Parallel()
	f := startRealFPM(t, "60s")
	f.run(t, "p", "out.php", `file_put_contents('php://stderr', "words \"quoted\"\nmore\n");`)
	const want = `stderr: words "quoted"|stderr: more`
	f.waitFor(t, func(records []FPMRecord) bool {
		var said []string
		for _, r := range records {
			if r.Said != nil {
				said = append(said, r.Said.Stream+": "+r.Said.Text)
			}
		}
		return strings.Join(said, "|") == want
	})
}
