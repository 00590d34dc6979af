package fpm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/php/process"
)

// pools starts a master with two pools, one on a unix socket and one on TCP, with scripts that do each its own thing.
func pools(t testing.TB) (m Master, dir string) {
	t.Helper()
	const settings = `pm.status_path = /st
pm.max_children = 4
[tcp]
user = www-data
listen = 127.81.7.9:%[1]d
pm = static
pm.max_children = 2
pm.status_path = /st
pm.status_listen = 127.81.7.9:%[2]d
`
	m, dir = live(t, fmt.Sprintf(settings, freePort(t), freePort(t)))
	for name, code := range map[string]string{
		"sleep":   "sleep(600);",
		"compute": "set_time_limit(0); while (true) sha1(microtime());",
		"read":    "set_time_limit(0); $f = fopen('/dev/urandom', 'r'); while (true) { fread($f, 8192); usleep(20000); }",
		// It wakes once a second, as curl does that waits for a dead server.
		"wait":   "set_time_limit(0); while (true) sleep(1);",
		"accept": "$s = stream_socket_server('tcp://127.81.7.9:0'); stream_socket_accept($s, 600);",
		"finish": "fastcgi_finish_request(); sleep(600);",
		"quick":  "echo getmypid();",
	} {
		writeFile(t, dir+"/"+name+".php", "<?php "+code)
	}
	m, err := Start(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, m.Process) })
	return m, dir
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.81.7.9:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// begin sends a request that nobody waits for.
func begin(t testing.TB, m Master, pool, script string) {
	t.Helper()
	p, ok := m.Pool(pool)
	if !ok {
		t.Fatal("no pool", pool)
	}
	go func() { _, _ = ask(t, p.Listen().Addr, script, "") }()
}

// until waits for workers that satisfy want.
func until(t testing.TB, m Master, pool, what string, want func([]Worker) bool) []Worker {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		workers, err := m.Workers(pool)
		if err != nil {
			t.Fatal(err)
		}
		if want(workers) {
			return workers
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come: %+v", what, workers)
		}
	}
}

func busyCount(workers []Worker) (n int) {
	for _, w := range workers {
		if w.Busy {
			n++
		}
	}
	return n
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	m, dir := pools(t)
	all := until(t, m, "", "an idle pool", func(w []Worker) bool { return len(w) == 6 && busyCount(w) == 0 })
	for _, w := range all {
		if w.Conn != 0 || w.Still != 0 || w.Age <= 0 || w.PPID != m.Process.PID || w.UID == 0 {
			t.Errorf("an idle worker: %+v", w)
		}
	}
	// Each script on its own worker: found by its folder, busy, with its connection.
	for i, script := range []string{"compute", "read", "sleep", "finish"} {
		begin(t, m, "www", dir+"/"+script+".php")
		until(t, m, "www", script, func(w []Worker) bool { return busyCount(w) == i+1 })
	}
	begin(t, m, "tcp", dir+"/accept.php")
	tcp := until(t, m, "tcp", "accept", func(w []Worker) bool {
		i := slices.IndexFunc(w, busyOne)
		return busyCount(w) == 1 && w[i].Conn != 0 && w[i].Cwd == dir
	})
	if len(tcp) != 2 {
		t.Errorf("%d workers of pool tcp", len(tcp))
	}
	// The one that stands in accept(2) of its own is at work; the pool's other one is not.
	if busyCount(tcp) != 1 {
		t.Errorf("%+v", tcp)
	}
	still := until(t, m, "www", "a second of sleep", func(w []Worker) bool {
		return slices.ContainsFunc(w, func(w Worker) bool { return w.Still > time.Second })
	})
	asleep, connected := 0, map[uint64]bool{}
	for _, w := range still {
		if w.Cwd != dir || !w.Busy || w.Pool != "www" {
			t.Errorf("%+v", w)
		}
		if w.Still > 500*time.Millisecond {
			asleep++
			if w.Ran > 500*time.Millisecond {
				t.Errorf("a worker that sleeps has computed: %+v", w)
			}
		}
		connected[w.Conn] = true
	}
	// One has given its connection back before it went to sleep.
	if asleep != 2 || len(connected) != 4 || !connected[0] {
		t.Errorf("%d asleep, connections %v: %+v", asleep, connected, still)
	}
	later := until(t, m, "www", "more of them", func([]Worker) bool { return true })
	for i, w := range later {
		if w.Conn != still[i].Conn || w.PID != still[i].PID || w.Still > 0 && still[i].Still > 500*time.Millisecond && w.Still < still[i].Still {
			t.Errorf("%+v after %+v", w, still[i])
		}
		if own, rough := OwnMemory(w.PID), RoughMemory(w.PID); own < 100<<10 || rough < 100<<10 || own > 1<<30 || rough > 1<<30 {
			t.Errorf("memory %d, roughly %d", own, rough)
		}
	}
	if w, err := m.Workers("none"); err != nil || len(w) != 0 {
		t.Errorf("%+v, %v", w, err)
	}
	gone := m
	gone.Process.Start++
	if _, err := gone.Workers(""); err == nil || err.Error() != "php-fpm with "+m.Config+" does not run" {
		t.Errorf("%v", err)
	}

	// The status page: answered beside a full pool where it has a listener of its own, never at the full pool itself.
	begin(t, m, "tcp", dir+"/sleep.php")
	until(t, m, "tcp", "a full pool", func(w []Worker) bool { return busyCount(w) == 2 })
	p, _ := m.Pool("tcp")
	s, err := Status(context.Background(), p)
	if err != nil || s.Active != 2 || s.Idle != 0 || s.Total != 2 || s.Manager != "static" || len(s.Workers) != 2 || s.Pool != "tcp" {
		t.Errorf("%+v, %v", s, err)
	}
	for _, w := range s.Workers {
		if w.Idle() || w.Request <= 0 || filepathDir(w.Script) != dir || w.Method != "GET" || !strings.HasPrefix(w.URI, "/") ||
			!slices.ContainsFunc(tcp, func(k Worker) bool { return k.PID == w.PID }) {
			t.Errorf("%+v", w)
		}
	}
	// Whoever answers for pm.status_listen is no worker of the pool.
	if w, err := m.Workers("tcp"); err != nil || len(w) != 2 {
		t.Errorf("%+v, %v", w, err)
	}
	p, _ = m.Pool("www")
	if s, err := Status(context.Background(), p); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a full pool: %+v, %v", s, err)
	}
	if _, err := Status(context.Background(), Pool{Name: "www"}); !errors.Is(err, ErrNoStatus) {
		t.Errorf("%v", err)
	}
}

func busyOne(w Worker) bool { return w.Busy }

func filepathDir(file string) string { return file[:max(0, strings.LastIndexByte(file, '/'))] }

// A title proves nothing: a child of ours is no worker of a master's.
func TestWorkersOfOthers(t *testing.T) {
	t.Parallel()
	self, err := process.Read(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Master{Process: self}).worker(1); !errors.Is(err, ErrNotWorker) {
		t.Errorf("%v", err)
	}
}

func BenchmarkWorkers(b *testing.B) {
	m, dir := pools(b)
	for range 3 {
		begin(b, m, "www", dir+"/sleep.php")
	}
	until(b, m, "www", "sleep", func(w []Worker) bool { return busyCount(w) == 3 })
	for name, do := range map[string]func(){
		"workers": func() { _, _ = m.Workers("www") },
		"memory":  func() { _ = OwnMemory(m.Process.PID) },
		"rough":   func() { _ = RoughMemory(m.Process.PID) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				do()
			}
		})
	}
}
