package evidence

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/php/errlog"
)

// Symptom is a failure that a log tells of. Anybody can write there, by asking, so it
// is a reason to probe, and to nothing else.
type Symptom struct {
	Site string // its ID
	// URL can be asked again with GET, see [FailingURL]; nil: only the front page can.
	URL *url.URL
	// Request is what a visitor asked, as it can be shown: "GET /shop/", "POST"; "" where
	// the log tells of a process instead.
	Request string
	What    string // in words: "answered 502", "a worker ended by signal 11"
	Status  int    // 200 for an empty page; 0: the log does not say
	Time    time.Time
	Source  string // the log
}

// Bounds on what one piece of a log can cost: a flood of failures tells no more than
// its beginning.
const (
	siteSymptoms = 16 // of one site
	namedHosts   = 64 // that are looked for among the sites
)

// logKind is what a log holds.
type logKind int

const (
	accessLog logKind = iota
	errorLog          // of a gateway
	fpmLog
	phpLog
)

// Log is a log that tells of failures, with the sites that it may tell of.
type Log struct {
	File    string
	kind    logKind
	gateway string
	sites   []*site.Site
}

// Logs are all logs that tell of failures of these sites, ordered by file. A file of
// two kinds is listed twice.
func Logs(sites []site.Site) []Log {
	type key struct {
		file, gateway string
		kind          logKind
	}
	found := map[key]*Log{}
	for i := range sites {
		s := &sites[i]
		for kind, files := range map[logKind][]string{accessLog: accessLogs(*s), errorLog: gatewayLogs(*s), fpmLog: masterLogs(*s), phpLog: phpLogs(*s)} {
			for _, file := range files {
				k := key{file, s.Gateway.Kind, kind}
				if found[k] == nil {
					found[k] = &Log{File: file, kind: kind, gateway: s.Gateway.Kind}
				}
				found[k].sites = append(found[k].sites, s)
			}
		}
	}
	logs := make([]Log, 0, len(found))
	for _, l := range found {
		logs = append(logs, *l)
	}
	slices.SortFunc(logs, func(a, b Log) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.kind, b.kind)) })
	return logs
}

// Symptoms are the failures since a moment that whole lines of the log tell of, those
// of wpmend's own probes left out.
func (l Log) Symptoms(text []byte, since time.Time) []Symptom {
	return l.Read(text, since, func(string, time.Time) {})
}

// Read is Symptoms; well is told once of each site, by its ID, that a visitor got a page of since that moment. That was
// a page of WordPress as far as a log can tell, or one out of a cache.
func (l Log) Read(text []byte, since time.Time, well func(id string, at time.Time)) []Symptom {
	r := &reading{log: l, well: well, pages: map[string]bool{}, since: since, now: time.Now(), byName: map[string][]*site.Site{}, told: map[string]int{}}
	switch from := bytes.NewReader(text); {
	// None of these fails, since reading from memory does not.
	case l.kind == accessLog:
		_ = gateway.ScanAccess(from, time.Local, r.access)
	case l.kind == fpmLog:
		_ = errlog.ScanFPM(from, time.Local, r.fpm)
	case l.kind == phpLog:
		_ = errlog.ScanPHP(from, r.php)
	case l.gateway == apache:
		_ = gateway.ScanApacheLog(from, time.Local, r.apache)
	default:
		_ = gateway.ScanLog(l.gateway, from, time.Local, r.nginx)
	}
	return r.symptoms
}

// reading is one piece of a log being read.
type reading struct {
	log        Log
	since, now time.Time
	byName     map[string][]*site.Site // the log's sites by host or vhost, as far as asked for
	told       map[string]int
	well       func(id string, at time.Time)
	pages      map[string]bool // sites that well knows of, or need not, by the name that was asked
	symptoms   []Symptom
}

// tell adds a symptom of a site. A time that lies ahead is a lie or a wrong clock.
func (r *reading) tell(s *site.Site, y Symptom) {
	if y.Time.IsZero() || y.Time.After(r.now) {
		y.Time = r.now
	}
	if y.Time.Before(r.since) || r.told[s.ID] == siteSymptoms {
		return
	}
	r.told[s.ID]++
	y.Site, y.Source = s.ID, r.log.File
	r.symptoms = append(r.symptoms, y)
}

// named are the sites of the log that go by a name.
func (r *reading) named(name string, goesBy func(s *site.Site) bool) []*site.Site {
	sites, known := r.byName[name]
	if !known && len(r.byName) < namedHosts {
		for _, s := range r.log.sites {
			if goesBy(s) {
				sites = append(sites, s)
			}
		}
		r.byName[name] = sites
	}
	return sites
}

func (r *reading) visit(sites []*site.Site, v visit) {
	if u, err := url.ParseRequestURI(v.uri); err == nil && probe.Nonce(u) != "" {
		return // our own
	}
	for _, s := range sites {
		u, rank := askable(*s, v.host, v.uri, v.php)
		if v.empty && rank != page {
			continue // wp-cron.php and its like are always empty
		}
		y := Symptom{Request: shownRequest(v.method, u), What: fmt.Sprintf("answered %d", v.status), Status: v.status, Time: v.at}
		if v.empty {
			y.What = "answered an empty page"
		}
		if rank != never && (v.method == http.MethodGet || v.method == http.MethodHead) {
			y.URL = u
		}
		r.tell(s, y)
	}
}

// shownRequest names a request without what may be secret in it.
func shownRequest(method string, u *url.URL) string {
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost}, method) {
		method = "a request"
	}
	if u == nil {
		return method
	}
	return method + " " + u.EscapedPath()
}

func (r *reading) access(a gateway.AccessRecord) bool {
	v := accessVisit(a, r.log.File)
	sites := func() []*site.Site {
		return r.named(a.Host, func(s *site.Site) bool { return asked(a.Host, *s, ownLog(*s, r.log.File)) })
	}
	switch {
	case v.failed():
		r.visit(sites(), v)
	case !r.pages[a.Host] && a.Status == http.StatusOK && a.Method == http.MethodGet && a.Bytes >= smallestPage &&
		!v.at.Before(r.since) && !v.at.After(r.now):
		r.page(a.Host, sites(), v)
	}
	return true
}

// smallestPage in bytes: what is shorter may be an error's.
const smallestPage = 512

// page is a visitor's page that was well.
func (r *reading) page(host string, sites []*site.Site, v visit) {
	if u, err := url.ParseRequestURI(v.uri); err != nil || probe.Nonce(u) != "" {
		return
	}
	for _, s := range sites {
		if _, rank := askable(*s, v.host, v.uri, false); rank == page {
			r.well(s.ID, v.at)
			r.pages[host] = len(sites) == 1 // others of this name may lie in folders
		}
	}
}

func (r *reading) nginx(l gateway.LogRecord) bool {
	if v, failed := errorVisit(l, r.log.File); failed {
		r.visit(r.named(l.Server, func(s *site.Site) bool { return ofSite(l, *s, r.log.File) }), v)
	}
	return true
}

// apache's error log does not name the URL; its access log does.
func (r *reading) apache(l gateway.LogRecord) bool {
	_, signal, died := l.Died()
	ofThese := func() []*site.Site {
		return r.named(fmt.Sprint(l.UpstreamAddr, died), func(s *site.Site) bool { return ofSite(l, *s, r.log.File) })
	}
	switch {
	case died:
		r.all(ofThese(), Symptom{What: fmt.Sprintf("a child of Apache ended by signal %d", signal), Time: l.Time})
	case l.Stderr == "" && strings.HasPrefix(l.Module, "proxy") && slices.Contains([]string{"error", "crit", "alert", "emerg"}, l.Level):
		r.all(ofThese(), Symptom{What: l.Code + " in Apache's log", Time: l.Time})
	}
	for _, text := range errlog.SplitMessages(l.Stderr) {
		if e, ok := errlog.ParsePHPError(text); ok && e.Fatal() {
			e.Time = l.Time
			r.fatal(e, ofThese())
		}
	}
	return true
}

// fpm's own log names the pool, and so every site that it runs.
func (r *reading) fpm(l errlog.FPMRecord) bool {
	what := ""
	switch {
	case l.Exit != nil && l.Exit.Signal != 0 && l.Exit.Signal != int(syscall.SIGTERM) && l.Exit.Signal != int(syscall.SIGQUIT):
		what = fmt.Sprintf("a worker ended by signal %d", l.Exit.Signal)
	case l.Exit != nil && l.Exit.Code != 0:
		what = fmt.Sprintf("a worker ended with code %d", l.Exit.Code)
	case l.Slow != nil && l.Slow.Terminated:
		what = "a request was terminated for its time"
	case l.MaxChildren > 0:
		what = fmt.Sprintf("all %d workers of the pool are busy", l.MaxChildren)
	default:
		return true
	}
	script := ""
	if l.Slow != nil {
		script = l.Slow.Script
	}
	r.all(r.named(l.Pool+" "+script, func(s *site.Site) bool { return s.Pool.Name == l.Pool && (script == "" || s.Owns(script)) }), Symptom{What: what, Time: l.Time})
	return true
}

func (r *reading) php(e errlog.PHPError) bool {
	if e.Fatal() {
		var only []*site.Site
		if len(r.log.sites) == 1 { // whatever file it names: the core may lie outside of the site
			only = r.log.sites
		}
		r.fatal(e, only)
	}
	return true
}

// fatal is a symptom of the site that the file belongs to, and of those that are known
// to have run it.
func (r *reading) fatal(e errlog.PHPError, known []*site.Site) {
	sites := r.named(e.File, func(s *site.Site) bool { return e.File != "" && s.Owns(e.File) })
	if len(known) > 0 {
		sites = known
	}
	r.all(sites, Symptom{What: "a fatal error of PHP", Status: http.StatusInternalServerError, Time: e.Time})
}

func (r *reading) all(sites []*site.Site, y Symptom) {
	for _, s := range sites {
		r.tell(s, y)
	}
}
