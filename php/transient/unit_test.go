package transient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/packaging/lab"
)

// confinedEnv tells the test binary that it is the service that has few rights: "test", or "left" to be killed.
const confinedEnv = "WPMEND_TEST_CONFINED"

func TestMain(m *testing.M) {
	if Helps(os.Args) {
		os.Exit(Help(prepareTest))
	}
	if os.Getenv(confinedEnv) == "left" {
		c, err := Start(context.Background(), command("sleep", "12345"), Options{Alone: true})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready", c.PID)
		select {}
	}
	os.Exit(m.Run())
}

// prepareTest shows that it ran, in the rights that a mount needs and our service has not.
func prepareTest(data []byte) error {
	if string(data) == "refuse" {
		return errors.New("refused: as told")
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return err
	}
	return unix.Mount("tmpfs", string(data), "tmpfs", 0, "")
}

func command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir = []string{"PATH=/usr/bin:/bin", "A=b c"}, "/"
	return cmd
}

// said runs a shell's script and gives its output.
func said(t *testing.T, script string, o Options, change func(*exec.Cmd)) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := command("/bin/sh", "-c", script)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if change != nil {
		change(cmd)
	}
	err = Run(t.Context(), cmd, o)
	return out.String(), errs.String(), err
}

// hardening is what makes a service one of those that this package is for; as the real unit's, it may not mount.
var hardening = []string{"--property=NoNewPrivileges=yes", "--property=CapabilityBoundingSet=CAP_KILL CAP_SYS_PTRACE CAP_DAC_OVERRIDE",
	"--property=ProtectSystem=strict", "--property=RestrictNamespaces=yes", "--property=MemoryDenyWriteExecute=yes", "--property=SystemCallFilter=@system-service"}

func TestConfined(t *testing.T) {
	t.Parallel()
	if os.Getenv(confinedEnv) == "test" {
		testConfined(t)
		return
	}
	if !lab.InSystemd(t, lab.SystemdOptions{}) {
		return
	}
	if Confined() {
		t.Error("what runs in a scope counts as confined")
	}
	// A helper that carries the race detector would take a second to end.
	if out, err := exec.Command("systemctl", "set-environment", "GORACE=atexit_sleep_ms=0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	run := func(unit, part string, args ...string) *exec.Cmd {
		all := append([]string{"--quiet", "--collect", "--pipe", "--wait", "--unit=" + unit, "--setenv=" + confinedEnv + "=" + part}, hardening...)
		return exec.Command("systemd-run", append(append(all, "--", "/lab/test"), args...)...)
	}
	if out, err := run("confined", "test", "-test.run=^TestConfined$", "-test.v").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
	// Killed without a chance to tidy up, it leaves nothing.
	left := run("left", "left")
	pipe, err := left.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := left.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make([]byte, 64)
	n, err := io.ReadAtLeast(pipe, ready, len("ready 1\n"))
	var pid int
	if _, serr := fmt.Sscanf(string(ready[:n]), "ready %d", &pid); err != nil || serr != nil {
		t.Fatalf("%q, %v", ready[:n], err)
	}
	if units := ours(t); len(units) == 0 || !strings.HasPrefix(units[0], unitStart) {
		t.Errorf("units while it runs: %q", units)
	}
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil || !strings.Contains(string(group), "/"+unitStart) {
		t.Errorf("it runs in %s, %v", group, err)
	}
	begun := time.Now()
	if out, err := exec.Command("systemctl", "kill", "--signal=KILL", "left.service").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for deadline := begun.Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
		if errors.Is(err, os.ErrNotExist) && len(ours(t)) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d: %v; units %q", pid, err, ours(t))
		}
	}
	t.Logf("%s after SIGKILL nothing is left", time.Since(begun).Round(time.Millisecond))
	_ = left.Wait() // it was killed
}

// ours are the units that there are of this package's.
func ours(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("systemctl", "list-units", "--all", "--plain", "--no-legend", unitStart+"*").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// testConfined runs in the service.
func testConfined(t *testing.T) {
	if !Confined() {
		t.Fatal("the service does not count as confined")
	}
	for _, tc := range []struct {
		script, out, errs, fails string
		code                     int
		o                        Options
		change                   func(*exec.Cmd)
	}{
		{script: "echo out; echo err >&2; pwd", out: "out\n/\n", errs: "err\n"},
		{script: "exit 1", fails: "exit status 1", code: 1, o: Options{Tasks: 1}},
		{script: "exit 255", fails: "exit status 255", code: 255},
		{script: "kill -9 $$", fails: "signal: killed", code: -1},
		{script: "kill -13 $$", fails: "signal: broken pipe", code: -1},
		{script: `env | grep -v ^PWD | sort; cat`, out: "A=b c\nPATH=/usr/bin:/bin\nfed", change: func(c *exec.Cmd) { c.Stdin = strings.NewReader("fed") }},
		{script: "true", change: func(c *exec.Cmd) { c.Stdin = strings.NewReader(strings.Repeat("x", 1<<20)) }},
		{script: "id -u; id -g; id -G; grep NoNewPrivs /proc/self/status; readlink /proc/self/fd/0", out: "33\n33\n33\nNoNewPrivs:\t1\n/dev/null\n",
			o: Options{NoNewPrivs: true},
			change: func(c *exec.Cmd) {
				c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 33, Gid: 33}}
			}},
		{script: "echo $$; grep NoNewPrivs /proc/self/status; mount -t tmpfs x /mnt && umount /mnt && touch /usr/written", out: "1\nNoNewPrivs:\t0\n",
			o: Options{Alone: true, Prepare: prepareTest, Data: []byte("/srv")}},
		{script: "stat -f -c %T /srv", out: "tmpfs\n", o: Options{Prepare: prepareTest, Data: []byte("/srv")}},
		{script: "true", o: Options{Prepare: prepareTest, Data: []byte("refuse")}, fails: "refused: as told"},
		{script: "head -c 100M /dev/zero | tail; exit 7", fails: "exit status 7", code: 7, o: Options{Memory: "50M"}}, // tail is killed, no more
		{script: "", change: func(c *exec.Cmd) { c.Path = "/no/such/program" }, fails: "fork/exec /no/such/program: no such file or directory"},
	} {
		out, errs, err := said(t, tc.script, tc.o, tc.change)
		if out != tc.out || errs != tc.errs && tc.code != 7 {
			t.Errorf("%s: said %q and %q", tc.script, out, errs)
		}
		var exit Exit
		switch {
		case tc.fails == "" && err != nil, tc.fails != "" && (err == nil || !strings.Contains(err.Error(), tc.fails)):
			t.Errorf("%s: %v, want %q", tc.script, err, tc.fails)
		case tc.code != 0 && (!errors.As(err, &exit) || exit.ExitCode() != tc.code || exit.Exited() != (tc.code > 0)):
			t.Errorf("%s: %v, want code %d", tc.script, err, tc.code)
		case tc.code == 0 && errors.As(err, &exit):
			t.Errorf("%s: %v is no end of its own", tc.script, err)
		}
	}
	// systemd kills all of a unit at once: the helper may or may not come to say so.
	if _, _, err := said(t, "sleep 50", Options{Time: time.Millisecond}, nil); err == nil ||
		!strings.Contains(err.Error(), " was ended before it") && err.Error() != "signal: killed" {
		t.Errorf("past its time: %v", err)
	}
	if out, _, err := said(t, "readlink /proc/1/ns/mnt /proc/self/ns/mnt | uniq | wc -l", Options{}, nil); out != "1\n" || err != nil {
		t.Errorf("it does not see what the host sees: %q, %v", out, err)
	}
	// A ctx that ends, ends all that was started, in a session of its own or not.
	ctx, cancel := context.WithCancel(t.Context())
	cmd := command("/bin/sh", "-c", "setsid sleep 4321 & sleep 4321 & echo; wait")
	r, w := io.Pipe()
	cmd.Stdout = w
	go func() {
		_, _ = r.Read(make([]byte, 1))
		cancel()
		_, _ = io.Copy(io.Discard, r)
	}()
	if err := Run(ctx, cmd, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if out, err := exec.Command("pgrep", "--runstates", "R,S,D", "-x", "sleep").CombinedOutput(); err == nil {
		t.Errorf("left running: %s", out)
	}
	// One that ends before the unit has begun leaves nothing, and writes into no buffer any more.
	for after := range 12 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(after)*2*time.Millisecond)
		var out bytes.Buffer
		cmd := command("/bin/sh", "-c", "echo on its way; sleep 4321")
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := Run(ctx, cmd, Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended after %d ms: %v", 2*after, err)
		}
		_ = out.String()
		cancel()
	}
	if out, err := exec.Command("pgrep", "--runstates", "R,S,D", "-x", "sleep").CombinedOutput(); err == nil {
		t.Errorf("left running: %s", out)
	}
	// Our own file is known by its path where root alone can change it, and as long as it lies there.
	if by := ourselves(); by != "/lab/test" && !strings.HasPrefix(by, "/proc/") {
		t.Errorf("we are %s", by)
	}
	// Several at once do not disturb each other.
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			var out bytes.Buffer
			cmd := command("/bin/sh", "-c", fmt.Sprintf("echo %d; exit %d", i, i))
			cmd.Stdout = &out
			err := Run(t.Context(), cmd, Options{})
			var exit Exit
			if out.String() != fmt.Sprintln(i) || i > 0 && (!errors.As(err, &exit) || exit.ExitCode() != i) {
				t.Errorf("%d: %q, %v", i, out.String(), err)
			}
		})
	}
	all.Wait()
	if units := ours(t); len(units) != 0 {
		t.Errorf("units left: %q", units)
	}
	begun := time.Now()
	const runs = 10
	for range runs {
		if _, _, err := said(t, ":", Options{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("one run takes %s", (time.Since(begun) / runs).Round(100*time.Microsecond))
}
