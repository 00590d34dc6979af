package fpm

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"wpmend/php/process"
)

func TestEndOneStuckWorkerOfFour(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "pm.max_children = 4\nphp_admin_value[ffi.enable] = 1\n[other]\nuser = www-data\nlisten = 127.81.7.4:9482\npm = ondemand\npm.max_children = 2")
	lost := make(chan error, 2)
	stick := func(socket, pool string) process.Process {
		t.Helper()
		go func() {
			_, err := ask(t, socket, dir+"/x.php", "600000")
			lost <- err
		}()
		// A worker that is being started seems at work, but not for long.
		seen := map[int]int{}
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
			busy, err := m.busy()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range busy {
				if seen[r.PID]++; r.pool == pool && seen[r.PID] > 100 {
					return r.Process
				}
			}
		}
		t.Fatalf("no worker of pool %s is at work", pool)
		return process.Process{}
	}
	ctx := context.Background()
	stuck := stick(dir+"/live.sock", "www")
	for what, err := range map[string]error{
		"another pool's":      m.EndWorker(ctx, "other", stuck.PID, stuck.Start),
		"an earlier process":  m.EndWorker(ctx, "www", stuck.PID, stuck.Start-1),
		"the master":          m.EndWorker(ctx, "www", m.Process.PID, m.Process.Start),
		"ourselves":           m.EndWorker(ctx, "www", os.Getpid(), self(t).Start),
		"nobody":              m.EndWorker(ctx, "www", 1<<22+1, 1),
		"a process group":     m.EndWorker(ctx, "www", -stuck.PID, stuck.Start),
		"an idle worker's ID": m.EndWorker(ctx, "www", 0, stuck.Start),
	} {
		if !errors.Is(err, ErrNotWorker) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := m.EndWorker(ctx, "none", stuck.PID, stuck.Start); err == nil {
		t.Error("a pool that there is not")
	}
	if !stuck.Alive() {
		t.Fatal("a refusal has ended the worker")
	}
	before := workersOf(t, m.Process)
	end := steady(t, dir+"/live.sock", dir+"/x.php", 20*time.Millisecond, "10")
	if err := m.EndWorker(ctx, "www", stuck.PID, stuck.Start); err != nil {
		t.Fatal(err)
	}
	if n := m.workersOf("www"); n != 4 || stuck.Alive() {
		t.Errorf("%d workers, stuck lives: %v", n, stuck.Alive())
	}
	if err := <-lost; err == nil {
		t.Error("the stuck request was answered")
	}
	for _, w := range before {
		if w.PID != stuck.PID && !w.Alive() {
			t.Errorf("worker %d was ended too", w.PID)
		}
	}
	// One whose code has caught SIGTERM is killed.
	writeFile(t, dir+"/deaf.php", "<?php FFI::cdef('int sigignore(int sig);', 'libc.so.6')->sigignore(15); while (true) usleep(1e6);")
	go func() {
		_, err := ask(t, dir+"/live.sock", dir+"/deaf.php", "")
		lost <- err
	}()
	deaf := ignoring(t, m)
	if err := m.EndWorker(ctx, "www", deaf.PID, deaf.Start); err != nil || deaf.Alive() {
		t.Errorf("a worker that ignores SIGTERM: %v", err)
	}
	if err := <-lost; err == nil {
		t.Error("the request of the worker that ignores SIGTERM was answered")
	}
	if asked, failed := end(); failed > 0 || asked < 50 {
		t.Errorf("%d of %d requests of the other workers failed", failed, asked)
	}
	ondemand := stick("127.81.7.4:9482", "other")
	if err := m.EndWorker(ctx, "other", ondemand.PID, ondemand.Start); err != nil {
		t.Error(err)
	}
	if err := <-lost; err == nil {
		t.Error("the second stuck request was answered")
	}
}

// ignoring waits for a worker that ignores SIGTERM.
func ignoring(t *testing.T, m Master) process.Process {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, w := range workersOf(t, m.Process) {
			status, err := os.ReadFile("/proc/" + strconv.Itoa(w.PID) + "/status")
			_, ignored, _ := strings.Cut(string(status), "SigIgn:\t")
			ignored, _, _ = strings.Cut(ignored, "\n")
			if mask, bad := strconv.ParseUint(ignored, 16, 64); err == nil && bad == nil && mask&(1<<14) != 0 {
				return w
			}
		}
	}
	t.Fatal("no worker ignores SIGTERM")
	return process.Process{}
}

func self(t *testing.T) process.Process {
	t.Helper()
	p, err := process.Read(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAcceptingIsToldFromWork(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "pm.max_children = 2")
	atWork(t, m, 0)
	if c, err := m.ReloadCost(); err != nil || c.Running != 0 || c.Why != "a reload ends no request: none runs" {
		t.Errorf("%+v, %v", c, err)
	}
	pid, _, _ := strings.Cut(says(t, dir+"/live.sock", dir+"/x.php"), " ")
	if n, err := strconv.Atoi(pid); err != nil || n == 0 {
		t.Errorf("%q, %v", pid, err)
	}
	if n := m.workersOf("none"); n != 0 {
		t.Errorf("%d workers of no pool", n)
	}
	gone := m
	gone.Process.Start++
	if _, err := gone.ReloadCost(); err == nil || err.Error() != "php-fpm with "+m.Config+" does not run" {
		t.Errorf("%v", err)
	}
}
