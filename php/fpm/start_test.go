package fpm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wpmend/php/process"
)

func TestStartDiscoverAndStartAgain(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "[second]\nuser = 33\nlisten = 127.81.7.3:9481\npm = ondemand\npm.max_children = 1")
	writeFile(t, dir+"/x.php", "<?php echo getenv('PATH') === false ? 'clean' : 'dirty';")
	ctx := context.Background()
	up, err := Start(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, up.Process) })
	if got := says(t, dir+"/live.sock", dir+"/x.php"); got != "clean" {
		t.Errorf("the live pool says %q", got)
	}
	if sid, err := syscall.Getpgid(up.Process.PID); err != nil || sid != up.Process.PID {
		t.Errorf("the master leads no session of its own: %d, %v", sid, err)
	}
	if up.Process.PPID == os.Getpid() {
		t.Error("the master is our child")
	}
	procs, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	var found []Master
	masters, _ := Discover(procs)
	for _, d := range masters {
		if d.Config == m.Config {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		t.Fatalf("discovered %d times", len(found))
	}
	if diff := cmp.Diff(up, found[0]); diff != "" {
		t.Error(diff)
	}
	if _, err := Start(ctx, m); !errors.Is(err, ErrRunning) {
		t.Errorf("started a second time: %v", err)
	}
	if !up.Process.Alive() {
		t.Fatal("the second start has ended the first")
	}
	// As after a crash: the pools' sockets stay, nobody listens.
	workers := workersOf(t, up.Process)
	if err := syscall.Kill(up.Process.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitGone(t, up.Process)
	for _, w := range workers {
		// Orphaned workers go on serving the socket, and no other FPM starts beside them.
		_ = syscall.Kill(w.PID, syscall.SIGKILL)
		waitGone(t, w)
	}
	remembered := found[0]
	remembered.Pools, remembered.Global = nil, nil
	again, err := Start(ctx, remembered)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, again.Process) })
	if len(again.Pools) != 2 || again.Process.PID == up.Process.PID {
		t.Errorf("started again as %+v", again)
	}
	if got := says(t, dir+"/live.sock", dir+"/x.php"); got != "clean" {
		t.Errorf("after the crash the live pool says %q", got)
	}
}

func TestStartErrorsHoldFPMsWords(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m, dir := live(t, "bogus = 1")
	_, err := Start(ctx, m)
	if err == nil || !strings.Contains(err.Error(), "["+dir+"/fpm.conf:12] unknown entry 'bogus'") {
		t.Errorf("a broken configuration: %v", err)
	}
	if err := m.Test(ctx); err == nil || !strings.HasSuffix(err.Error(), "exit status 78: ["+dir+"/fpm.conf:12] unknown entry 'bogus'; "+
		"failed to load configuration file '"+dir+"/fpm.conf'; FPM initialization failed") {
		t.Errorf("test of a broken configuration: %v", err)
	}
	m, dir = live(t, "")
	if err := m.Test(ctx); err != nil {
		t.Error(err)
	}
	// -t does not see that a socket cannot be bound.
	if err := os.Mkdir(dir+"/live.sock", 0o755); err != nil {
		t.Fatal(err)
	}
	_, err = Start(ctx, m)
	if err == nil || !strings.HasPrefix(err.Error(), "start php-fpm by a daemon in a session of its own: ") ||
		!strings.Contains(err.Error(), "unable to bind listening socket for address '"+dir+"/live.sock'") {
		t.Errorf("a socket that cannot be bound: %v", err)
	}
	// The daemon tells of its failure before it ends.
	if failed, err := m.find(); err != nil {
		t.Fatal(err)
	} else if failed.PID != 0 {
		waitGone(t, failed)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := m.Test(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled test: %v", err)
	}
	if _, err := Start(cancelled, m); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled start: %v", err)
	}
}

func TestStartPlan(t *testing.T) {
	t.Parallel()
	m := Master{Binary: phpFPM, Config: "/etc/php/8.2/fpm/php-fpm.conf", Unit: "php8.2-fpm.service", Env: []string{"A=b c"},
		Args: []string{"-c", "/etc/php.ini", "--nodaemonize", "-y", "/other", "-R"}}
	scope := m
	scope.Unit = "session-3.scope"
	for _, c := range []struct {
		m       Master
		systemd bool
		argv    string
		how     string
		err     string
	}{
		{m: m, systemd: true, argv: "systemctl start -- php8.2-fpm.service", how: "the unit php8.2-fpm.service"},
		{m: scope, systemd: true, argv: "systemd-run --quiet --collect --unit=wpmend-php-fpm-1d174b20 --service-type=exec --property=OOMPolicy=continue " +
			"--setenv=A=b c -- /usr/sbin/php-fpm8.2 --nodaemonize --fpm-config /etc/php/8.2/fpm/php-fpm.conf -c /etc/php.ini",
			how: "the transient unit wpmend-php-fpm-1d174b20.service"},
		{m: Master{Binary: phpFPM, Config: "/x", Unit: "wpmend-php-fpm-0f.service"}, systemd: true, argv: "systemd-run --quiet --collect " +
			"--unit=wpmend-php-fpm-b3d1db31 --service-type=exec --property=OOMPolicy=continue -- /usr/sbin/php-fpm8.2 --nodaemonize --fpm-config /x",
			how: "the transient unit wpmend-php-fpm-b3d1db31.service"},
		{m: m, argv: "/usr/sbin/php-fpm8.2 --daemonize --fpm-config /etc/php/8.2/fpm/php-fpm.conf -c /etc/php.ini", how: "a daemon in a session of its own"},
		{m: Master{Binary: phpFPM}, err: "how to start php-fpm is unknown: its binary and its configuration were never seen"},
		{m: Master{Config: "/x"}, systemd: true, err: "how to start php-fpm is unknown: its binary and its configuration were never seen"},
		{m: Master{Binary: "php-fpm", Config: "/x"}, err: `start php-fpm: the binary "php-fpm" is not an absolute path`},
		{m: Master{Binary: "/nonexistent/php-fpm", Config: "/x"}, systemd: true, err: "start php-fpm: lstat /nonexistent: no such file or directory"},
	} {
		argv, how, err := c.m.plan(c.systemd)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if strings.Join(argv, " ") != c.argv || how != c.how || got != c.err {
			t.Errorf("%+v: %q, %q, %s", c.m, argv, how, got)
		}
	}
}

func TestDiscoverDoesNotBelieveTitles(t *testing.T) {
	t.Parallel()
	title := func(argv0 string, uid uint32) process.Process {
		t.Helper()
		cmd := exec.Command("/bin/sleep", "60")
		cmd.Args = []string{argv0, "60"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		for {
			p, err := process.Read(cmd.Process.Pid)
			if err != nil {
				t.Fatal(err)
			}
			// The kernel shows the arguments a moment after it has let our fork go.
			if len(p.Argv) == 2 {
				p.Argv = p.Argv[:1]
				return p
			}
		}
	}
	dir := tempDir(t)
	writeFile(t, dir+"/evil.conf", "[www]\nuser = root\n")
	if err := os.Chown(dir+"/evil.conf", 33, 33); err != nil {
		t.Fatal(err)
	}
	user := title(titleStart+dir+"/evil.conf)", 33)
	cut := title(titleStart+"/etc/php/8.2/fpm/php-f", 0)
	foreign := title(titleStart+dir+"/evil.conf)", 0)
	masters, errs := Discover([]process.Process{user, cut, foreign, title("nginx: master process", 0), {PID: 99999999, Argv: []string{"a", "b"}}})
	if len(masters) != 0 || len(errs) != 3 {
		t.Fatalf("%+v, %v", masters, errs)
	}
	for i, want := range []string{"it runs as uid 33 (effective 33), not as root", "is cut short, so its configuration is unknown",
		dir + "/evil.conf is not believed: it must belong to root"} {
		if !strings.Contains(errs[i].Error(), want) {
			t.Errorf("%v, want %s", errs[i], want)
		}
	}
}

func TestConfigOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    process.Process
		want string
		ok   bool
	}{
		{process.Process{Argv: []string{titleStart + "/etc/a b (1).conf)"}}, "/etc/a b (1).conf", true},
		{process.Process{Argv: []string{titleStart + "fpm.conf)"}, Cwd: "/srv"}, "/srv/fpm.conf", true},
		{process.Process{Argv: []string{"php-fpm: pool www"}}, "", false},
		{process.Process{Argv: []string{titleStart + "/x)", "y"}}, "", false},
		{process.Process{}, "", false},
	} {
		if got, ok := configOf(c.p); got != c.want || ok != c.ok {
			t.Errorf("%q: %q, %v", c.p.Argv, got, ok)
		}
	}
}

func TestParseUnit(t *testing.T) {
	t.Parallel()
	args, env := parseUnit(`ExecStart={ path=/usr/sbin/php-fpm8.2 ; argv[]=/usr/sbin/php-fpm8.2 --nodaemonize --fpm-config /etc/php/8.2/fpm/php-fpm.conf -c /etc/x.ini -d a=b --define=c -n ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Environment=A=b "C=d e" "F=say \"x\"" junk
`)
	if diff := cmp.Diff([]string{"-c", "/etc/x.ini", "-d", "a=b", "--define=c", "-n"}, args); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"A=b", "C=d e", `F=say "x"`}, env); diff != "" {
		t.Error(diff)
	}
	if args, env := parseUnit("ExecStart=\nEnvironment=\n"); args != nil || env != nil {
		t.Errorf("%q, %q", args, env)
	}
	if got := withoutPrefix([]string{"-p", "/x", "-c", "y", "--prefix=/z", "-n", "-p"}); !cmp.Equal(got, []string{"-c", "y", "-n"}) {
		t.Errorf("%q", got)
	}
}

func TestCleanEnv(t *testing.T) {
	t.Parallel()
	got := strings.Join(cleanEnv([]string{"NOTIFY_SOCKET=/x", "LISTEN_FDS=1", "FPM_SOCKETS=/a=3", "A=b", "junk", "=x", "N=\x00"}), "\n")
	if !strings.HasPrefix(got, "PATH=") || !strings.HasSuffix(got, "\nA=b") || strings.Contains(got, "SOCKET") || strings.Contains(got, "LISTEN") {
		t.Errorf("%q", got)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	for out, want := range map[string]string{
		"": "", "[1] NOTICE: fine\n": "",
		"[x] NOTICE: y\n[x] ERROR: a\nPHP:  syntax error\n[x] ALERT: b\n": ": a; PHP:  syntax error; b",
	} {
		if got := words(out); got != want {
			t.Errorf("%q: %q, want %q", out, got, want)
		}
	}
	if got := words("[x] ERROR: " + strings.Repeat("a\xff", 5000)); len(got) > 2100 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestAwaitSocketEnds(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	close(ended)
	to := Address{"unix", "/nonexistent/socket"}
	if err := awaitSocket(context.Background(), to, ended); err == nil || err.Error() != "the master has ended" {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := awaitSocket(ctx, to, nil); err == nil || !strings.HasPrefix(err.Error(), "unix:/nonexistent/socket takes no connection: ") {
		t.Errorf("%v", err)
	}
	if err := awaitSocket(context.Background(), Address{}, nil); err == nil {
		t.Error("waited for nothing")
	}
}

func FuzzSplitQuoted(f *testing.F) {
	f.Add(`A=b "C=d e" 'x' \"`)
	f.Fuzz(func(t *testing.T, s string) {
		total := 0
		for _, w := range splitQuoted(s) {
			total += len(w)
		}
		if total > len(s) {
			t.Errorf("%q grew", s)
		}
		parseUnit("ExecStart=argv[]=" + s + "\nEnvironment=" + s)
	})
}
