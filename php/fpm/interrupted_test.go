package fpm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/php/process"
)

// Whoever gives up waiting in the midst of a restart must not leave the host without PHP.
func TestRestartIsBroughtToItsEnd(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "pm.max_children = 4\n[global]\nprocess_control_timeout = 10s")
	answer := make(chan error, 1)
	go func() {
		_, err := ask(t, dir+"/live.sock", dir+"/x.php", "4000")
		answer <- err
	}()
	atWork(t, m, 1)
	workers := func(enough func(n int) bool) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); !enough(m.workersOf("www")); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("there are %d workers", m.workersOf("www"))
			}
		}
	}
	workers(func(n int) bool { return n == 4 })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := m.Restart(ctx, Allow{})
		done <- err
	}()
	// SIGQUIT ends the idle workers at once.
	workers(func(n int) bool { return n <= 1 })
	cancel()
	if err := <-done; err != nil {
		t.Errorf("a restart that had begun: %v", err)
	}
	if err := <-answer; err != nil {
		t.Errorf("the running request: %v", err)
	}
	now, up, err := m.Running()
	if err != nil || !up || now.Process.PID == m.Process.PID {
		t.Fatalf("PHP-FPM was left ended: %v, %v", up, err)
	}
	says(t, dir+"/live.sock", dir+"/x.php")
	first := now
	first.Process.PID = 1
	if _, err := first.Restart(context.Background(), Allow{Requests: Any}); err == nil || !strings.Contains(err.Error(), "restart the container") {
		t.Errorf("the first process of a container: %v", err)
	}
	if _, err := now.Restart(ctx, Allow{}); !errors.Is(err, context.Canceled) || !now.Process.Alive() {
		t.Errorf("a restart that nobody waits for any more was begun: %v", err)
	}
}

// A request that hangs in a pool that is lost anyway does not keep the other pools from serving until the time is up.
func TestNobodyWaitsForTheLost(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "pm.max_children = 2\n[global]\nprocess_control_timeout = 60s")
	for _, name := range []string{"reload", "restart"} {
		gone := make(chan error, 1)
		go func() {
			_, err := ask(t, dir+"/live.sock", dir+"/x.php", "50000")
			gone <- err
		}()
		now, _, err := m.Running()
		if err != nil {
			t.Fatal(err)
		}
		atWork(t, now, 1)
		act := now.Reload
		if name == "restart" {
			act = now.Restart
		}
		e, err := act(context.Background(), Allow{Lost: "www"})
		if err != nil || e.Ended != 1 || e.Pause >= e.Cost.Within {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
		if err := <-gone; err == nil {
			t.Errorf("%s: the request ended well", name)
		}
		m = e.Master
		says(t, dir+"/live.sock", dir+"/x.php")
	}
}

// A container's start script often starts something and then becomes PHP-FPM, whose child that is from then on.
func TestOtherChildrenAreNoWorkers(t *testing.T) {
	t.Parallel()
	m, dir := live(t, "pm.max_children = 2")
	writeFile(t, dir+"/x.php", "<?php echo 'up';")
	cmd := exec.Command("/bin/sh", "-c", "sleep 300 & echo $! > "+dir+"/other; exec "+phpFPM+" --nodaemonize --fpm-config "+m.Config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	var up Master
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		now, ok, err := m.Running()
		if err == nil && ok && now.workersOf("www") == 2 {
			up = now
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not start: %v, %v", ok, err)
		}
	}
	t.Cleanup(func() {
		if p, err := up.find(); err == nil && p.PID != 0 {
			stop(t, p)
		}
	})
	text, err := os.ReadFile(dir + "/other")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := process.Read(pid)
	if err != nil || other.PPID != up.Process.PID {
		t.Fatalf("%+v, %v", other, err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	e, err := up.Reload(context.Background(), Allow{Patience: 2 * time.Second})
	if err != nil || e.Cost.Running != 0 || e.Ended != 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	if e, err = e.Master.Restart(context.Background(), Allow{Patience: 2 * time.Second}); err != nil || e.Ended != 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	if !other.Alive() {
		t.Error("a process that is no worker was ended")
	}
	says(t, dir+"/live.sock", dir+"/x.php")
}
