package process

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// child starts a process that waits for its stdin to close.
func child(t *testing.T, cmd *exec.Cmd) Process {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	// cat echoes: it has been executed, we no longer read the fork of ourselves.
	if _, err := in.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	p, err := Read(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestReadOwnChild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("/bin/cat", "-u", "-")
	cmd.Dir = dir
	p := child(t, cmd)
	want := Process{PID: cmd.Process.Pid, PPID: os.Getpid(), UID: 0, Start: p.Start, Exe: "/usr/bin/cat",
		Argv: []string{"/bin/cat", "-u", "-"}, Unit: p.Unit, Cwd: dir}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if !p.Alive() {
		t.Error("a running child is not alive")
	}
	other := p
	other.Start++
	if other.Alive() {
		t.Error("a process with the same PID and another start is taken for this one")
	}
	if err := p.SpeaksForHost(); err != nil {
		t.Errorf("root running /usr/bin/cat: %v", err)
	}
	link, err := os.Readlink(p.MountNamespace())
	if err != nil || !strings.HasPrefix(link, "mnt:[") {
		t.Errorf("mount namespace %q, %v", link, err)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back Process
	if err := json.Unmarshal(b, &back); err != nil || !cmp.Equal(p, back) {
		t.Errorf("JSON %s gave %+v, %v", b, back, err)
	}
}

func TestListHoldsUsOnce(t *testing.T) {
	t.Parallel()
	procs, err := List()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for i, p := range procs {
		if p.PID == os.Getpid() {
			seen++
		}
		if i > 0 && procs[i-1].PID >= p.PID {
			t.Errorf("PID %d listed before %d", procs[i-1].PID, p.PID)
		}
	}
	if seen != 1 {
		t.Errorf("our own process is listed %d times", seen)
	}
}

func TestEndedProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := Read(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := waitZombie(p.PID); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("a zombie is called alive")
	}
	if _, err := Read(p.PID); !errors.Is(err, ErrGone) {
		t.Errorf("reading a zombie gives %v", err)
	}
	_ = cmd.Wait()
	if p.Alive() {
		t.Error("an ended process is called alive")
	}
	if err := p.SpeaksForHost(); !errors.Is(err, ErrGone) {
		t.Errorf("an ended process: %v", err)
	}
	if (Process{}).Alive() {
		t.Error("the zero process is called alive")
	}
}

// waitZombie waits until the child has ended, without reaping it (waitid with WNOWAIT).
func waitZombie(pid int) error {
	const pPID, wExited, wNoWait = 1, 4, 0x01000000
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, pPID, uintptr(pid), 0, wExited|wNoWait, 0, 0)
		if errno == syscall.EINTR {
			continue
		}
		if errno != 0 {
			return errno
		}
		return nil
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestWhoDoesNotSpeakForHost(t *testing.T) {
	t.Parallel()
	fails := func(t *testing.T, p Process, want string) {
		t.Helper()
		err := p.SpeaksForHost()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	t.Run("a user", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command("/bin/cat")
		cmd.Args = []string{"php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 33, Gid: 33}}
		p := child(t, cmd)
		if p.UID != 33 {
			t.Errorf("uid %d", p.UID)
		}
		fails(t, p, "it runs as uid 33 (effective 33), not as root")
	})
	t.Run("a user who is root in a user namespace", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command("/bin/cat")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}}
		fails(t, child(t, cmd), "it lives in another user namespace")
	})
	t.Run("a binary below /tmp", func(t *testing.T) {
		t.Parallel()
		dir, err := os.MkdirTemp("/tmp", "wp")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		copyFile(t, "/bin/cat", filepath.Join(dir, "php-fpm"))
		fails(t, child(t, exec.Command(filepath.Join(dir, "php-fpm"))), "/tmp can be written by others than root (mode 0777)")
	})
	t.Run("another root folder", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		// What /bin/cat needs, as ldd(1) says: a chroot in which the same paths are other files.
		for _, path := range []string{"/usr/bin/cat", "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"} {
			to := filepath.Join(dir, path)
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			copyFile(t, path, to)
		}
		cmd := exec.Command("/usr/bin/cat")
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
		cmd.Dir = "/"
		fails(t, child(t, cmd), "it has another root folder (container or chroot)")
	})
}

func TestMountNamespaceIsNoOtherRoot(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/cat")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if err := child(t, cmd).SpeaksForHost(); err != nil {
		t.Error(err)
	}
}

func TestReplacedBinaryIsJudgedByItsPath(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/usr/local/sbin", ".wpmend-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "php-fpm")
	copyFile(t, "/bin/cat", bin)
	p := child(t, exec.Command(bin))
	if err := p.SpeaksForHost(); err != nil {
		t.Fatalf("before the upgrade: %v", err)
	}
	copyFile(t, "/bin/cat", bin+".new")
	if err := os.Rename(bin+".new", bin); err != nil {
		t.Fatal(err)
	}
	again, err := Read(p.PID)
	if err != nil {
		t.Fatal(err)
	}
	if again.Exe != bin {
		t.Errorf("binary %q after the upgrade", again.Exe)
	}
	if err := again.SpeaksForHost(); err != nil {
		t.Errorf("after the upgrade: %v", err)
	}
	for what, change := range map[string]func() error{
		"group": func() error { return os.Chmod(dir, 0o775) },
		"owner": func() error { return errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, 33, 0)) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if again.SpeaksForHost() == nil {
			t.Errorf("%s of the folder is not looked at", what)
		}
	}
}

func TestRootOnly(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/usr/bin/env":     "",
		"/bin/../bin/env":  `"/bin/../bin/env" is not a clean absolute path`,
		"env":              `"env" is not a clean absolute path`,
		"/usr/bin":         "/usr/bin is a folder",
		"/dev/null":        "/dev/null is a special file",
		"/usr/bin/env/x":   "lstat /usr/bin/env/x: not a directory",
		"/no/such/program": "lstat /no/such/program: no such file or directory",
		"/bin/env":         "/bin is a symbolic link",
	} {
		got := ""
		if err := RootOnly(path); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}
