package diagnose

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/probe"
	"wpmend/php/errlog"
	"wpmend/wp"
)

func plugins(n int) []wp.Component {
	var all []wp.Component
	for i := range n {
		all = append(all, wp.Component{Kind: wp.KindPlugin, Name: fmt.Sprintf("p%02d", i), Active: true})
	}
	return all
}

func fatal(own bool, slugs ...string) Line[errlog.PHPError] {
	e := errlog.PHPError{Kind: "Fatal error", File: "/s/plugins/" + slugs[0] + "/a.php"}
	for _, slug := range slugs[1:] {
		e.Frames = append(e.Frames, errlog.Frame{File: "/s/plugins/" + slug + "/b.php"})
	}
	return Line[errlog.PHPError]{Record: e, Own: own}
}

func trace(slugs ...string) Line[errlog.SlowTrace] {
	frames := []errlog.Frame{{File: "/s/wp-includes/http.php"}}
	for _, slug := range slugs {
		frames = append(frames, errlog.Frame{File: "/s/plugins/" + slug + "/c.php"})
	}
	return Line[errlog.SlowTrace]{Record: errlog.SlowTrace{Frames: frames}}
}

func TestSuspects(t *testing.T) {
	t.Parallel()
	f := failing()
	f.FirstFailure = at
	f.Traces = []Line[errlog.SlowTrace]{trace("slow", "caller")}
	f.PHP = []Line[errlog.PHPError]{
		{Record: errlog.PHPError{Kind: "Warning", File: "/s/plugins/chatty/a.php"}},
		fatal(false, "dead", "deep"), fatal(true, "written"),
	}
	components := []wp.Component{
		{Kind: wp.KindPlugin, Name: "fresh", ModTime: at.Add(-5 * time.Minute)},
		{Kind: wp.KindPlugin, Name: "yesterday", ModTime: at.Add(-20 * time.Hour)},
		{Kind: wp.KindPlugin, Name: "repaired", ModTime: at.Add(5 * time.Minute)},
		{Kind: wp.KindPlugin, Name: "old", ModTime: at.Add(-1000 * time.Hour)},
		{Kind: wp.KindPlugin, Name: "wordfence"},
		{Kind: wp.KindDropIn, Name: "object-cache.php"},
	}
	got := Suspects(f, components)
	order := []string{"plugin:slow", "plugin:dead", "plugin:caller", "plugin:written", "plugin:fresh", "plugin:yesterday", "plugin:wordfence"}
	for i, id := range order[1:] {
		if got[order[i]] <= got[id] {
			t.Errorf("%s has %v, %s %v", order[i], got[order[i]], id, got[id])
		}
	}
	for _, id := range []string{"plugin:chatty", "plugin:old", "plugin:repaired"} {
		if w, named := got[id]; named && w != 1 {
			t.Errorf("%s has %v", id, w)
		}
	}
	if got["drop-in:object-cache.php"] != got["plugin:wordfence"] || got["plugin:deep"] <= 1 {
		t.Errorf("%v", got)
	}
}

// Without a first failure in the logs, the incident's own first probe counts; a
// fatal that came with the pool's own answer counts as PHP's word.
func TestSuspectsOfTheAnswer(t *testing.T) {
	t.Parallel()
	f := failing()
	f.Direct = probe.Result{Errors: []errlog.PHPError{fatal(false, "direct").Record}}
	got := Suspects(f, []wp.Component{{Kind: wp.KindPlugin, Name: "fresh", ModTime: at.Add(-time.Minute)}})
	if got["plugin:direct"] != inFatal || got["plugin:fresh"] != justChanged {
		t.Errorf("%v", got)
	}
}

// Whoever writes lines, and however many: nobody's weight exceeds what its kind of
// evidence is worth, all weight so gained fits into the kind's purse beside the
// first 1 of each, writing it 300 times changes nothing, and what a trace says of
// another component stands.
func TestForgedLinesOnlyReorder(t *testing.T) {
	t.Parallel()
	components := plugins(60)
	law := func(seed uint64, own bool) bool {
		rng := rand.New(rand.NewPCG(seed, 1))
		honest := failing()
		honest.Traces = []Line[errlog.SlowTrace]{trace("p59")}
		before := Suspects(honest, components)
		f := honest
		for range rng.IntN(40) {
			slugs := []string{}
			for range 1 + rng.IntN(5) {
				slugs = append(slugs, fmt.Sprintf("p%02d", rng.IntN(59)))
			}
			f.PHP = append(f.PHP, fatal(own, slugs...))
		}
		after := Suspects(f, components)
		purse, most, sum := fatalPurse, float64(inFatal), 0.0
		if own {
			purse, most = ownPurse, inOwnLog
		}
		for id, w := range after {
			if id != "plugin:p59" {
				sum += w - 1
				if w < 1 || w > most {
					return false
				}
			}
		}
		flood := f
		flood.PHP = slices.Repeat(f.PHP, 300)
		again := Suspects(flood, components)
		for id, w := range after {
			if again[id] != w {
				return false
			}
		}
		return sum <= float64(purse) && after["plugin:p59"] == before["plugin:p59"]
	}
	if err := quick.Check(law, nil); err != nil {
		t.Error(err)
	}
}

// The price of a lie, on the search itself: 300 forged fatals against any innocent
// never convict him, and cost no more than two questions beyond the search that
// knows nothing.
func TestForgedFatalsCostLittle(t *testing.T) {
	t.Parallel()
	const n = 60
	components := plugins(n)
	probes := func(guilty int, weights map[string]float64) int {
		search := bisect.Search{}
		for _, c := range components {
			search.Components = append(search.Components, bisect.Component{ID: c.ID(), Weight: max(1, weights[c.ID()])})
		}
		result, err := bisect.Run(context.Background(), search, func(_ context.Context, round []bisect.Question) ([]bisect.Answer, error) {
			answers := make([]bisect.Answer, len(round))
			for i, q := range round {
				answers[i] = bisect.Answer{Verdict: bisect.Failing, Signature: "502"}
				if slices.Contains(q.Masked, components[guilty].ID()) {
					answers[i] = bisect.Answer{Verdict: bisect.Healthy}
				}
			}
			return answers, nil
		})
		if err != nil || len(result.Culprits) != 1 || result.Culprits[0].ID != components[guilty].ID() {
			t.Fatalf("guilty %d: %+v, %v", guilty, result, err)
		}
		return result.Probes
	}
	worst, plain := 0, 0
	for guilty := range n {
		blind := probes(guilty, nil)
		plain = max(plain, blind)
		for _, own := range []bool{false, true} {
			f := failing()
			for range 300 {
				f.PHP = append(f.PHP, fatal(own, fmt.Sprintf("p%02d", (guilty+7)%n)))
			}
			lied := probes(guilty, Suspects(f, components))
			worst = max(worst, lied-blind)
			f.Traces = []Line[errlog.SlowTrace]{trace(fmt.Sprintf("p%02d", guilty))}
			if helped := probes(guilty, Suspects(f, components)); helped > 6 {
				t.Errorf("guilty %d: %d questions although a trace names it, beside forged fatals", guilty, helped)
			}
		}
	}
	if worst > 2 {
		t.Errorf("a lie cost %d questions more", worst)
	}
	t.Logf("at most %d questions, %d more with a lie", plain, worst)
}
