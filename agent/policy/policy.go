// Package policy says what wpmend may do by itself: how many changes an hour, how often
// the same culprit is switched off, when a site that comes and goes is left to a person,
// and when a failure that nobody could mend is looked into again. It knows nothing of
// how changes are made and where the past is written down.
//
// It is pure: the past, the present and the limits in, a verdict out; no clock, disk or
// network. Its invariant: a refusal says why in a sentence, and until when, if time
// alone will end it.
package policy

import (
	"fmt"
	"strings"
	"time"
)

// Reason is a kind of refusal or escalation, as the history keeps it.
type Reason string

// The reasons.
const (
	BudgetSite     Reason = "budget-site"     // too many changes to the site within an hour
	BudgetPool     Reason = "budget-pool"     // to all sites of its PHP-FPM pool
	BudgetHost     Reason = "budget-host"     // to all sites of the host
	BudgetMaster   Reason = "budget-master"   // its PHP-FPM master was reloaded or restarted too often
	CulpritReturns Reason = "culprit-returns" // what was switched off comes back, again and again
	Flapping       Reason = "flapping"        // the site goes down and comes up, again and again
	SuggestOnly    Reason = "suggest"         // the configuration lets wpmend only suggest now
	Unsolved       Reason = "unsolved"        // nothing that wpmend may do helps
	Stopped        Reason = "stopped"         // the work ended with an error
)

// Verdict is the answer to one question.
type Verdict struct {
	Allowed bool
	Reason  Reason
	Why     string    // for a person
	Until   time.Time // when time alone allows it; zero: it does not
}

var allowed = Verdict{Allowed: true}

// Window is the time that budgets count in.
const Window = time.Hour

// Change is one change that wpmend made by itself.
type Change struct {
	At     time.Time
	Site   string
	Pool   string // "": none
	Master string // the PHP-FPM master that was reloaded or restarted by it, "": none was
}

// Want is what shall be done now: changes to one site, or a touch of the master of its pool.
type Want struct {
	Site    string
	Pool    string
	Master  string // which is to be reloaded or restarted; "": none
	Changes int
}

// Limits are the most that may happen within a [Window].
type Limits struct{ Site, Pool, Host, Master int }

// Budget says whether w keeps within the limits, given what was done already. A change
// counts for a whole window from its own instant on, that instant included; what is
// dated in the future, as after a clock was set back, counts too.
func Budget(past []Change, w Want, l Limits, now time.Time) Verdict {
	ofSite := func(c Change) bool { return c.Site == w.Site }
	ofPool := func(c Change) bool { return w.Pool != "" && c.Pool == w.Pool }
	ofHost := func(Change) bool { return true }
	ofMaster := func(c Change) bool { return w.Master != "" && c.Master == w.Master }
	touches := 0
	if w.Master != "" {
		touches = 1
	}
	worst := allowed
	for _, b := range []struct {
		reason        Reason
		counts        func(Change) bool
		further, most int
		of            string
	}{
		{BudgetSite, ofSite, w.Changes, l.Site, "to this site"},
		{BudgetPool, ofPool, w.Changes, l.Pool, "to the sites of this pool"},
		{BudgetHost, ofHost, w.Changes, l.Host, "on this host"},
		{BudgetMaster, ofMaster, touches, l.Master, ""},
	} {
		if b.reason == BudgetPool && w.Pool == "" || b.further == 0 {
			continue
		}
		var times []time.Time
		for _, c := range past {
			if b.counts(c) && now.Sub(c.At) < Window {
				times = append(times, c.At)
			}
		}
		over := len(times) + b.further - b.most
		if over <= 0 {
			continue
		}
		v := Verdict{Reason: b.reason, Until: frees(times, over)}
		v.Why = fmt.Sprintf("this would be change %d %s within an hour, the budget is %d (%s): wpmend only watches", len(times)+b.further, b.of, b.most, key(b.reason))
		if b.reason == BudgetMaster {
			v.Why = fmt.Sprintf("PHP-FPM with %s was reloaded or restarted %d times within an hour, the budget is %d (%s): it is left alone", w.Master, len(times), b.most, key(b.reason))
		}
		if !v.Until.IsZero() {
			v.Why += " until " + v.Until.Local().Format("15:04:05")
		}
		if worst.Allowed || !worst.Until.IsZero() && (v.Until.IsZero() || v.Until.After(worst.Until)) {
			worst = v
		}
	}
	return worst
}

// key is what the configuration calls a budget.
func key(r Reason) string { return strings.Replace(string(r), "-", ".", 1) }

// frees is when so many of the changes have left the window; zero: there are not so many.
func frees(times []time.Time, over int) time.Time {
	if over > len(times) {
		return time.Time{}
	}
	return oldest(times)[over-1].Add(Window)
}
