package fpm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php/errlog"
	"wpmend/php/transient"
)

func startCopy(t testing.TB, m Master, o PrivateOptions) *Private {
	t.Helper()
	if o.Dir == "" {
		o.Dir = tempDir(t)
	}
	v, err := StartPrivate(context.Background(), m, m.Pools[0], o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func TestPrivateRunsAsThePoolWithOurSettings(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "env[SECRET] = 's;t'\nphp_admin_value[memory_limit] = 77M\nphp_value[error_reporting] = E_ALL & ~E_NOTICE\nclear_env = no\n"+
		"php_admin_value[error_log] = /dev/shm/never.log")
	writeFile(t, dir+"/ask.php", `<?php
ini_set('error_log', '/tmp/diverted'); ini_set('auto_prepend_file', '/x');
echo json_encode(['uid' => posix_getuid(), 'gid' => posix_getgid(), 'prepended' => PREPENDED, 'secret' => getenv('SECRET'),
 'notify' => getenv('NOTIFY_SOCKET'), 'memory' => ini_get('memory_limit'), 'level' => ini_get('error_reporting'), 'log' => ini_get('error_log'),
 'freq' => ini_get('opcache.revalidate_freq'), 'stamps' => ini_get('opcache.validate_timestamps'), 'dir' => ini_get('open_basedir'),
 'prepend' => basename(ini_get('auto_prepend_file')), 'inner' => getmypid() < 20, 'limit' => ini_get('opcache.preload')]);`)
	v := startCopy(t, m, PrivateOptions{Prepend: []byte("<?php define('PREPENDED', is_readable(__FILE__) && !is_readable(dirname(__DIR__) . '/fpm.conf'));")})
	var got map[string]any
	text := says(t, v.Socket(), dir+"/ask.php")
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for key, want := range map[string]any{"uid": 33., "gid": 33., "prepended": true, "secret": "s;t", "notify": false, "memory": "77M",
		"level": "32759", "log": unopenable, "freq": "0", "stamps": "1", "dir": "", "prepend": "prepend.php", "inner": true, "limit": ""} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	for path, mode := range map[string]os.FileMode{"": 0o711, "s": 0o700, "s/fpm.sock": 0o600, "p": 0o750, "p/prepend.php": 0o640, "fpm.conf": 0o600} {
		info, err := os.Stat(filepath.Join(v.dir, path))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s/%s: %v, %v; want mode %o", v.dir, path, info, err, mode)
		}
	}
	if n := len(workersOf(t, v.master)); n != 2 {
		t.Errorf("%d workers", n)
	}
	if v.Pool().Name != "www" {
		t.Errorf("a copy of %q", v.Pool().Name)
	}
}

func TestPrivateSendsErrorsToFastCGI(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "php_admin_flag[log_errors] = off\nphp_value[log_errors] = off")
	diverted := dir + "/diverted/debug.log"
	writeFile(t, dir+"/fatal.php", `<?php ini_set('display_errors', '0'); ini_set('log_errors', '0');
ini_set('error_log', '`+diverted+`'); function hurt() { missing(); } hurt();`)
	if err := os.Mkdir(filepath.Dir(diverted), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(diverted), 0o777); err != nil {
		t.Fatal(err)
	}
	v := startCopy(t, m, PrivateOptions{Prepend: []byte("<?php\n")})
	r, err := ask(t, v.Socket(), dir+"/fatal.php", "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != 500 {
		t.Errorf("status %d", r.Status)
	}
	e, ok := errlog.ParsePHPError(string(r.Stderr))
	if !ok || e.Kind != "Fatal error" || e.File != dir+"/fatal.php" || e.Line != 2 {
		t.Errorf("%q is read as %+v", r.Stderr, e)
	}
	if _, err := os.Stat(diverted); err == nil {
		t.Error("ini_set has diverted the error")
	}
}

func TestPrivateKeepsOpenBasedir(t *testing.T) {
	t.Parallel()
	for _, family := range []string{"php_admin_value", "php_value", "php.ini"} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			m, dir := live(t, "")
			setting := fmt.Sprintf("%s[open_basedir] = %s/site\n", family, dir)
			if family == "php.ini" {
				m.Args = []string{"-c", dir + "/php.ini", "-y", "/ignored"}
				writeFile(t, dir+"/php.ini", fmt.Sprintf("open_basedir = %s/site\n", dir))
			} else {
				m.Pools[0].Directives = append(m.Pools[0].Directives, mustEntry(t, setting))
			}
			writeFile(t, dir+"/secret", "secret")
			writeFile(t, dir+"/site/x.php", "<?php echo defined('PREPENDED') ? 'prepended ' : 'bare ', @file_get_contents('"+dir+"/secret') ?: 'kept in';")
			v := startCopy(t, m, PrivateOptions{Prepend: []byte("<?php define('PREPENDED', 1);")})
			if got := says(t, v.Socket(), dir+"/site/x.php"); got != "prepended kept in" {
				t.Errorf("it says %q", got)
			}
		})
	}
}

func mustEntry(t *testing.T, text string) Directive {
	t.Helper()
	l, err := parseEntry(strings.TrimSuffix(text, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return Directive{Key: l.key, Value: l.value, Raw: l.raw}
}

func TestPrivateTracesAHangAndEndsItsWorker(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "")
	writeFile(t, dir+"/hang.php", "<?php\nfunction dawdle() {\n sleep(25);\n}\ndawdle();")
	writeFile(t, dir+"/fine.php", "<?php echo 'fine';")
	v := startCopy(t, m, PrivateOptions{Prepend: []byte("<?php\n"), Workers: 2, SlowlogTimeout: time.Second})
	hung := make(chan error, 1)
	go func() { _, err := ask(t, v.Socket(), dir+"/hang.php", "nonce=7"); hung <- err }()
	var traces []errlog.SlowTrace
	for deadline := time.Now().Add(15 * time.Second); len(traces) == 0 || len(traces[0].Frames) < 2; time.Sleep(20 * time.Millisecond) {
		var err error
		if traces, err = v.Traces(); err != nil || time.Now().After(deadline) {
			t.Fatalf("no trace: %v, %v", traces, err)
		}
	}
	if f := traces[0].Frames; f[0].Func != "sleep" || f[1].Func != "dawdle" || f[0].File != dir+"/hang.php" || f[0].Line != 3 {
		t.Errorf("frames %+v", f)
	}
	records, err := v.Log()
	if err != nil {
		t.Fatal(err)
	}
	pid := 0
	for _, r := range records {
		if r.Slow != nil && strings.Contains(r.Slow.URI, "nonce=7") {
			pid = r.Slow.PID
		}
	}
	if pid == 0 || pid != traces[0].PID {
		t.Fatalf("the log names worker %d, the trace %d", pid, traces[0].PID)
	}
	if got := says(t, v.Socket(), dir+"/fine.php"); got != "fine" {
		t.Errorf("beside the hang it says %q", got)
	}
	for _, other := range []int{0, 1, -1, os.Getpid(), 999999} {
		if err := v.EndWorker(other); err == nil || !strings.HasSuffix(err.Error(), "is no worker of the private copy") {
			t.Errorf("end process %d: %v", other, err)
		}
	}
	if err := v.EndWorker(pid); err != nil {
		t.Fatal(err)
	}
	if err := <-hung; err == nil {
		t.Error("the hanging request was answered")
	}
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if records, err = v.Log(); err != nil || time.Now().After(deadline) {
			t.Fatalf("the log does not tell the worker's end: %v", err)
		}
		if last := exitOf(records, pid); last != nil {
			if last.SignalName != "SIGKILL" {
				t.Errorf("it ended by %+v", last)
			}
			break
		}
	}
	if got := says(t, v.Socket(), dir+"/fine.php"); got != "fine" {
		t.Errorf("after the hang it says %q", got)
	}
}

func exitOf(records []errlog.FPMRecord, pid int) *errlog.Exit {
	for _, r := range records {
		if r.Exit != nil && r.Exit.PID == pid {
			return r.Exit
		}
	}
	return nil
}

func TestStartPrivateErrors(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "php_value[x] = ${a")
	try := func(m Master, base, want string) {
		t.Helper()
		v, err := StartPrivate(context.Background(), m, m.Pools[0], PrivateOptions{Dir: base, Prepend: []byte("<?php\n")})
		if err == nil {
			v.Close()
			t.Errorf("started, want %s", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if left, _ := filepath.Glob(base + "/c*"); len(left) > 0 {
			t.Errorf("left %v", left)
		}
	}
	base := tempDir(t)
	try(m, base, "syntax error, unexpected end of file")
	ok, _ := live(t, "")
	if err := os.Mkdir(dir+"/closed", 0o700); err != nil {
		t.Fatal(err)
	}
	try(ok, dir+"/closed", "the pool's user cannot pass through "+dir+"/closed (chmod o+x)")
	if err := os.Chmod(dir+"/closed", 0o777); err != nil {
		t.Fatal(err)
	}
	try(ok, dir+"/closed", "must be a folder of root's that nobody else can write")
	foreign := ok
	foreign.Binary = dir + "/php-fpm"
	writeFile(t, foreign.Binary, "#!/bin/sh\n")
	try(foreign, base, "is not run as root: /tmp can be written by others than root")
	root := ok
	root.Pools = []Pool{{Name: "www", Directives: append(ok.Pools[0].Directives, Directive{Key: "user", Value: "root"})}}
	try(root, base, "user root is root")
}

// The copy sees the files of the live master's mount namespace: here a /tmp of its own (PrivateTmp=).
func TestPrivateJoinsTheMountsOfTheLiveMaster(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "")
	writeFile(t, dir+"/x.php", "<?php echo @file_get_contents('"+dir+"/hidden/only-there') ?: 'not seen';")
	if err := os.Mkdir(dir+"/hidden", 0o755); err != nil {
		t.Fatal(err)
	}
	elsewhere := make(chan error, 1)
	transient.OnOwnThread(func() {
		elsewhere <- func() error {
			if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
				return err
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}
			if err := unix.Mount("tmpfs", dir+"/hidden", "tmpfs", 0, "mode=755"); err != nil {
				return err
			}
			if err := os.WriteFile(dir+"/hidden/only-there", []byte("seen"), 0o644); err != nil {
				return err
			}
			return launch(context.Background(), []string{phpFPM, "--daemonize", "-y", m.Config}, nil)
		}()
	})
	if err := <-elsewhere; err != nil {
		t.Fatal(err)
	}
	running, err := m.find()
	if err != nil || running.PID == 0 {
		t.Fatalf("%+v, %v", running, err)
	}
	t.Cleanup(func() { stop(t, running) })
	base := tempDir(t)
	without := startCopy(t, m, PrivateOptions{Dir: base, Prepend: []byte("<?php\n")})
	if got := says(t, without.Socket(), dir+"/x.php"); got != "not seen" {
		t.Errorf("without a live master the copy says %q", got)
	}
	m.Process = running
	with := startCopy(t, m, PrivateOptions{Dir: base, Prepend: []byte("<?php\n"), Overlays: []Overlay{{Dir: dir + "/hidden"}}})
	if got := says(t, with.Socket(), dir+"/x.php"); got != "seen" {
		t.Errorf("beside the live master the copy says %q", got)
	}
	if _, err := os.Stat(dir + "/hidden/only-there"); err == nil {
		t.Error("we see the other mount namespace ourselves")
	}
}

func BenchmarkStartPrivate(b *testing.B) {
	m, dir := live(b, "")
	writeFile(b, dir+"/site/mu/a.php", "<?php")
	base := tempDir(b)
	for name, overlays := range map[string][]Overlay{
		"without an overlay": nil, "nothing hidden": {{Dir: dir + "/site"}}, "one hidden": {{Dir: dir + "/site", Hide: []string{"mu/a.php"}}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				v, err := StartPrivate(context.Background(), m, m.Pools[0], PrivateOptions{Dir: base, Prepend: []byte("<?php\n"), Overlays: overlays})
				if err != nil {
					b.Fatal(err)
				}
				if err := v.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
