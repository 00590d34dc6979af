package agent

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/journal"
	"wpmend/agent/policy"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

// However many incidents ask at the same moment, the budgets are not exceeded; what was
// not used is free again.
func TestGrant(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.Budget.Site, c.Budget.Pool, c.Budget.Host = 2, 3, 5
	a, err := Open(Options{Config: c, State: filepath.Join(t.TempDir(), "state"), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	sites := make([]site.Site, 12)
	for i := range sites {
		sites[i] = site.Site{ID: fmt.Sprint(i), Root: fmt.Sprint("/srv/", i), Pool: fpm.Pool{Name: fmt.Sprint(i % 4)}, Master: fpm.Master{Config: "/m"}}
		a.sites.Store(sites[i].Root, &sites[i])
	}
	var mu sync.Mutex
	var granted []*grant
	count := map[string]int{}
	var refused atomic.Int32
	var work sync.WaitGroup
	for n := range 120 {
		work.Go(func() {
			s := sites[n%len(sites)]
			g, err := a.grant(s, 1)
			var denied *deniedError
			if errors.As(err, &denied) && strings.HasPrefix(string(denied.Reason), "budget-") {
				refused.Add(1)
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			granted = append(granted, g)
			count["host"]++
			count["site "+s.ID]++
			count["pool "+poolOf(s)]++
		})
	}
	work.Wait()
	for what, n := range count {
		if most := map[string]int{"h": 5, "s": 2, "p": 3}[what[:1]]; n > most {
			t.Errorf("%s: %d changes were granted, want at most %d", what, n, most)
		}
	}
	if len(granted) != 5 || refused.Load() != 115 {
		t.Errorf("%d granted, %d refused", len(granted), refused.Load())
	}
	for _, g := range granted {
		g.end()
	}
	if g, err := a.grant(sites[0], 2); err != nil {
		t.Error(err)
	} else if _, err := a.grant(sites[0], 1); err == nil {
		t.Errorf("two of two were granted, and a third: %+v", g)
	}
}

// Only what wpmend did by itself, and really did, counts.
func TestCounted(t *testing.T) {
	t.Parallel()
	act := func(do string) journal.Step {
		step, err := remedy.Act{Do: do, Master: &fpm.Master{Config: "/m"}, Words: "w"}.Step(journal.OnApply)
		if err != nil {
			t.Fatal(err)
		}
		return step
	}
	now := time.Now()
	past := counted([]journal.Change{
		{Site: "a", SiteRoot: "/a", Actor: remedy.Actor, Created: now, State: journal.Undone},
		{Site: "b", SiteRoot: "/b", Actor: remedy.Actor, Created: now, State: journal.Applied, UndoNone: "x", Steps: []journal.Step{act(remedy.RestartFPM)}},
		{Site: "c", SiteRoot: "/c", Actor: remedy.Actor, Created: now, State: journal.Applied, UndoNone: "x", Steps: []journal.Step{act(remedy.EndWorkers)}},
		{Site: "d", Actor: remedy.Actor, Created: now, State: journal.Undone, UndoNone: "it was not begun"},
		{Site: "e", Actor: remedy.Actor, Created: now, State: journal.Refused, Untouched: true},
		{Site: "f", Actor: "wpmend disable", Created: now, State: journal.Verified},
	}, func(root string) string { return "pool of " + root })
	want := []policy.Change{{At: now, Site: "a", Pool: "pool of /a"}, {At: now, Site: "b", Pool: "pool of /b", Master: "/m"}, {At: now, Site: "c", Pool: "pool of /c"}}
	if fmt.Sprint(past) != fmt.Sprint(want) {
		t.Errorf("%+v", past)
	}
}
