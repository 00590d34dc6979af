package agent

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/diagnose"
	"wpmend/packaging/lab"
	"wpmend/php/ini"
)

// tuned is a bench whose site says what PHP takes of its limits.
func tuned(t *testing.T, o lab.Options) *bench {
	b := newBench(t, o)
	b.configure(func(c *config.Config) { c.Probe.Verify = 2 })
	b.write(filepath.Join(b.Site(0).DocRoot, "limits.php"), `<?php foreach (['max_execution_time', 'memory_limit'] as $k) echo $k, '=', ini_get($k), ';';`)
	return b
}

func (b *bench) write(file, text string) {
	b.t.Helper()
	b.must(os.MkdirAll(filepath.Dir(file), 0o755))
	b.must(os.WriteFile(file, []byte(text), 0o644))
}

func (b *bench) read(file string) string {
	b.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		b.t.Fatal(err)
	}
	return string(text)
}

// php wants PHP to say this of its limits, whichever worker is asked.
func (b *bench) php(want string) {
	b.t.Helper()
	for range 6 {
		if _, body, err := b.Get("/limits.php"); err != nil || !strings.Contains(body, want+";") {
			b.t.Fatalf("PHP says %q, %v, want %s", body, err, want)
		}
	}
}

func (b *bench) set(text string) (LimitsSet, error) {
	b.t.Helper()
	name, value, _ := strings.Cut(text, "=")
	return b.agent.SetLimits(b.t.Context(), b.site(), LimitsOptions{Set: []ini.Setting{{Name: name, Value: value}}, For: time.Hour})
}

func (b *bench) undoes(n int) {
	b.t.Helper()
	r, err := b.agent.UndoLimits(b.t.Context(), b.site())
	if err != nil || len(r.Changes) != n || r.Left > 0 {
		b.t.Fatalf("undone: %+v, %v", r, err)
	}
}

func (b *bench) pool() string {
	return filepath.Join(filepath.Dir(b.FPMConfig(0)), "pool.d")
}

// TestSetLimits: each mechanism, held against what PHP and FPM say, and undone to the byte.
func TestSetLimits(t *testing.T) {
	t.Parallel()
	b := tuned(t, lab.Options{SlowlogTimeout: 2 * time.Second})
	user := filepath.Join(b.Site(0).Root, ".user.ini")
	const notes = "; the owner's own notes\r\n\r\nmemory_limit=96M ; enough\r\nupload_tmp_dir = \"/tmp\""
	b.write(user, notes)
	b.must(b.ReloadFPM(t.Context()))
	b.php("memory_limit=96M")

	r, err := b.set("memory_limit=160M")
	b.must(err)
	b.php("memory_limit=160M")
	text := b.read(user)
	if !strings.HasPrefix(text, notes+"\r\n; wpmend: begin\r\n; Set by wpmend at ") || !strings.HasSuffix(text, "memory_limit = 160M\r\n; wpmend: end\r\n") || !strings.Contains(text, "Holds until ") {
		t.Errorf(".user.ini is %q", text)
	}
	if l := r.Limits.Links[7]; l.Name != ini.Memory || l.Size != 160<<20 || l.Set.File != user || len(l.Overridden) == 0 {
		t.Errorf("the chain says %+v", l)
	}
	if due, err := b.agent.journal.Due(time.Now().Add(2 * time.Hour)); err != nil || len(due) != 1 {
		t.Errorf("due are %+v, %v", due, err)
	}
	if _, err = b.set("max_execution_time=50"); err != nil || !strings.Contains(b.read(user), "max_execution_time = 50") || !strings.Contains(b.read(user), "memory_limit = 160M") {
		t.Fatalf("a second setting: %v, %q", err, b.read(user))
	}
	b.php("max_execution_time=50;memory_limit=160M")
	b.undoes(2)
	if got := b.read(user); got != notes {
		t.Errorf("after the undo .user.ini is %q", got)
	}
	b.php("memory_limit=96M")

	// Above the ceiling, no limit at all, no limit's name: nothing happens.
	for _, bad := range []struct{ set, kind string }{{"memory_limit=1G", "ceiling"}, {"max_execution_time=301", "ceiling"}, {"memory_limit=-1", "ceiling"}, {"request_terminate_timeout=0", "ceiling"},
		{"max_execution_time=soon", "usage"}, {"precision=3", "usage"}, {"gateway_read_timeout=90s", "refused"}, {"request_terminate_timeout=1s", "refused"}} {
		_, err := b.set(bad.set)
		var e *Error
		if !errors.As(err, &e) || e.Kind != bad.kind {
			t.Errorf("%s: %v", bad.set, err)
		}
	}
	file := filepath.Join(b.pool(), b.Site(0).Pool+".conf")
	was := b.read(file)
	if b.read(user) != notes {
		t.Error("what was refused has left something behind")
	}

	// The pool's own: its file, with every other line as it was, and a reload.
	_, err = b.set("request_terminate_timeout=40")
	b.must(err)
	if text := b.read(file); !sameButFor(was, text, "request_terminate_timeout") || !strings.Contains(text, "request_terminate_timeout = 40s\n") {
		t.Errorf("the pool's file is %q, was %q", text, was)
	}
	m, _, err := b.site().Master.Running()
	b.must(err)
	if p, _ := m.Pool(b.Site(0).Pool); p.Duration("request_terminate_timeout") != 40*time.Second {
		t.Error("FPM does not take it")
	}
	b.undoes(1)
	if got := b.read(file); got != was {
		t.Errorf("after the undo the pool's file is %q, was %q", got, was)
	}

	// What lies behind the link follows: the gateway waits for longer, where it may be tuned; else that is said.
	if r, err := b.set("request_terminate_timeout=60"); err != nil || !strings.Contains(strings.Join(r.Notes, "\n"), "gateway_read_timeout (60 s) would have to follow to 86s") {
		t.Errorf("%+v, %v", r, err)
	}
	b.undoes(1)
	b.configure(func(c *config.Config) { c.Gateway.Tune = true })
	r, err = b.set("request_terminate_timeout=60")
	if err != nil || len(r.Changes) != 2 || len(r.Limits.Violations) != 0 || b.site().Location.ReadTimeout != 86*time.Second {
		t.Errorf("%+v, %v, the gateway waits %s", r, err, b.site().Location.ReadTimeout)
	}
	b.undoes(2)
	if b.site().Location.ReadTimeout != time.Minute {
		t.Error("the gateway still waits for longer")
	}

	// php_admin_value locks: then the pool's own line must say it.
	b.write(file, was+"php_admin_value[memory_limit] = 80M\n")
	b.must(b.ReloadFPM(t.Context()))
	b.php("memory_limit=80M")
	_, err = b.set("memory_limit=120M")
	b.must(err)
	b.php("memory_limit=120M")
	if got := b.read(file); b.read(user) != notes || got != was+"php_admin_value[memory_limit] = 120M\n" {
		t.Errorf("%q, .user.ini %q", got, b.read(user))
	}
	b.undoes(1)
	b.php("memory_limit=80M")

	// A panel's file is not touched.
	b.write(file, "; This file was generated by a panel. DO NOT MODIFY\n"+was+"php_admin_value[memory_limit] = 80M\n")
	_, err = b.set("memory_limit=120M")
	if e := (*Error)(nil); !errors.As(err, &e) || e.Kind != "refused" || !strings.Contains(e.Remedy, "php_admin_value[memory_limit] = 120M") {
		t.Errorf("a generated file: %v", err)
	}
}

// sameButFor compares files without the lines that set one directive.
func sameButFor(a, b, directive string) bool {
	without := func(text string) string {
		return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.HasPrefix(l, directive) }), "\n")
	}
	return without(a) == without(b)
}

// computing makes every page take so much processor time.
const computing = `<?php
$wpmend_lab = fn() => array_sum(array_map(fn($k) => getrusage()["ru_{$k}.tv_sec"] + getrusage()["ru_{$k}.tv_usec"] / 1e6, ['utime', 'stime']));
$wpmend_until = $wpmend_lab() + %s;
while ($wpmend_lab() < $wpmend_until);
`

// TestRaiseLimit: a long but honest request is let through by raising the link that bites, and that one alone.
func TestRaiseLimit(t *testing.T) {
	t.Parallel()
	b := tuned(t, lab.Options{MaxChildren: 2})
	root := b.Site(0).Root
	user := filepath.Join(root, ".user.ini")
	b.write(user, "max_execution_time = 1\n")
	b.must(b.ReloadFPM(t.Context()))
	// Well past the limit: the kernel ends it by the clock's ticks (ITIMER_PROF), and a busy machine takes a share of these.
	b.write(filepath.Join(b.Site(0).Content, "mu-plugins", "report.php"), fmt.Sprintf(computing, "1.5"))
	b.status(http.StatusInternalServerError)
	raise := func(h *healing) (bool, error) { return h.raiseLimit(t.Context()) }

	r := b.heals(diagnose.ExecutionTimeout, raise)
	b.resolved(r)
	b.php("max_execution_time=2")
	if text := b.read(user); !strings.HasPrefix(text, "max_execution_time = 1\n; wpmend: begin\n") {
		t.Errorf(".user.ini is %q", text)
	}
	changes, err := b.agent.journal.InForce(root)
	if err != nil || len(changes) != 1 || time.Until(changes[0].Until) < 23*time.Hour {
		t.Fatalf("in force: %+v, %v", changes, err)
	}
	b.must(b.agent.journal.Undo(t.Context(), changes[0].ID, "test"))
	b.status(http.StatusInternalServerError)
	b.php("max_execution_time=1")

	// The ceiling holds, and what does not help is taken back.
	b.configure(func(c *config.Config) { c.Limits.MaxExecutionTime = 1e9 })
	b.advised(b.heals(diagnose.ExecutionTimeout, raise), "above the ceiling of 1")
	b.configure(func(c *config.Config) { c.Limits.MaxExecutionTime = 300e9 })
	r = b.heals(diagnose.PHPMemoryLimit, raise)
	if r.State == StateResolved || len(r.Changes) > 0 || b.read(user) != "max_execution_time = 1\n" {
		t.Errorf("memory_limit was raised for nothing: %+v, %q", r, b.read(user))
	}

	// More workers, as far as memory and the ceiling go. The page is well now.
	b.must(os.Remove(filepath.Join(b.Site(0).Content, "mu-plugins", "report.php")))
	b.status(http.StatusOK)
	more := func(h *healing) (bool, error) {
		h.facts.Pool = diagnose.Pool{Name: b.Site(0).Pool, MaxChildren: 2, Workers: []diagnose.Worker{{RSS: 10 << 20}, {RSS: 30 << 20}}}
		h.facts.Host.MemoryAvailable = 1 << 30
		return h.addWorkers(t.Context())
	}
	b.resolved(b.heals(diagnose.PoolExhausted, more))
	m, _, err := b.site().Master.Running()
	b.must(err)
	if p, _ := m.Pool(b.Site(0).Pool); func() string { v, _ := p.Get("pm.max_children"); return v }() != "3" {
		t.Errorf("pm.max_children is %+v", p)
	}
}

func TestMoreWorkers(t *testing.T) {
	t.Parallel()
	workers := make([]diagnose.Worker, 10)
	for i := range workers {
		workers[i].RSS = 40 << 20
	}
	for _, tc := range []struct {
		max     int
		workers []diagnose.Worker
		free    int64
		ceiling int
		want    int
	}{
		{10, workers, 1 << 30, 50, 15},
		{10, workers, 100 << 20, 50, 12}, // 80 MiB hold two more
		{10, workers, 10 << 20, 50, 10},
		{10, workers, 1 << 30, 12, 12},
		{60, workers, 1 << 40, 50, 60},
		{1, workers[:1], 1 << 30, 50, 2},
		{10, nil, 1 << 30, 50, 10},
		{10, workers, 0, 50, 10},
		{0, workers, 1 << 30, 50, 0},
	} {
		if got, why := moreWorkers(diagnose.Pool{MaxChildren: tc.max, Workers: tc.workers}, tc.free, tc.ceiling); got != tc.want || why == "" {
			t.Errorf("%d workers at most, %d MiB free, ceiling %d: %d (%s), want %d", tc.max, tc.free>>20, tc.ceiling, got, why, tc.want)
		}
	}
}
