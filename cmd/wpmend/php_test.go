package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"wpmend/agent"
	"wpmend/packaging/lab"
)

// TestPHP: the pools, the chain and its settings, reloads and restarts, as a person calls them.
func TestPHP(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{TerminateTimeout: 20 * time.Second, Sites: 2}, "probe.verify = 2")
	user := filepath.Join(s.Site(0).Root, ".user.ini")
	s.write(filepath.Join(s.Site(0).DocRoot, "limits.php"), "<?php echo 'limit=', ini_get('max_execution_time'), ';';")

	var pools agent.PoolsReport
	s.json("php", "pools").exits(exitDone).into(&pools)
	found := false
	for _, m := range pools.Masters {
		if m.Config != s.FPMConfig(0) {
			continue
		}
		found = true
		p := m.Pools[0]
		if m.PID != s.FPMMaster() || !strings.HasPrefix(m.Version, "8.2.") || len(m.Pools) != 2 || p.Name != s.Site(0).Pool || p.Manager != "dynamic" ||
			p.MaxChildren != 4 || p.Workers < 1 || p.Busy != 0 || p.Queue != 0 || p.Backlog <= 0 || len(p.Sites) != 1 || p.Sites[0] != s.domain() {
			t.Errorf("the pools are %+v", m)
		}
	}
	if !found {
		t.Fatalf("the lab's master is missing in %+v", pools)
	}
	if r := s.run("php").exits(exitDone); !strings.Contains(r.stdout, s.Site(0).Socket) {
		t.Errorf("php alone lists no pools: %s", r)
	}

	var chain agent.LimitsReport
	s.json("php", "limits", s.domain()).exits(exitDone).into(&chain)
	got := map[string]string{}
	for _, l := range chain.Links {
		got[l.Name] = l.Words + " " + l.Ceiling
	}
	if got["max_execution_time"] != "30 s 300" || got["request_terminate_timeout"] != "20 s 300s" || got["gateway_read_timeout"] != "60 s " || got["memory_limit"] != "128M 512M" {
		t.Errorf("the chain is %v", got)
	}
	if len(chain.Violations) != 1 || chain.Violations[0].Links[0] != "max_execution_time" || chain.UserINI != ".user.ini" || chain.KeptSeconds != 300 {
		t.Errorf("violated is %+v", chain.Violations)
	}
	human := s.run("php", "limits", s.domain()).exits(exitDone)
	for _, want := range []string{"! max_execution_time", "█", s.Site(0).Pool + ".conf:", "A visitor sees: A bare 502", "processor time"} {
		if !strings.Contains(human.stdout, want) {
			t.Errorf("%q is missing: %s", want, human)
		}
	}
	if all := s.run("php", "limits").exits(exitDone); strings.Count(all.stdout, "request_terminate_timeout") < 2 {
		t.Errorf("the chains of all sites: %s", all)
	}

	for _, tc := range []struct {
		args []string
		code int
		kind string
	}{
		{[]string{"--set", "max_execution_time=9999"}, exitFailed, `"ceiling"`},
		{[]string{"--set", "max_execution_time"}, exitUsage, `"usage"`},
		{[]string{"--set", "display_errors=1"}, exitUsage, `"usage"`},
		{[]string{"--for", "1h"}, exitUsage, `"usage"`},
		{[]string{"--undo", "--set", "memory_limit=1M"}, exitUsage, `"usage"`},
	} {
		if r := s.json(append([]string{"php", "limits", s.domain()}, tc.args...)...).exits(tc.code); !strings.Contains(r.stdout, tc.kind) {
			t.Errorf("%s", r)
		}
	}
	var set agent.LimitsSet
	s.json("php", "limits", s.domain(), "--set", "max_execution_time=40", "--dry-run").exits(exitDone).into(&set)
	if _, err := os.Stat(user); err == nil || !set.Planned || len(set.Settings) != 2 || set.Settings[1].Name != "request_terminate_timeout" || len(set.Changes) != 1 || len(set.Notes) != 0 {
		t.Errorf("the dry run says %+v", set)
	}
	// 30 s of processor time need the pool's 20 s to follow.
	s.json("php", "limits", s.domain(), "--set", "max_execution_time=35", "--for", "24h").exits(exitDone).into(&set)
	if set.Planned || len(set.Changes) != 1 || set.Changes[0].Undo == "" || time.Until(set.Until) < 23*time.Hour || len(set.Limits.Violations) != 0 {
		t.Errorf("set is %+v", set)
	}
	for range 4 {
		if _, body, err := s.Get("/limits.php"); err != nil || body != "limit=35;" {
			t.Fatalf("PHP says %q, %v", body, err)
		}
	}
	if info, err := os.Stat(user); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf(".user.ini: %v, %v", info, err)
	}
	if r := s.run("php", "limits", s.domain(), "--undo").exits(exitDone); !strings.Contains(r.stdout, "undone: set") {
		t.Errorf("%s", r)
	}
	if _, err := os.Stat(user); err == nil {
		t.Error(".user.ini is still there")
	}
	s.run("php", "limits", s.domain(), "--undo").exits(exitDone)

	control(t, s)
}

func control(t *testing.T, s *stage) {
	was := s.FPMMaster()
	var r agent.ControlReport
	s.json("php", "reload", s.domain(), "--dry-run").exits(exitDone).into(&r)
	if !r.Planned || len(r.Sites) != 2 || r.Cost.Words == "" || s.FPMMaster() != was {
		t.Errorf("the dry run says %+v", r)
	}
	s.json("php", "reload", s.FPMConfig(0)+":"+s.Site(1).Pool).exits(exitDone).into(&r)
	if r.Planned || len(r.Did) == 0 || r.PID != s.FPMMaster() {
		t.Errorf("the reload says %+v", r)
	}
	s.json("php", "restart", strconv.Itoa(s.FPMMaster())).exits(exitDone).into(&r)
	if r.PID != s.FPMMaster() || r.PID == was {
		t.Errorf("the restart says %+v", r)
	}
	s.wantPlugins(0)
	s.run("php", "reload", "nobody.test").exits(exitUsage)
	now := s.FPMMaster()
	s.write(filepath.Join(filepath.Dir(s.FPMConfig(0)), "pool.d", "zzz.conf"), "[broken]\nbogus = 1\n")
	for _, what := range []string{"reload", "restart"} {
		if r := s.json("php", what, s.domain(), "--force").exits(exitFailed); !strings.Contains(r.stdout, "bogus") && !strings.Contains(r.stdout, "broken") {
			t.Errorf("a broken configuration: %s", r)
		}
	}
	if s.FPMMaster() != now {
		t.Error("the master has gone")
	}
	s.wantPlugins(0)
}
