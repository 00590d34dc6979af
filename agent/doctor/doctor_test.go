package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/agent/config"
	"wpmend/php/fpm"
)

// judged is what a look brought, in lines.
func judged(look func(s *sheet)) string {
	s := &sheet{area: "test"}
	look(s)
	text := ""
	for _, f := range s.findings {
		text += fmt.Sprintf("%s %s: %s → %s\n", f.State, f.Check, f.Text, f.Do)
	}
	return text
}

// wants: each of these lines begins so and holds the word behind the "…".
func wants(t *testing.T, name, got string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		begin, word, _ := strings.Cut(l, "…")
		found := false
		for line := range strings.Lines(got) {
			found = found || strings.HasPrefix(line, begin) && strings.Contains(line, word)
		}
		if !found {
			t.Errorf("%s: want %q in\n%s", name, l, got)
		}
	}
	if len(lines) == 0 && strings.Contains("\n"+got, "\nproblem") || strings.Contains("\n"+got, "\nwarning") && !strings.Contains(strings.Join(lines, "\n"), "warning") {
		t.Errorf("%s: more than it should be:\n%s", name, got)
	}
}

func TestRights(t *testing.T) {
	t.Parallel()
	all := uint64(1)<<41 - 1
	status := func(missing int, seccomp string) string {
		return fmt.Sprintf("Name:\tx\nCapEff:\t%016x\nSeccomp:\t%s\n", all&^(1<<missing), seccomp)
	}
	rights := func(uid int, status, in string) string {
		return judged(func(s *sheet) { s.findings = judgeRights(uid, status, in) })
	}
	wants(t, "root", rights(0, status(40, "0"), ""), "ok capabilities: root")
	wants(t, "a user", rights(1000, status(40, "0"), ""), "problem root: …sudo")
	wants(t, "docker", rights(0, status(unix.CAP_SYS_ADMIN, "2"), "docker"), "warning capability CAP_SYS_ADMIN…db.php", "warning capability CAP_SYS_ADMIN…--cap-add=SYS_ADMIN", "warning seccomp…docker")
	wants(t, "no chown", rights(0, status(unix.CAP_CHOWN, "0"), ""), "problem capability CAP_CHOWN")
	wants(t, "junk", rights(0, "CapEff: zz\n\x00", ""), "unknown capabilities")
}

func TestUnit(t *testing.T) {
	t.Parallel()
	const packaged = "/usr/lib/systemd/system/wpmend.service"
	well := func(change ...string) unit {
		u := unit{booted: true, packaged: packaged, known: map[string]string{"LoadState": "loaded", "FragmentPath": packaged, "UnitFileState": "enabled", "ActiveState": "active",
			"NRestarts": "0", "WatchdogUSec": "30s", "MainPID": "7", "NoNewPrivileges": "yes", "NeedDaemonReload": "no", "StatusText": "watching 3 sites"}}
		for i := 0; i < len(change); i += 2 {
			u.known[change[i]] = change[i+1]
		}
		return u
	}
	for _, c := range []struct {
		name string
		unit unit
		want []string
	}{
		{"well", well(), nil},
		{"no systemd", unit{}, []string{"warning service: …wpmend run"}},
		{"systemd is silent", unit{booted: true, err: errors.New("no bus")}, []string{"unknown service: …no bus"}},
		{"not installed", well("LoadState", "not-found"), []string{"problem service, unit: …wpmend service install --now"}},
		{"masked", well("LoadState", "masked"), []string{"problem service, unit: …unmask"}},
		{"unreadable", well("LoadState", "bad-setting"), []string{"problem service, unit: …systemd-analyze verify"}},
		{"hidden", well("FragmentPath", localUnit), []string{"warning service, unit: …hides the packaged " + packaged}},
		{"hidden by a bare one", well("FragmentPath", localUnit, "NoNewPrivileges", "no"), []string{"problem service, unit: …bounds nothing"}},
		{"bare", well("NoNewPrivileges", "no"), []string{"warning service, unit: …all of root's rights"}},
		{"changed on disk", well("NeedDaemonReload", "yes"), []string{"warning service, unit on disk: …daemon-reload"}},
		{"not at boot", well("UnitFileState", "disabled"), []string{"warning service, boot: …systemctl enable"}},
		{"failed", well("ActiveState", "failed", "Result", "watchdog"), []string{"problem service, running: …watchdog"}},
		{"stopped", well("ActiveState", "inactive"), []string{"problem service, running: …systemctl start wpmend"}},
		{"restarted", well("NRestarts", "4"), []string{"warning service, restarts: …4 times"}},
		{"no watchdog", well("WatchdogUSec", "0"), []string{"warning service, watchdog: …WatchdogSec=30s"}},
		{"upgraded", func() unit { u := well(); u.older = true; return u }(), []string{"warning service, program: …systemctl restart wpmend"}},
	} {
		wants(t, c.name, judged(func(s *sheet) { judgeUnit(s, c.unit) }), c.want...)
	}
}

func TestAPI(t *testing.T) {
	t.Parallel()
	api := func(running bool, version string, err error) string {
		return judged(func(s *sheet) { judgeAPI(s, "/run/x.sock", running, version, "2.0", err) })
	}
	wants(t, "well", api(true, "2.0", nil), "ok API")
	wants(t, "older", api(true, "1.9", nil), "warning service, program: …1.9")
	wants(t, "stopped", api(false, "", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENOENT)}), "unknown API")
	wants(t, "deaf", api(true, "", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), "problem API: …journalctl")
	dir := t.TempDir()
	token := func(name, text string, mode fs.FileMode) string {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(file, []byte(text), mode), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		return judged(func(s *sheet) { judgeToken(s, config.API{Listen: "127.0.0.1:1", TokenFile: file}) })
	}
	wants(t, "token", token("a", strings.Repeat("x", 40), 0o600), "ok API, token")
	wants(t, "short token", token("b", "x", 0o600), "problem API, token: …32")
	wants(t, "open token", token("c", strings.Repeat("x", 40), 0o644), "problem API, token: …chmod 600")
	wants(t, "no token", judged(func(s *sheet) { judgeToken(s, config.API{TokenFile: dir + "/none"}) }), "problem API, token: …openssl rand")
	wants(t, "token is a folder", judged(func(s *sheet) { judgeToken(s, config.API{TokenFile: dir}) }), "problem API, token: …no file")
}

func TestFolders(t *testing.T) {
	t.Parallel()
	well := func(change func(f *folder)) folder {
		f := folder{path: "/var/lib/wpmend", isDir: true, mode: 0o700, kind: "ext4", free: 1 << 34, files: 1 << 20}
		change(&f)
		return f
	}
	for _, c := range []struct {
		name   string
		change func(f *folder)
		want   []string
	}{
		{"well", func(*folder) {}, nil},
		{"not there", func(f *folder) { f.err = unix.ENOENT }, []string{"ok state folder: …when it runs first"}},
		{"cannot be made", func(f *folder) { f.err, f.ro = unix.ENOENT, true }, []string{"problem state folder: …read-only"}},
		{"a file", func(f *folder) { f.isDir = false }, []string{"problem state folder: …no folder"}},
		{"a user's", func(f *folder) { f.uid = 1000 }, []string{"problem state folder: …chown root"}},
		{"open", func(f *folder) { f.mode = 0o777 }, []string{"problem state folder: …chmod 700"}},
		{"readable", func(f *folder) { f.mode = 0o755 }, []string{"warning state folder: …chmod 700"}},
		{"below an open one", func(f *folder) { f.above = "/srv" }, []string{"problem state folder, the way there: …/srv"}},
		{"full", func(f *folder) { f.free = 1000 }, []string{"problem state folder, room: …df -h"}},
		{"nearly full", func(f *folder) { f.free = 64 << 20 }, []string{"warning state folder, room: …64 MB"}},
		{"no inodes", func(f *folder) { f.files = 3 }, []string{"problem state folder, room: …df -i"}},
		{"read-only", func(f *folder) { f.ro = true }, []string{"problem state folder, room: …remount"}},
		{"in memory", func(f *folder) { f.kind = "tmpfs" }, []string{"warning state folder, file system: …reboot"}},
		{"on NFS", func(f *folder) { f.kind = "NFS" }, []string{"warning state folder, file system: …NFS"}},
	} {
		wants(t, c.name, judged(func(s *sheet) { judgeState(s, well(c.change)) }), c.want...)
	}
	locks := func(change func(f *folder)) string {
		return judged(func(s *sheet) {
			judgeLocks(s, well(func(f *folder) { f.path, f.kind = "/run/wpmend/lock", "tmpfs"; change(f) }))
		})
	}
	wants(t, "locks", locks(func(*folder) {}), "ok lock folder")
	wants(t, "open locks", locks(func(f *folder) { f.mode = 0o777 }), "problem lock folder: …chmod 700")
	wants(t, "no room for locks", locks(func(f *folder) { f.free = 0 }), "problem lock folder: …df -h")
	if f := examineFolder("/proc/self/nothing/at/all"); !errors.Is(f.err, fs.ErrNotExist) || f.path == "" {
		t.Errorf("%+v", f)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if f := examineFolder(dir); f.err != nil || !f.isDir || f.mode != 0o750 || f.free == 0 {
		t.Errorf("%+v", f)
	}
}

func TestKernel(t *testing.T) {
	t.Parallel()
	well := kernel{watches: 8192, instances: 128, used: 10, inUse: 3, folders: 4, logs: 9, files: 1024}
	change := func(do func(k *kernel)) string {
		k := well
		do(&k)
		return judged(func(s *sheet) { judgeKernel(s, k) })
	}
	wants(t, "well", change(func(*kernel) {}))
	wants(t, "few watches", change(func(k *kernel) { k.watches = 12 }), "warning inotify: …fs.inotify.max_user_watches = 65536")
	wants(t, "those of the service count already", change(func(k *kernel) { k.watches, k.watching = 12, true }))
	wants(t, "no instance left", change(func(k *kernel) { k.inUse = 128 }), "warning inotify: …fs.inotify.max_user_instances = 512")
	wants(t, "unknown", change(func(k *kernel) { k.watches = 0 }), "unknown inotify")
	wants(t, "5,000 logs", change(func(k *kernel) { k.logs, k.service = 5000, true }), "problem open files: …LimitNOFILE=65536")
	wants(t, "namespaces", judged(func(s *sheet) { judgeNamespaces(s, func(string) (int, error) { return 1000, nil }) }))
	wants(t, "no namespaces", judged(func(s *sheet) { judgeNamespaces(s, func(string) (int, error) { return 0, nil }) }), "problem namespaces: …sysctl -w user.max_pid_namespaces")
	wants(t, "unknown namespaces", judged(func(s *sheet) { judgeNamespaces(s, func(string) (int, error) { return 0, fs.ErrNotExist }) }), "ok namespaces")
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, t.TempDir(), unix.IN_CREATE); err != nil {
		t.Fatal(err)
	}
	if watches, instances := inotify(); watches < 1 || instances < 1 {
		t.Errorf("%d watches, %d instances, and one of each is ours", watches, instances)
	}
}

func TestClocks(t *testing.T) {
	t.Parallel()
	wants(t, "kept", judged(func(s *sheet) { judgeSync(s, unix.TIME_OK, 0, nil) }))
	wants(t, "unkept", judged(func(s *sheet) { judgeSync(s, unix.TIME_ERROR, unix.STA_UNSYNC, nil) }), "warning clock, kept: …timedatectl")
	wants(t, "unknown", judged(func(s *sheet) { judgeSync(s, -1, 0, unix.EPERM) }), "unknown clock, kept")
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)
	for said, want := range map[time.Duration]time.Duration{0: 0, time.Second: 0, -2 * time.Hour: -2 * time.Hour, 345 * time.Minute: 345 * time.Minute, -7 * time.Minute: 0,
		-2*time.Hour - 40*time.Second: 0, 90 * 24 * time.Hour: 0} {
		if got := zone(now.Add(said), now); got != want {
			t.Errorf("a record %s off the file's time: %s, want %s", said, got, want)
		}
	}
	if got := offset(-2*time.Hour) + ", " + offset(345*time.Minute); got != "2h behind, 5h45m ahead" {
		t.Error(got)
	}
	file := filepath.Join(t.TempDir(), "error.log")
	if err := os.WriteFile(file, []byte(time.Now().Add(-3*time.Hour).Format("2006/01/02 15:04:05")+" [error] 1#1: *1 x, client: 1.2.3.4, server: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	said, written, err := lastRecord("nginx", file)
	if err != nil || zone(said, written) != -3*time.Hour {
		t.Errorf("%s, %s, %v: want three hours between", said, written, err)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	look := func(l logFile) string {
		return judged(func(s *sheet) { judgeLogs(s, []string{"/var/log/x.log"}, func(string) logFile { return l }) })
	}
	wants(t, "well", look(logFile{size: 100}))
	wants(t, "none", judged(func(s *sheet) { judgeLogs(s, nil, nil) }), "warning logs: …access_log")
	wants(t, "unreadable", look(logFile{err: &fs.PathError{Op: "open", Path: "/var/log/x.log", Err: unix.EACCES}}), "warning logs, unreadable: …/var/log/x.log")
	wants(t, "yet to come", look(logFile{err: unix.ENOENT}), "ok logs, yet to come")
	wants(t, "large", look(logFile{size: 5 << 30}), "warning logs, rotation: …5120 MB")
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o666); err != nil {
		t.Fatal(err)
	}
	if l := examineLog(pipe); l.err == nil || !strings.Contains(l.err.Error(), pipe) { // and it does not wait for a writer
		t.Errorf("%+v", l)
	}
	secret, link := filepath.Join(dir, "secret"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(secret, nil, 0o600), os.Symlink(secret, link)); err != nil {
		t.Fatal(err)
	}
	if l := examineLog(link); l.err == nil {
		t.Error("a link is followed")
	}
	if _, _, err := lastRecord("nginx", pipe); err == nil {
		t.Error("a pipe has a last record")
	}
}

func TestPoolsAndDisks(t *testing.T) {
	t.Parallel()
	m := fpm.Master{Config: "/etc/fpm.conf", Pools: []fpm.Pool{{Name: "a", Directives: []fpm.Directive{{Key: "listen", Value: "/run/a.sock"}, {Key: "user", Value: "daemon"}}}}}
	wants(t, "pool", judged(func(s *sheet) { judgePools(s, m, func(fpm.Address) error { return nil }) }), "ok PHP-FPM, pools")
	wants(t, "dead pool", judged(func(s *sheet) { judgePools(s, m, func(fpm.Address) error { return syscall.ECONNREFUSED }) }), "problem PHP-FPM, pools: …[a] at unix:/run/a.sock")
	m.Pools[0].Directives[1].Value = "root"
	wants(t, "root's pool", judged(func(s *sheet) { judgePools(s, m, func(fpm.Address) error { return nil }) }), "warning PHP-FPM, users: …[a]")
	disk := func(free, all, inodes, of uint64) string {
		return judged(func(s *sheet) { judgeDisk(s, "/srv", free, all, inodes, of) })
	}
	wants(t, "disk", disk(1<<34, 1<<36, 1000, 1000))
	wants(t, "small but empty", disk(10<<20, 11<<20, 0, 0))
	wants(t, "full", disk(1<<20, 1<<36, 1000, 1000), "problem disks, room: …du -xh")
	wants(t, "nearly full", disk(500<<20, 1<<36, 1000, 1000), "warning disks, room: …500 MB")
	wants(t, "inodes", disk(1<<34, 1<<36, 5, 1000), "problem disks, inodes: …5 of 1000")
	if got := firstServer("# nameserver 9.9.9.9\nsearch x\nnameserver 1.2.3.4\nnameserver 5.6.7.8\n"); got != "1.2.3.4" {
		t.Error(got)
	}
	answer := func(err error) string { return judged(func(s *sheet) { judgeAnswer(s, "1.2.3.4", "a.b", err) }) }
	wants(t, "names", answer(nil), "ok name server")
	wants(t, "unknown name", answer(&net.DNSError{IsNotFound: true}), "ok name server: …no a.b")
	wants(t, "silent", answer(&net.DNSError{IsTimeout: true}), "warning name server: …edge.resolver")
}

// FuzzSaid: of a server's words nothing is lost, and a place is one that they name.
func FuzzSaid(f *testing.F) {
	f.Add(`nginx (process 7): exit status 1: 2026/11/23 [emerg] 1#1: unknown directive "x" in /etc/nginx/a.conf:12`)
	f.Add("AH00526: Syntax error on line 3 of /etc/apache2/x.conf:")
	f.Add(" in /:0 line 9 of /")
	f.Fuzz(func(t *testing.T, text string) {
		got := said(text)
		if !strings.HasSuffix(got, text) {
			t.Errorf("%q became %q", text, got)
		}
		if place, _, ok := strings.Cut(strings.TrimSuffix(got, text), ", line "); ok && !strings.Contains(text, place) {
			t.Errorf("%q is not named in %q", place, text)
		}
	})
}
