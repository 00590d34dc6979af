package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// Day is how far back the returns of a culprit count.
	Day = 24 * time.Hour
	// offAtMost is how often within a [Day] the same component is switched off: whoever
	// brings it back twice means to, or does not know what he brings back.
	offAtMost = 2
)

// SwitchOff is one time that wpmend switched a component off for cause, proven by the
// site's being well without it.
type SwitchOff struct {
	At        time.Time
	Component string
	Back      string // who or what brought it back, in words; "" unknown
}

// Returned says whether components may be switched off once more.
func Returned(past []SwitchOff, components []string, now time.Time) Verdict {
	worst := allowed
	for _, id := range components {
		var times []time.Time
		var back []string
		for _, o := range past {
			if o.Component != id || now.Sub(o.At) >= Day {
				continue
			}
			times = append(times, o.At)
			if o.Back != "" && !slices.Contains(back, o.Back) {
				back = append(back, o.Back)
			}
		}
		if len(times) < offAtMost {
			continue
		}
		who := "how it came back is not known"
		if len(back) > 0 {
			who = "it came back: " + strings.Join(back, "; ")
		}
		until := frees24(times)
		if worst.Allowed || until.After(worst.Until) {
			worst = Verdict{Reason: CulpritReturns, Until: until,
				Why: fmt.Sprintf("%s was switched off %d times within a day and is at work again; %s. It is left on now, since whoever brings it back must see to it first", id, len(times), who)}
		}
	}
	return worst
}

// frees24 is when fewer than [offAtMost] of the times lie within a day.
func frees24(times []time.Time) time.Time {
	return oldest(times)[len(times)-offAtMost].Add(Day)
}

// oldest sorts the times.
func oldest(times []time.Time) []time.Time {
	times = slices.Clone(times)
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// Flaps says whether a site that fails now is flapping: it has failed most times within
// the last [Window] already, and was well in between. times are when those failures
// began; 0 as most: it never is.
func Flaps(times []time.Time, most int, now time.Time) Verdict {
	var recent []time.Time
	for _, t := range times {
		if now.Sub(t) < Window {
			recent = append(recent, t)
		}
	}
	if most <= 0 || len(recent) < most {
		return allowed
	}
	return Verdict{Reason: Flapping, Why: fmt.Sprintf("the site has failed %d times within the last %s and was well in between, the budget is %d (budget.flaps): whatever is changed, it comes back, so nothing is changed before it stays up, or down",
		len(recent)+1, span(now.Sub(oldest(recent)[0])), most)}
}

func span(d time.Duration) string {
	return strings.TrimSuffix(max(d, time.Minute).Round(time.Minute).String(), "0s")
}
