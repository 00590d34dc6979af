package fpm

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"wpmend/php/process"
)

func TestPrivateCloseEndsEverything(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "")
	writeFile(t, dir+"/spawn.php", "<?php exec('setsid sleep 300 > /dev/null 2>&1 & echo $!', $out); echo $out[0];")
	base := tempDir(t)
	v := startCopy(t, m, PrivateOptions{Dir: base, Prepend: []byte("<?php\n")})
	says(t, v.Socket(), dir+"/spawn.php")
	all := append(inNamespaceOf(t, v.master), v.master)
	if len(all) < 4 {
		t.Fatalf("only %d processes", len(all))
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Alive() {
			t.Errorf("%v outlives Close", p.Argv)
		}
	}
	if left, _ := filepath.Glob(base + "/c*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if err := v.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}

// inNamespaceOf lists what runs in the PID namespace of p, besides p.
func inNamespaceOf(t *testing.T, p process.Process) []process.Process {
	t.Helper()
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	procs, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	var found []process.Process
	for _, other := range procs {
		if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", other.PID)); err == nil && ns == want && other.PID != p.PID {
			found = append(found, other)
		}
	}
	return found
}

func TestKilledOwnerTakesItsCopyAlong(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "")
	writeFile(t, dir+"/site/x.php", "<?php echo file_put_contents(__DIR__ . '/left', 'x');")
	if err := os.Chmod(dir+"/site", 0o777); err != nil {
		t.Fatal(err)
	}
	base := tempDir(t)
	mine := startCopy(t, m, PrivateOptions{Dir: base, Prepend: []byte("<?php\n")})
	cmd, master := startOwner(t, m, base, Overlay{Dir: dir + "/site"})
	all := append(inNamespaceOf(t, master), master)
	if err := CleanPrivates(base); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(base + "/c*"); len(left) != 2 || !master.Alive() {
		t.Fatalf("a living owner's copy is not left alone: %v", left)
	}
	sockets, err := filepath.Glob(base + "/c*/s/fpm.sock")
	if err != nil || len(sockets) != 2 {
		t.Fatal(sockets, err)
	}
	for _, socket := range sockets {
		if socket != mine.Socket() && says(t, socket, dir+"/site/x.php") != "1" {
			t.Error("its overlay cannot be written")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		waitGone(t, p)
	}
	if err := CleanPrivates(base); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(base + "/c*"); len(left) != 1 || left[0] != mine.dir {
		t.Errorf("left %v, want only %s", left, mine.dir)
	}
	if left, _ := filepath.Glob(dir + "/site/*"); len(left) != 1 || len(ours(t, base)) > 0 {
		t.Errorf("left %v and the mounts %v", left, ours(t, base))
	}
}

func TestCleanPrivatesEndsAnOrphan(t *testing.T) {
	t.Parallel()
	for _, recorded := range []bool{true, false} {
		m, _ := live(t, "")
		base := tempDir(t)
		c, err := claimFolder(context.Background(), base)
		if err != nil {
			t.Fatal(err)
		}
		v := &Private{live: m, pool: m.Pools[0], dir: c.dir, claim: c}
		config, err := PrivateConfig(m, v.pool, PrivateOptions{Dir: c.dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := v.write(config, []byte("<?php\n"), 33); err != nil {
			t.Fatal(err)
		}
		// An orphan: started without what binds it to its owner.
		cmd := exec.Command(phpFPM, "--nodaemonize", "-y", c.dir+"/fpm.conf")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWPID}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { _ = cmd.Wait() }()
		if err := awaitSocket(context.Background(), Address{"unix", v.Socket()}, nil); err != nil {
			t.Fatal(err)
		}
		orphan, err := Master{Config: c.dir + "/fpm.conf"}.find()
		if err != nil || orphan.PID == 0 {
			t.Fatalf("no orphan: %+v, %v", orphan, err)
		}
		if masters, errs := Discover([]process.Process{orphan}); len(masters)+len(errs) != 0 {
			t.Errorf("a private copy is discovered as %v, %v", masters, errs)
		}
		if recorded {
			if err := c.record(orphan); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.lock.Unlock(); err != nil {
			t.Fatal(err)
		}
		if err := CleanPrivates(base); err != nil {
			t.Fatal(err)
		}
		waitGone(t, orphan)
		if left, _ := filepath.Glob(base + "/c*"); len(left) > 0 {
			t.Errorf("left %v", left)
		}
	}
	if err := CleanPrivates("/nonexistent/shadow"); err != nil {
		t.Errorf("nothing to clean: %v", err)
	}
}

func TestCleanPrivatesSparesAReusedPID(t *testing.T) {
	t.Parallel()
	base := tempDir(t)
	self, err := process.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	self.Start++
	text, err := json.Marshal(self)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, base+"/c1/master", string(text))
	writeFile(t, base+"/c2/master", "{cut")
	writeFile(t, base+"/other/file", "not ours")
	if err := CleanPrivates(base); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(base + "/*/*"); len(left) != 1 || left[0] != base+"/other/file" {
		t.Errorf("left %v", left)
	}
}
