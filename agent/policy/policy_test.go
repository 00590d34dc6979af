package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func at(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

func TestBudget(t *testing.T) {
	t.Parallel()
	limits := Limits{Site: 2, Pool: 3, Host: 4, Master: 1}
	change := func(minutes float64, site, pool, master string) Change {
		return Change{At: at(minutes), Site: site, Pool: pool, Master: master}
	}
	for _, c := range []struct {
		name   string
		past   []Change
		want   Want
		limits Limits
		reason Reason
		until  time.Time
		says   string
	}{
		{"nothing was done", nil, Want{Site: "a", Pool: "p", Changes: 2}, limits, "", time.Time{}, ""},
		{"more at once than there may be", nil, Want{Site: "a", Pool: "p", Changes: 3}, limits, BudgetSite, time.Time{}, "change 3 to this site within an hour, the budget is 2 (budget.site): wpmend only watches"},
		{"the last one", []Change{change(-10, "a", "p", "")}, Want{Site: "a", Pool: "p", Changes: 1}, limits, "", time.Time{}, ""},
		{"one too many", []Change{change(-10, "a", "p", ""), change(-20, "a", "p", "")}, Want{Site: "a", Pool: "p", Changes: 1}, limits, BudgetSite, at(40), "(budget.site)"},
		{"an hour ago to the nanosecond", []Change{change(-10, "a", "p", ""), change(-60, "a", "p", "")}, Want{Site: "a", Pool: "p", Changes: 1}, limits, "", time.Time{}, ""},
		{"others of the pool", []Change{change(-1, "b", "p", ""), change(-2, "b", "p", ""), change(-3, "c", "p", "")}, Want{Site: "a", Pool: "p", Changes: 1}, limits, BudgetPool, at(57), "to the sites of this pool"},
		{"of no pool", []Change{change(-1, "b", "", ""), change(-2, "b", "", ""), change(-3, "c", "", "")}, Want{Site: "a", Changes: 1}, limits, "", time.Time{}, ""},
		{"others of the host", []Change{change(-1, "b", "q", ""), change(-2, "b", "q", ""), change(-3, "c", "r", ""), change(-59, "d", "s", "")}, Want{Site: "a", Pool: "p", Changes: 1}, limits, BudgetHost, at(1), "on this host"},
		{"the one that lasts longest counts", []Change{change(-1, "a", "p", ""), change(-2, "a", "p", ""), change(-58, "b", "p", "")}, Want{Site: "a", Pool: "p", Changes: 1}, limits, BudgetSite, at(58), "(budget.site)"},
		{"a master", []Change{change(-5, "b", "q", "/m")}, Want{Master: "/m"}, limits, BudgetMaster, at(55), "PHP-FPM with /m was reloaded or restarted 1 times within an hour, the budget is 1 (budget.master): it is left alone until"},
		{"another master", []Change{change(-5, "b", "q", "/m")}, Want{Master: "/n"}, limits, "", time.Time{}, ""},
		{"the clock was set back", []Change{change(30, "a", "p", ""), change(31, "a", "p", "")}, Want{Site: "a", Pool: "p", Changes: 1}, limits, BudgetSite, at(90), ""},
		{"none at all", nil, Want{Site: "a", Pool: "p", Changes: 1}, Limits{}, BudgetSite, time.Time{}, "the budget is 0"},
	} {
		v := Budget(c.past, c.want, c.limits, noon)
		if v.Reason != c.reason || v.Allowed != (c.reason == "") || !v.Until.Equal(c.until) || !strings.Contains(v.Why, c.says) {
			t.Errorf("%s: %+v, want %q until %s with %q", c.name, v, c.reason, c.until, c.says)
		}
	}
}

// Whatever is asked for and in whatever order the times come, a clock that is set back
// included: within no hour there are more changes than the limits allow.
func TestBudgetLaw(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 3))
	granted, refused := 0, 0
	for range 300 {
		limits := Limits{Site: random.IntN(4), Pool: random.IntN(6), Host: random.IntN(9), Master: random.IntN(3)}
		now, past := noon, []Change{}
		for range 60 {
			switch random.IntN(8) {
			case 0: // the same instant
			case 1:
				now = now.Add(-time.Duration(random.Int64N(int64(2 * time.Hour))))
			case 2:
				now = now.Add(Window)
			default:
				now = now.Add(time.Duration(random.Int64N(int64(20 * time.Minute))))
			}
			w := Want{Site: fmt.Sprint(random.IntN(4)), Changes: random.IntN(4)}
			w.Pool = fmt.Sprint(int(w.Site[0]) % 2)
			if random.IntN(3) == 0 {
				w.Master, w.Changes = fmt.Sprint(random.IntN(2)), 1
			}
			v := Budget(past, w, limits, now)
			if !v.Allowed {
				refused++
				ends(t, past, w, limits, now, v)
				continue
			}
			granted++
			for range w.Changes {
				past = append(past, Change{At: now, Site: w.Site, Pool: w.Pool, Master: w.Master})
			}
		}
		within(t, past, limits)
	}
	if granted < 1000 || refused < 1000 {
		t.Errorf("%d granted and %d refused prove little", granted, refused)
	}
}

// ends wants a refusal to end when it says, and no earlier.
func ends(t *testing.T, past []Change, w Want, l Limits, now time.Time, v Verdict) {
	t.Helper()
	if v.Until.IsZero() {
		if v := Budget(past, w, l, now.Add(1000*Window)); v.Allowed {
			t.Fatalf("time alone allows %+v, and no time is given", w)
		}
		return
	}
	if !v.Until.After(now) || Budget(past, w, l, v.Until.Add(-1)).Allowed || !Budget(past, w, l, v.Until).Allowed {
		t.Fatalf("%+v of %+v at %s: it does not end at %s", w, past, now, v.Until)
	}
}

func within(t *testing.T, past []Change, l Limits) {
	t.Helper()
	for _, first := range past {
		count := map[string]int{}
		for _, c := range past {
			if age := c.At.Sub(first.At); age < 0 || age >= Window {
				continue
			}
			count["host"]++
			count["site "+c.Site]++
			count["pool "+c.Pool]++
			count["master "+c.Master]++
		}
		for what, n := range count {
			most := map[string]int{"h": l.Host, "s": l.Site, "p": l.Pool, "m": l.Master}[what[:1]]
			if what != "master " && n > most {
				t.Fatalf("%d changes within an hour of %s, at most %d are allowed (%s)", n, first.At, most, what)
			}
		}
	}
}

func TestReturned(t *testing.T) {
	t.Parallel()
	off := func(hours float64, id, back string) SwitchOff {
		return SwitchOff{At: at(60 * hours), Component: id, Back: back}
	}
	for _, c := range []struct {
		name string
		past []SwitchOff
		ids  []string
		why  string // "": allowed
	}{
		{"for the first time", nil, []string{"plugin:a"}, ""},
		{"for the second", []SwitchOff{off(-1, "plugin:a", "")}, []string{"plugin:a"}, ""},
		{"for the third", []SwitchOff{off(-2, "plugin:a", "by an update"), off(-1, "plugin:a", "by bob")}, []string{"plugin:b", "plugin:a"}, "plugin:a was switched off 2 times within a day and is at work again; it came back: by an update; by bob."},
		{"nobody knows how", []SwitchOff{off(-2, "plugin:a", ""), off(-1, "plugin:a", "")}, []string{"plugin:a"}, "how it came back is not known"},
		{"yesterday", []SwitchOff{off(-24, "plugin:a", ""), off(-1, "plugin:a", "")}, []string{"plugin:a"}, ""},
		{"others", []SwitchOff{off(-2, "plugin:b", ""), off(-1, "plugin:a", "")}, []string{"plugin:a"}, ""},
	} {
		v := Returned(c.past, c.ids, noon)
		if v.Allowed != (c.why == "") || !strings.Contains(v.Why, c.why) {
			t.Errorf("%s: %+v", c.name, v)
		}
		if !v.Allowed && (v.Reason != CulpritReturns || Returned(c.past, c.ids, v.Until.Add(-1)).Allowed || !Returned(c.past, c.ids, v.Until).Allowed) {
			t.Errorf("%s: it does not end at %s", c.name, v.Until)
		}
	}
}

func TestFlaps(t *testing.T) {
	t.Parallel()
	times := []time.Time{at(-50), at(-10), at(-20), at(-61)}
	for most, flapping := range map[int]bool{0: false, 1: true, 3: true, 4: false} {
		v := Flaps(times, most, noon)
		if v.Allowed == flapping || flapping && (v.Reason != Flapping || !strings.Contains(v.Why, "failed 4 times within the last 50m")) {
			t.Errorf("at most %d: %+v", most, v)
		}
	}
}

// A pause lasts from a minute to an hour and never gets shorter; attempts become rare
// exponentially, and after a restart they come when they would have come without it.
func TestRest(t *testing.T) {
	t.Parallel()
	now, last, attempts := noon, time.Duration(0), 0
	var plan []time.Time
	for ; now.Before(noon.Add(24 * time.Hour)); attempts++ {
		pause := Rest(noon, now)
		if pause < ShortestRest || pause > LongestRest || pause < last || attempts > 1 && pause > 2*last {
			t.Fatalf("after %s: %s, before it %s", now.Sub(noon), pause, last)
		}
		now, last = now.Add(pause), pause
		plan = append(plan, now)
	}
	if attempts > 7+24 {
		t.Errorf("%d attempts in a day", attempts)
	}
	random := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		now := noon.Add(time.Duration(random.Int64N(int64(23 * time.Hour))))
		next, _ := slices.BinarySearchFunc(plan, now, func(p, now time.Time) int {
			if p.After(now) {
				return 1
			}
			return -1
		})
		if got := Resume(noon, now); !got.Equal(plan[next]) {
			t.Fatalf("after a restart at %s: %s, without it %s", now.Sub(noon), got.Sub(noon), plan[next].Sub(noon))
		}
	}
	if got := Resume(noon.Add(100*time.Hour), noon); got.Sub(noon) > LongestRest {
		t.Errorf("with a clock that was set back: not before %s", got)
	}
	if got := Resume(noon, noon.AddDate(100, 0, 0)); got.Sub(noon.AddDate(100, 0, 0)) > LongestRest {
		t.Errorf("after a century: %s", got)
	}
}

func TestShared(t *testing.T) {
	t.Parallel()
	for s, want := range map[Sharing]bool{
		{}:                                    false,
		{Common: true, Others: 3, Failing: 1}: true,
		{Common: true, Others: 3}:             false,
		{Common: true, Others: 3, Failing: 3, Search: true}: false,
		{Others: 3, Failing: 3}:                             false,
	} {
		if Shared(s) != want {
			t.Errorf("%+v: %v", s, !want)
		}
	}
}
