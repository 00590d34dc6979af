package fpm

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestRestartLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "pm.max_children = 4\n[global]\nprocess_control_timeout = 10s")
	answer := make(chan error, 1)
	go func() {
		_, err := ask(t, dir+"/live.sock", dir+"/x.php", "700")
		answer <- err
	}()
	atWork(t, m, 1)
	// What exists already is taken over by a reload as it is.
	conf, err := os.ReadFile(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	started := m.Process
	writeFile(t, m.Config, strings.Replace(string(conf), "listen.mode = 0660", "listen.mode = 0666", 1))
	// Nobody knows whether the master has read what the file says now.
	if c, err := m.RestartCost(); err != nil || c.Kept || c.Lost != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := os.Chtimes(m.Config, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	c, err := m.RestartCost()
	if err != nil || !c.Kept || c.Lost != 0 || c.Why != "a restart lets 1 running request of 1 pool finish for up to 10s; meanwhile every pool of the master waits; what comes until it runs again fails as well" {
		t.Errorf("%+v, %v", c, err)
	}
	e, err := m.Restart(context.Background(), Allow{})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil || e.Ended != 0 {
		t.Errorf("the running request was lost: %v, %d", err, e.Ended)
	}
	if e.Master.Process.PID == started.PID || started.Alive() {
		t.Errorf("the old master %d is still there: %+v", started.PID, e.Master.Process)
	}
	if info, err := os.Stat(dir + "/live.sock"); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("the new socket: %v, %v", info.Mode(), err)
	}
	writeFile(t, m.Config, strings.NewReplacer("listen.mode = 0660", "listen.mode = 0600", "listen.owner = www-data", "listen.owner = root").Replace(string(conf)))
	if e, err = e.Master.Reload(context.Background(), Allow{Patience: 5 * time.Second}); err != nil || len(e.Notes) != 2 ||
		!strings.HasPrefix(e.Notes[0], "listen.mode of pool www is 0600, its socket has 0666: ") || !strings.HasPrefix(e.Notes[1], "listen.owner and listen.group of pool www are 0:0, its socket has 33:33: ") {
		t.Errorf("%q, %v", e.Notes, err)
	}
}

func TestRestartEndsWhatItMay(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "")
	answers := make(chan error, 3)
	for range cap(answers) {
		go func() {
			_, err := ask(t, dir+"/live.sock", dir+"/x.php", "60000")
			answers <- err
		}()
	}
	// The pool has one worker, so the others wait.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c, _, err := m.cost()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", c, err)
		}
		if c.Running == 1 && c.Waiting == 2 {
			break
		}
	}
	if c, err := m.RestartCost(); err != nil || c.Lost != 3 {
		t.Errorf("%+v, %v", c, err)
	}
	var busy *BusyError
	if _, err := m.Restart(context.Background(), Allow{Patience: 50 * time.Millisecond}); !errors.As(err, &busy) || !m.Process.Alive() {
		t.Fatalf("a restart without leave: %v", err)
	}
	worker := workersOf(t, m.Process)[0]
	e, err := m.Restart(context.Background(), Allow{Lost: "www"})
	if err != nil || e.Ended != 1 || e.Cost.Lost != 3 {
		t.Fatalf("%+v, %v", e, err)
	}
	for range cap(answers) {
		if err := <-answers; err == nil {
			t.Error("a request outlived the restart")
		}
	}
	if worker.Alive() {
		t.Error("the old worker lives")
	}
	says(t, dir+"/live.sock", dir+"/x.php")
	// A private copy or somebody else's process is never touched.
	foreign := e.Master
	foreign.Process.PID = os.Getpid()
	if _, err := foreign.Reload(context.Background(), Allow{Requests: Any}); err == nil {
		t.Error("a process that is no master was reloaded")
	}
	if _, err := foreign.Restart(context.Background(), Allow{Requests: Any}); err == nil {
		t.Error("a process that is no master was restarted")
	}
}

func TestWaitingOnTCP(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2329 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:2329 0100007F:9999 01 00000000:00000007 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 00000000000000000000000001000000:2329 00000000000000000000000000000000:0000 0A 00000000:00000004 00:00000000 0 0 0 1
   3: junk`
	for at, want := range map[string]int{"127.0.0.1:9001": 3, "[::1]:9001": 4, "127.0.0.1:9002": 0} {
		if got := waitingTCP(strings.NewReader(table), []Address{{"tcp", at}}); got != want {
			t.Errorf("%s: %d wait, want %d", at, got, want)
		}
	}
}

func FuzzWaiting(f *testing.F) {
	f.Add("0000000000000000: 00000002 00000000 00000000 0001 03 0 /run/php/fpm.sock\n")
	f.Add("   0: 0100007F:2329 00000000:0000 0A 00000000:00000003 00:00000000 0 0 0 1\n")
	f.Fuzz(func(t *testing.T, table string) {
		at := []Address{{"unix", "/run/php/fpm.sock"}, {"tcp", "127.0.0.1:9001"}}
		lines := strings.Count(table, "\n") + 1
		if n := waitingUnix(strings.NewReader(table), at); n < 0 || n > lines {
			t.Errorf("%d wait in %d lines", n, lines)
		}
		if n := waitingTCP(strings.NewReader(table), at); n < 0 {
			t.Errorf("%d wait", n)
		}
	})
}
