package fpm

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"wpmend/packaging/lab"
)

// page8 is what 8.2.36 says of a pool with two workers.
const page8 = `{"pool":"tcp","process manager":"static","start time":1795416516,"start since":69,"accepted conn":7,"listen queue":0,"max listen queue":0,"listen queue len":4096,"idle processes":1,"active processes":1,"total processes":2,"max active processes":2,"max children reached":3,"slow requests":4, "processes":[{"pid":27701,"state":"Idle","start time":1795416516,"start since":69,"requests":0,"request duration":0,"request method":"-","request uri":"-","content length":0,"user":"-","script":"-","last request cpu":0.00,"last request memory":0},{"pid":27702,"state":"Running","start time":1795416516,"start since":69,"requests":1,"request duration":2549324,"request method":"GET","request uri":"URI","content length":0,"user":"-","script":"\/srv\/index.php","last request cpu":0.00,"last request memory":0}]}`

func TestParseStatus(t *testing.T) {
	t.Parallel()
	want := PoolStatus{Pool: "tcp", Manager: "static", Accepted: 7, Idle: 1, Active: 1, Total: 2, MaxActive: 2, MaxReached: 3, Slow: 4, Workers: []WorkerStatus{
		{PID: 27701, State: "Idle"},
		{PID: 27702, State: "Running", Request: 2549324 * time.Microsecond, Method: "GET", URI: "/?a=1", Script: "/srv/index.php"}}}
	got, err := parseStatus([]byte(strings.Replace(page8, "URI", `\/?a=1`, 1)))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	// PHP before 8 writes the visitor's words as they are: none of what stands there is believed.
	want.Workers = nil
	for _, uri := range []string{`/?"quoted"`, `/","x":"y"},{"pid":1,"state":"Running","request uri":"`, `\`} {
		got, err = parseStatus([]byte(strings.Replace(page8, "URI", uri, 1)))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(uri, diff, err)
		}
	}
	for _, text := range []string{"", "pong", "{}", "[]", `{"pool":"x"}`, "<html>", `{"pool":1}`, `"processes":`, page8[:40], "File not found.\n"} {
		if s, err := parseStatus([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte(page8), "/?a=1")
	f.Add([]byte(`{"pool":"a","process manager":"x","processes":[{"pid":1,"request duration":-9223372036854775808}]}`), "\"\\\x00")
	f.Fuzz(func(t *testing.T, text []byte, uri string) {
		if s, err := parseStatus(slices.Clone(text)); err == nil {
			for _, w := range s.Workers {
				if w.PID <= 0 || w.Request < 0 || w.Request > 366*24*time.Hour || !utf8.ValidString(w.URI+w.Script) {
					t.Errorf("%+v", w)
				}
			}
		}
		// What FPM escapes comes back as it was.
		quoted, err := json.Marshal(uri)
		if err != nil || !utf8.ValidString(uri) || uri == "-" {
			return
		}
		s, err := parseStatus([]byte(strings.Replace(page8, `"URI"`, string(quoted), 1)))
		if err != nil || len(s.Workers) != 2 || s.Workers[1].URI != uri {
			t.Errorf("%q: %+v, %v", uri, s, err)
		}
	})
}

func TestParseUnitState(t *testing.T) {
	t.Parallel()
	// The words of systemd 252.
	for text, want := range map[string]UnitState{
		"Result=success\nNRestarts=0\nLoadState=loaded\nActiveState=active\nSubState=running\nControlGroup=/no/such.service\n":  {Active: "active", Sub: "running", Result: "success"},
		"Result=oom-kill\nNRestarts=2\nLoadState=loaded\nActiveState=failed\nSubState=failed\nControlGroup=\n":                  {Active: "failed", Sub: "failed", Result: "oom-kill", Restarts: 2},
		"Result=signal\nNRestarts=5\nLoadState=loaded\nActiveState=failed\nSubState=failed\nStartLimitBurst=5\nControlGroup=\n": {Active: "failed", Sub: "failed", Result: "signal", Restarts: 5, GaveUp: true},
		"Result=success\nNRestarts=0\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n":                               {},
		"": {}, "junk": {}, "NRestarts=x\nActiveState": {}, "NRestarts=-3": {},
	} {
		if got, group := parseUnitState(text); got != want || group != "" && group != "/no/such.service" {
			t.Errorf("%q: %+v, %q", text, got, group)
		}
	}
	if _, group := parseUnitState("ControlGroup=/../../etc\n"); group != "" {
		t.Errorf("the control group leads out: %q", group)
	}
}

// What a real systemd says of units that run, that failed, that it gave up on and that there are not.
func TestUnitStateUnderSystemd(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		if s, err := StateOf(ctx, unitName); err != nil || s != (UnitState{}) {
			t.Errorf("without systemd: %+v, %v", s, err)
		}
	}
	o := machine()
	o.Files["/etc/systemd/system/crashes.service"] = "[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=60\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=10ms\n"
	o.Files["/etc/systemd/system/often.service"] = "[Unit]\nStartLimitBurst=1\nStartLimitIntervalSec=60\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"
	o.Files["/etc/systemd/system/"+unitName+".d/policy.conf"] = "[Service]\nOOMPolicy=continue\n"
	if !lab.InSystemd(t, o) {
		return
	}
	state := func(unit string, until func(UnitState) bool) (s UnitState) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			var err error
			if s, err = StateOf(ctx, unit); err == nil && until(s) {
				return s
			}
		}
		t.Errorf("%s: %+v", unit, s)
		return s
	}
	state(unitName, func(s UnitState) bool { return s == UnitState{Active: "active", Sub: "running", Result: "success"} })
	state("none.service", func(s UnitState) bool { return s == UnitState{} })
	for _, unit := range []string{"crashes.service", "often.service", "often.service"} {
		_, _ = systemctl(ctx, "restart", unit) // that it fails is what its state says
	}
	state("crashes.service", func(s UnitState) bool { return s.GaveUp && s.Result == "exit-code" && s.Restarts == 2 })
	state("often.service", func(s UnitState) bool { return s.Active == "failed" && s.Result == "start-limit-hit" && !s.GaveUp })
	// A worker that the kernel kills for want of memory is counted while the unit lives.
	fetch(t, "/grow.php")
	state(unitName, func(s UnitState) bool { return s.Active == "active" && s.OOMKills > 0 })
}

func TestParseProc(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"php-fpm8.2 (1, #threads: 1)\n---\nse.exec_start      :      27047954.683280\n": 27047954683280 * time.Nanosecond,
		"se.exec_start : x\n": 0, "se.exec_start : -1\n": 0, "se.exec_start : 1e300\n": 0, "se.exec_start : NaN\n": 0, "": 0, "se.vruntime : 5\n": 0,
	} {
		if got, err := parseLastRan(strings.NewReader(text)); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	rollup := "55-7f ---p 00000000 00:00 0 [rollup]\nRss: 9000 kB\nPss: 800 kB\nPrivate_Clean: 4 kB\nPrivate_Dirty: 700 kB\nPrivate_Hugetlb: 0 kB\nSwap: 90 kB\nSwapPss: 8 kB\n"
	if got := privateBytes(strings.NewReader(rollup)); got != 712<<10 {
		t.Errorf("%d", got)
	}
	for text, want := range map[string]int64{"62694 3485 2104 790 0 2553 0": 1381 * int64(os.Getpagesize()), "": 0, "1 2": 0, "1 2 3 4": 0, "1 x 3": 0, "9 9 -9": 0} {
		if got := parseStatm(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	found := map[uint64]bool{}
	acceptedUnix(strings.NewReader("Num       RefCount Protocol Flags    Type St Inode Path\n"+
		"00000000d1452e2f: 00000003 00000000 00000000 0001 03 4774727 /run/a.sock\n"+
		"000000003d1c7745: 00000004 00000000 00010000 0001 01 4774723 /run/a.sock\n"+
		"000000007c581965: 00000003 00000000 00000000 0001 02     0 /run/a.sock\n"+
		"000000007c581966: 00000003 00000000 00000000 0001 03 55 /var/run/a.sock\n"+
		"000000006dda0af1: 00000003 00000000 00000000 0001 03 66 /run/a.sock.other\n00: \x00\xff\n"), []Address{{"unix", "/run/a.sock"}}, found)
	acceptedTCP(strings.NewReader("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"+
		"   0: 0901517F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1\n"+
		"   1: 0901517F:2328 0100007F:1234 01 00000000:00000000 00:00000000 00000000    33        0 77 1\n"+
		"   2: 0901517F:2329 0100007F:1234 01 00000000:00000000 00:00000000 00000000    33        0 88 1\n   3: zz\n"), []Address{{"tcp", "127.81.81.9:9000"}}, found)
	if want := map[uint64]bool{4774727: true, 55: true, 77: true}; !cmp.Equal(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
}

func FuzzProc(f *testing.F) {
	f.Add("se.exec_start : 27047954.683280\n")
	f.Add("00000000d1452e2f: 00000003 00000000 00000000 0001 03 4774727 /run/a.sock\nPrivate_Dirty: 4 kB\n")
	f.Add("   1: 0901517F:2328 0100007F:1234 01 00000000:00000000 00:00000000 00000000    33        0 77 1\nControlGroup=/x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseLastRan(strings.NewReader(text)); (err == nil) != (d > 0) {
			t.Errorf("%v, %v", d, err)
		}
		if privateBytes(strings.NewReader(text)) < 0 || parseStatm(text) < 0 {
			t.Error("a negative size")
		}
		found := map[uint64]bool{}
		acceptedUnix(strings.NewReader(text), []Address{{"unix", "/run/a.sock"}}, found)
		acceptedTCP(strings.NewReader(text), []Address{{"tcp", "127.0.0.1:9000"}}, found)
		if found[0] {
			t.Error("inode 0 is no connection")
		}
		if _, group := parseUnitState(text); strings.Contains(group, "/../") || group != "" && group[0] != '/' {
			t.Errorf("%q", group)
		}
	})
}
