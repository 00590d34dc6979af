package remedy

import (
	"errors"
	"fmt"
	"strings"

	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

// Touch is a reload or restart of the master that serves a site, with all other sites
// of that master.
type Touch struct {
	Master fpm.Master // as it runs now
	Cost   fpm.Cost   // measured now
	Lost   string     // a pool whose requests fail anyway and do not count, "" if none
	Lose   int        // how many other running requests may be ended
	Force  bool       // end them all
}

// Reload lets the master read its configuration again and start new workers.
func (t Touch) Reload(s site.Site, incident, why string) (journal.Change, error) {
	hand := fmt.Sprintf("kill -USR2 %d", t.Master.Process.PID)
	if t.Master.Unit != "" {
		hand = "systemctl reload " + t.Master.Unit
	}
	return t.change(s, Act{Do: ReloadFPM, Words: "reload " + named(t.Master), Hand: t.tested(hand)}, incident, why,
		"what a reload has read and cleared cannot be given back; running requests were ended or had finished")
}

// Restart ends the master and starts it again, with new sockets.
func (t Touch) Restart(s site.Site, incident, why string) (journal.Change, error) {
	argv, _, err := t.Master.StartPlan()
	if err != nil {
		return journal.Change{}, fmt.Errorf("%s is not ended, since how to start it again is not known: %w", named(t.Master), err)
	}
	hand := fmt.Sprintf("kill -QUIT %d; %s", t.Master.Process.PID, strings.Join(argv, " "))
	if t.Master.Unit != "" {
		hand = "systemctl restart " + t.Master.Unit
	}
	return t.change(s, Act{Do: RestartFPM, Words: "restart " + named(t.Master), Hand: t.tested(hand)}, incident, why,
		"the old master has ended; stopping the new one would take down every site that it serves")
}

// tested puts FPM's own test before a command for people.
func (t Touch) tested(command string) []string {
	return []string{fmt.Sprintf("%s -t --fpm-config '%s' && %s", t.Master.Binary, strings.ReplaceAll(t.Master.Config, "'", `'\''`), command)}
}

func (t Touch) change(s site.Site, a Act, incident, why, undoNone string) (journal.Change, error) {
	m := t.Master
	m.Pools, m.Global = nil, nil // read anew when it is carried out
	a.Master, a.Lose, a.Pool, a.Force = &m, t.Lose, t.Lost, t.Force
	step, err := a.Step(journal.OnApply)
	if err != nil {
		return journal.Change{}, err
	}
	return journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: incident, Why: why, Actor: Actor,
		What: a.Words + ": " + t.Cost.Why, Steps: []journal.Step{step}, UndoNone: undoNone}, nil
}

// EndStuck ends single workers of the site's pool, one after the other; each costs
// the one request that it is stuck at.
func EndStuck(s site.Site, m fpm.Master, workers []Worker, incident, why string) (journal.Change, error) {
	if len(workers) == 0 {
		return journal.Change{}, errors.New("no worker of the site is known to be stuck")
	}
	m.Pools, m.Global = nil, nil
	pids := make([]string, len(workers))
	for i, w := range workers {
		pids[i] = fmt.Sprint(w.PID)
	}
	word := "worker"
	if len(pids) > 1 {
		word = "workers"
	}
	a := Act{Do: EndWorkers, Master: &m, Pool: s.Pool.Name, Workers: workers, Hand: []string{"kill -TERM " + strings.Join(pids, " ")},
		Words: fmt.Sprintf("end the stuck %s %s of pool %s", word, strings.Join(pids, ", "), s.Pool.Name)}
	step, err := a.Step(journal.OnApply)
	if err != nil {
		return journal.Change{}, err
	}
	return journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: incident, Why: why, Actor: Actor,
		What: fmt.Sprintf("%s: ends at most %s; PHP-FPM starts as many workers anew", a.Words, Count(len(pids), "request")), Steps: []journal.Step{step},
		UndoNone: "an ended request cannot be brought back"}, nil
}

// Count is a number of things in words.
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// named is a master in words.
func named(m fpm.Master) string {
	if m.Unit != "" {
		return "PHP-FPM (" + m.Unit + ")"
	}
	return "PHP-FPM (" + m.Config + ")"
}
