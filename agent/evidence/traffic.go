package evidence

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/errlog"
)

const (
	// recently is the time whose requests are counted.
	recently = time.Minute
	// ordinarily is the time before it that they are compared with.
	ordinarily = 15 * time.Minute
	// maxTraffic bounds what is read of the end of an access log, in bytes.
	maxTraffic = 8 << 20
	// tallies is how many clients and URLs are named, maxTallied how many are counted.
	tallies, maxTallied = 5, 50_000
)

// traffic counts who asked what of the site just before a moment, by its access logs.
func traffic(s site.Site, now time.Time) diagnose.Visits {
	t := traffics{now: now, clients: map[string]int{}, urls: map[string]int{}}
	v := diagnose.Visits{From: now.Add(-recently), To: now}
	for _, file := range accessLogs(s) {
		text, err := errlog.ReadTail(file, maxTraffic)
		if err != nil {
			continue // what else reads this log says why
		}
		if v.File == "" {
			v.File = file
		}
		t.add(s, file, text)
	}
	if v.File == "" {
		return diagnose.Visits{}
	}
	v.Requests, v.Failed = t.recent, t.failed
	v.Rate = float64(t.recent) / recently.Seconds()
	if span := v.From.Sub(t.oldest); !t.oldest.IsZero() && span >= recently {
		v.Ordinary = float64(t.before) / min(span, ordinarily).Seconds()
	}
	v.Clients, v.URLs = most(t.clients), most(t.urls)
	return v
}

type traffics struct {
	now                    time.Time
	recent, failed, before int
	oldest                 time.Time // what the logs go back to, as far as they tell of the site
	clients, urls          map[string]int
}

func (t *traffics) add(s site.Site, file string, text []byte) {
	own := ownLog(s, file)
	var first time.Time
	// Reading from memory does not fail.
	_ = gateway.ScanAccess(bytes.NewReader(text), time.Local, func(r gateway.AccessRecord) bool {
		if !asked(r.Host, s, own) {
			return true
		}
		if first.IsZero() {
			first = r.Time
		}
		if r.Time.After(t.now) || r.Time.Before(t.now.Add(-recently-ordinarily)) {
			return true
		}
		if r.Time.Before(t.now.Add(-recently)) {
			t.before++
			return true
		}
		t.recent++
		if r.Status >= 500 {
			t.failed++
		}
		count(t.clients, r.Client)
		path, _, _ := strings.Cut(r.URI, "?") // what follows may be secret
		count(t.urls, path)
		return true
	})
	// Of several logs the one that reaches back the least says since when all were counted.
	if first.After(t.oldest) {
		t.oldest = first
	}
}

func count(in map[string]int, name string) {
	const longest = 200
	if name = strings.ToValidUTF8(name, "?"); len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	if _, known := in[name]; known || len(in) < maxTallied {
		in[name]++
	}
}

func most(counted map[string]int) []diagnose.Tally {
	var found []diagnose.Tally
	for _, name := range slices.Sorted(maps.Keys(counted)) {
		found = append(found, diagnose.Tally{Name: name, Count: counted[name]})
	}
	slices.SortStableFunc(found, func(a, b diagnose.Tally) int { return cmp.Compare(b.Count, a.Count) })
	return found[:min(len(found), tallies)]
}

// inLogs says whether a word stands at the end of one of the site's access logs, and
// whether any of these could be read.
func inLogs(s site.Site, word string) (there, readable bool) {
	for _, file := range accessLogs(s) {
		text, err := errlog.ReadTail(file, 1<<20)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		readable = true
		if bytes.Contains(text, []byte(word)) {
			return true, true
		}
	}
	return false, readable
}
