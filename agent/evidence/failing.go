package evidence

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	"wpmend/agent/site"
)

// FailingURL is a URL of the site that failed, by the gateway's logs. Anybody can
// write there, by asking; so it is a question for a probe, and no verdict.
type FailingURL struct {
	// URL is one of this site's names below its folder, harmless to ask again with
	// GET, without parameters that may be secrets.
	URL    *url.URL
	Status int // of the last failure; 200 for an empty page
	Count  int
	Last   time.Time
	Source string // the log
}

const (
	// maxURLs bounds how many URLs are counted: a scanner asks for thousands.
	maxURLs = 4096
	// together is how far apart failures may lie to be of the same trouble.
	together = 15 * time.Minute
)

// candidate is a FailingURL with what its place in the list depends on.
type candidate struct {
	FailingURL
	rank  rank
	byLog map[string]int // both logs tell of the same requests
}

// Failing lists the URLs of the site that failed since a moment by the logs of its
// vhosts, pages before what bots ask for, those of the latest trouble first and
// then the most frequent; at most so many. Only the ends of the logs are read. A record
// counts if the gateway wrote it for this site's vhost, or it names one of the
// site's hosts. The error says what could not be read; the list holds the rest.
func Failing(s site.Site, since time.Time, most int) ([]FailingURL, error) {
	known := map[string]*candidate{}
	err := visits(s, since, func(v visit) {
		if !v.failed() || v.method != http.MethodGet && v.method != http.MethodHead {
			return
		}
		u, r := askable(s, v.host, v.uri, v.php)
		if r == never || v.empty && r != page {
			return // wp-cron.php and its like are always empty
		}
		if v.status == http.StatusServiceUnavailable && s.Gateway.Kind != apache {
			// nginx' own 503 is a rate limit, PHP's an intended one; Apache says so for a dead worker.
			r = aside
		}
		c := known[u.String()]
		if c == nil {
			if len(known) == maxURLs {
				return
			}
			c = &candidate{FailingURL: FailingURL{URL: u}, rank: r, byLog: map[string]int{}}
			known[u.String()] = c
		}
		c.rank = min(c.rank, r)
		c.byLog[v.log]++
		if c.Count = max(c.Count, c.byLog[v.log]); !v.at.Before(c.Last) {
			c.Last, c.Status, c.Source = v.at, v.status, v.log
		}
	})
	return ranked(known, most), err
}

func ranked(known map[string]*candidate, most int) []FailingURL {
	var all []*candidate
	var newest time.Time
	for _, c := range known {
		all = append(all, c)
		if c.Last.After(newest) {
			newest = c.Last
		}
	}
	old := func(c *candidate) int {
		if c.Last.Before(newest.Add(-together)) {
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(old(a), old(b)), cmp.Compare(b.Count, a.Count),
			b.Last.Compare(a.Last), cmp.Compare(a.URL.String(), b.URL.String()))
	})
	found := []FailingURL{}
	for _, c := range all[:min(len(all), most)] {
		found = append(found, c.FailingURL)
	}
	return found
}
