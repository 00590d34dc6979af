package diagnose

import (
	"math"
	"slices"
	"time"

	"wpmend/php/errlog"
	"wpmend/wp"
)

// The weights of the kinds of evidence, as odds against a component of which
// nothing is known, which is 1. Evidence orders, probes convict.
//
// Each kind names a component once, however often it is written, and has a purse
// that all whom it names share. So a flood of forged lines, against one innocent
// or against all, takes no more weight from the culprit than its kind's purse,
// and text that the site's own user can write has the smallest.
const (
	inTrace     = 300 // a stack trace of FPM stands in it
	behindTrace = 60  // further out in that trace: it called the innermost one
	tracePurse  = 600

	inFatal     = 100 // a fatal error that PHP sent to the gateway through FPM names it
	behindFatal = 20
	fatalPurse  = 200

	inOwnLog     = 50 // the same in a log that the site's user can write to himself
	behindOwnLog = 10
	ownPurse     = 100

	justChanged   = 15 // its files changed within changedSoon before the first failure
	lately        = 5  // within changedLately
	changedPurse  = 30
	changedSoon   = 15 * time.Minute
	changedLately = 24 * time.Hour
	changedSlack  = 2 * time.Second // logs carry whole seconds

	loadsEarly = 2 // a drop-in, the plugin that owns one, a cache or a firewall
)

// suspicion is what one kind of evidence says: raw weights, and the sum that they
// may add up to.
type suspicion struct {
	weight map[string]float64
	purse  float64
}

func newSuspicion(purse float64) suspicion {
	return suspicion{weight: map[string]float64{}, purse: purse}
}

// accuse weighs the components that hold the files, the innermost file first.
func (s suspicion) accuse(f Facts, files []string, innermost, behind float64) {
	if f.Blame == nil {
		return
	}
	weight := innermost
	for _, file := range files {
		if id, ok := f.Blame(file); ok {
			s.weight[id] = max(s.weight[id], weight)
			weight = behind
		}
	}
}

// share scales the weights down to what the purse holds.
func (s suspicion) share() float64 {
	sum := 0.0
	for _, w := range s.weight {
		sum += w
	}
	return min(1, s.purse/max(1, sum))
}

// Suspects weighs components by the facts, from 1 up to 300; who is not in the map
// has the weight 1. Strongest first: where FPM's traces stand, fresh fatal errors,
// files that changed shortly before the first failure, then drop-ins with their
// owners, caches and firewalls, which load first and touch every page.
func Suspects(f Facts, components []wp.Component) map[string]float64 {
	traces, fatals, own := newSuspicion(tracePurse), newSuspicion(fatalPurse), newSuspicion(ownPurse)
	for _, l := range f.Traces {
		traces.accuse(f, frameFiles(l.Record.Frames), inTrace, behindTrace)
	}
	for _, e := range f.Direct.Errors {
		if e.Fatal() {
			fatals.accuse(f, files(e), inFatal, behindFatal)
		}
	}
	for _, l := range f.PHP {
		switch {
		case !l.Record.Fatal():
		case l.Own:
			own.accuse(f, files(l.Record), inOwnLog, behindOwnLog)
		default:
			fatals.accuse(f, files(l.Record), inFatal, behindFatal)
		}
	}
	weights := map[string]float64{}
	for _, s := range []suspicion{traces, fatals, own, changed(f, components), early(components)} {
		scale := s.share()
		for id, w := range s.weight {
			weights[id] = max(weights[id], w*scale, 1)
		}
	}
	return weights
}

// changed suspects what was updated or edited shortly before the trouble began.
func changed(f Facts, components []wp.Component) suspicion {
	s := newSuspicion(changedPurse)
	first := f.FirstFailure
	if first.IsZero() {
		first = f.Front.Start
	}
	if first.IsZero() {
		return s
	}
	for _, c := range components {
		age := first.Sub(c.ModTime)
		switch {
		case c.ModTime.IsZero(), age < -changedSlack, age > changedLately:
		case age <= changedSoon:
			s.weight[c.ID()] = justChanged
		default:
			s.weight[c.ID()] = lately
		}
	}
	return s
}

// files are the places that a PHP error names, the innermost first.
func files(e errlog.PHPError) []string {
	return append([]string{e.File}, frameFiles(e.Frames)...)
}

func frameFiles(frames []errlog.Frame) []string {
	found := make([]string, 0, len(frames))
	for _, f := range frames {
		found = append(found, f.File)
	}
	return found
}

// early suspects what stands between every request and WordPress.
func early(components []wp.Component) suspicion {
	s := newSuspicion(math.Inf(1))
	for _, c := range components {
		if c.Kind == wp.KindDropIn || c.Kind == wp.KindPlugin && slices.Contains(earlyPlugins[:], c.Name) {
			s.weight[c.ID()] = loadsEarly
		}
	}
	return s
}

// earlyPlugins are the folders of widespread caches and firewalls: those that put
// drop-ins, prepended files or rules in front of WordPress (their own sources).
var earlyPlugins = [...]string{
	"all-in-one-wp-security-and-firewall", "batcache", "better-wp-security", "breeze", "bulletproof-security",
	"cache-enabler", "comet-cache", "docket-cache", "hummingbird-performance", "hyper-cache", "litespeed-cache",
	"malcare-security", "ninjafirewall", "object-cache-pro", "query-monitor", "redis-cache", "sg-cachepress",
	"sucuri-scanner", "w3-total-cache", "wordfence", "wp-cerber", "wp-fastest-cache", "wp-rocket",
	"wp-simple-firewall", "wp-super-cache",
}
