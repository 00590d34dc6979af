package remedy

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/panel"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/php/ini"
)

// Limits is what of a site's limits is to be set, and where that can be done. PHP_VALUE is never used: a worker keeps
// it for all later requests (PHP bug 53611).
type Limits struct {
	// PHP goes into the site's own UserINI, which holds for the site alone.
	PHP     []ini.Setting
	UserINI string // its name
	Was     []byte // its content, nil if there is none
	// Pool goes into the configuration of the pool, and holds for all of its sites; the names are FPM's:
	// "request_terminate_timeout", "php_admin_value[memory_limit]".
	Pool []ini.Setting
	// Override is how the panel that writes the pool's file is given Pool; nil: the file is ours to change.
	Override *panel.Plan

	Master   fpm.Master // as it runs now, with its pools
	Lose     int        // how many running requests a reload may end
	Lost     string     // a pool whose requests fail anyway and do not count, "" if none
	Force    bool       // end them all
	Incident string
	Why      string
	Actor    string
	Until    time.Time // when it is to be taken back, zero: it stays
	Now      time.Time
}

// Change describes setting the limits: the file or files, and then what makes FPM read them, in both directions.
func (l Limits) Change(s site.Site) (journal.Change, error) {
	c := journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: l.Incident, Why: l.Why, Actor: l.Actor, Until: l.Until}
	var where []string
	if len(l.PHP) > 0 {
		text, err := l.userINI()
		if err != nil {
			return journal.Change{}, fmt.Errorf("%s: %w", filepath.Join(s.Root, l.UserINI), err)
		}
		// 0600 is enough for PHP, and keeps a gateway from serving the file to visitors.
		c.Steps = append(c.Steps, journal.ReplaceFile(s.Root, l.UserINI, text, []uint32{s.Owner}, journal.FileMode{UID: s.Owner, GID: s.Group, Mode: 0o600}))
		where = append(where, said(l.PHP)+" in "+path.Join(s.Root, l.UserINI))
	}
	if len(l.Pool) > 0 {
		file, text, err := l.poolFile(s)
		if err != nil {
			return journal.Change{}, err
		}
		in := "in " + file
		if o := l.Override; o != nil {
			file, text, in = o.File, []byte(o.Text), o.What
		}
		c.Steps = append(c.Steps, journal.ReplaceHostFile(file, text))
		where = append(where, said(l.Pool)+" "+in)
	}
	if len(c.Steps) == 0 {
		return journal.Change{}, errors.New("no limit is to be set")
	}
	act := l.act(s)
	back, err := l.through(act, false).Step(journal.OnUndo)
	if err != nil {
		return journal.Change{}, err
	}
	act = l.through(act, true)
	forth, err := act.Step(journal.OnApply)
	if err != nil {
		return journal.Change{}, err
	}
	c.Steps = append(append([]journal.Step{back}, c.Steps...), forth)
	c.What = fmt.Sprintf("set %s; then %s", strings.Join(where, ", "), act.Words)
	if !l.Until.IsZero() {
		c.What += ", until " + stamp(l.Until)
	}
	return c, nil
}

// act is how FPM takes the files: a pool's by a reload; a .user.ini is read by itself, but each worker keeps the old one
// for user_ini.cache_ttl.
func (l Limits) act(s site.Site) Act {
	m := l.Master
	m.Pools, m.Global = nil, nil
	if len(l.Pool) == 0 {
		return Act{Do: RenewWorkers, Master: &m, Pool: s.Pool.Name, Words: "let the workers of pool " + s.Pool.Name + " be replaced, each between two requests",
			Hand: []string{"# PHP reads it within user_ini.cache_ttl (5 minutes by default)"}}
	}
	t := Touch{Master: m}
	hand := fmt.Sprintf("kill -USR2 %d", m.Process.PID)
	if m.Unit != "" {
		hand = "systemctl reload " + m.Unit
	}
	return Act{Do: ReloadFPM, Master: &m, Pool: l.Lost, Lose: l.Lose, Force: l.Force, Words: "reload " + named(m), Hand: t.tested(hand)}
}

// through is the act with the panel asked first to write the pool's file anew. On the way back its own file is put back
// before that, so the panel is never asked for what it has no template of.
func (l Limits) through(act Act, forth bool) Act {
	if l.Override == nil || len(l.Pool) == 0 {
		return act
	}
	ask := l.Override.Undo
	if forth {
		ask = l.Override.Apply
	}
	act.Do, act.Panel = AskPanel, &ask
	act.Words = "let " + l.Override.Panel + " write the pool anew, and " + act.Words
	act.Hand = append(panel.ByHand(ask), act.Hand...)
	return act
}

func said(settings []ini.Setting) string {
	words := make([]string, len(settings))
	for i, s := range settings {
		words[i] = s.Name + " = " + s.Value
	}
	return strings.Join(words, ", ")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
