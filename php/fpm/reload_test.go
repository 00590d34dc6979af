package fpm

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// busyPool starts a live master whose script answers after `ms` milliseconds of its query.
func busyPool(t *testing.T, settings string) (Master, string) {
	t.Helper()
	m, dir := live(t, settings)
	writeFile(t, dir+"/x.php", `<?php $until = microtime(true) + (int) $_SERVER['QUERY_STRING'] / 1000;
while (($left = $until - microtime(true)) > 0) usleep((int) ($left * 1e6));
echo getmypid(), ' ', ini_get('precision');`)
	up, err := Start(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A reload or restart of the test's may have changed the PID.
		if p, err := up.find(); err == nil && p.PID != 0 {
			stop(t, p)
		}
	})
	return up, dir
}

// steady sends requests of some duration at a steady rate until the returned function ends it.
func steady(t *testing.T, socket, script string, every time.Duration, ms string) (end func() (asked, failed int)) {
	t.Helper()
	var asked, failed atomic.Int64
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			asked.Add(1)
			all.Go(func() {
				if r, err := ask(t, socket, script, ms); err != nil || !strings.Contains(string(r.Body), " ") {
					failed.Add(1)
				}
			})
		}
	})
	return func() (int, int) {
		close(done)
		all.Wait()
		return int(asked.Load()), int(failed.Load())
	}
}

// atWork waits until so many requests run and none waits.
func atWork(t *testing.T, m Master, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		c, _, err := m.cost()
		if err != nil {
			t.Fatal(err)
		}
		if c.Running == n && c.Waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests run, want %d", c.Running, n)
		}
	}
}

func TestReloadLosesNothingWhereRequestsMayFinish(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "pm.max_children = 8\n[global]\nprocess_control_timeout = 10s")
	end := steady(t, dir+"/live.sock", dir+"/x.php", 100*time.Millisecond, "300")
	atWork(t, m, 3)
	cost, err := m.ReloadCost()
	if err != nil || !cost.Kept || cost.Lost != 0 || cost.Within != 10*time.Second {
		t.Errorf("%+v, %v", cost, err)
	}
	if !strings.HasPrefix(cost.Why, "a reload lets ") || !strings.Contains(cost.Why, "of 1 pool finish for up to 10s") {
		t.Errorf("%q", cost.Why)
	}
	e, err := m.Reload(context.Background(), Allow{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	asked, failed := end()
	if failed != 0 || e.Ended != 0 || asked < 8 {
		t.Errorf("%d of %d requests failed, %d are said to have been ended", failed, asked, e.Ended)
	}
	if e.Master.Process.PID == m.Process.PID {
		t.Error("a daemon that was reloaded keeps its PID")
	}
	if _, err := m.Reload(context.Background(), Allow{}); err == nil {
		t.Error("a master that has gone was reloaded")
	}
}

func TestReloadCostsNoMoreThanAnnounced(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "pm.max_children = 8\nphp_admin_value[precision] = 7")
	end := steady(t, dir+"/live.sock", dir+"/x.php", 100*time.Millisecond, "300")
	atWork(t, m, 3)
	if _, err := m.Reload(context.Background(), Allow{}); true {
		var busy *BusyError
		if !errors.As(err, &busy) || busy.Cost.Running == 0 || busy.Cost.Kept {
			t.Fatalf("a reload that ends requests without leave: %v", err)
		}
	}
	cost, err := m.ReloadCost()
	if err != nil || cost.Kept || cost.Lost != cost.Running || !cmp.Equal(cost.Pools, []string{"www"}) {
		t.Fatalf("%+v, %v", cost, err)
	}
	e, err := m.Reload(context.Background(), Allow{Requests: cost.Lost, Patience: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	asked, failed := end()
	t.Logf("announced %d, said %d, failed %d of %d, pause %s", cost.Lost, e.Ended, failed, asked, e.Pause)
	if failed > cost.Lost || e.Ended > cost.Lost {
		t.Errorf("%d of %d requests failed, %d announced, %d said to have been ended", failed, asked, cost.Lost, e.Ended)
	}
	if e, err = e.Master.Reload(context.Background(), Allow{Patience: 5 * time.Second}); err != nil || e.Ended != 0 || e.Cost.Running != 0 {
		t.Errorf("a reload with nothing running: %+v, %v", e, err)
	}
}

// A pool whose workers and queue are taken by connections that never end is reloaded like any other.
func TestReloadOfACrowdedPool(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "pm.max_children = 2\nlisten.backlog = 1\n[global]\nprocess_control_timeout = 1s")
	crowd := crowded(t, dir+"/live.sock")
	for c, err := m.ReloadCost(); c.Waiting < 2; c, err = m.ReloadCost() {
		if err != nil {
			t.Fatal(err)
		}
	}
	e, err := m.Reload(context.Background(), Allow{})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Notes) != 1 || !strings.Contains(e.Notes[0], "pool www does not answer yet") {
		t.Errorf("%q", e.Notes)
	}
	crowd()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(look) {
		if r, err := ask(t, dir+"/live.sock", dir+"/x.php", "0"); err == nil && strings.Contains(string(r.Body), " ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not serve once the crowd has gone")
		}
	}
}

// crowded connects wherever there is room and says nothing, until the returned function ends it.
func crowded(t *testing.T, socket string) (end func()) {
	t.Helper()
	done := make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if conn, err := net.Dial("unix", socket); err == nil {
					defer conn.Close()
				}
			}
		})
	}
	return func() { close(done); all.Wait() }
}

func TestABrokenConfigurationIsNeverLoaded(t *testing.T) {
	t.Parallel()
	m, dir := busyPool(t, "")
	good, err := os.ReadFile(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, m.Config, string(good)+"bogus = 1\n")
	for what, do := range map[string]func(context.Context, Allow) (Effect, error){"reload": m.Reload, "restart": m.Restart} {
		if _, err := do(context.Background(), Allow{Requests: Any}); err == nil || !strings.Contains(err.Error(), "["+dir+"/fpm.conf:13] unknown entry 'bogus'") {
			t.Errorf("%s: %v", what, err)
		}
		if !m.Process.Alive() {
			t.Fatalf("the %s has ended FPM", what)
		}
		says(t, dir+"/live.sock", dir+"/x.php")
	}
}
