// Package probe sends one request to one URL of one site by one route and judges
// the answer to an outcome with a signature. It knows nothing of causes, and it
// changes nothing by itself: GET or HEAD, past page caches, bounded in time and size.
//
// Its invariant: an outcome rests on status and body together. An empty 200 is a
// failure; a refusal (401, 403, 404, 429) or a redirect out of the site says
// nothing of PHP and is never one.
package probe

import (
	"strings"
	"time"

	"wpmend/php/errlog"
)

// HeaderTooBig is the signature of an answer whose header the gateway refuses.
const HeaderTooBig = "header too big"

// Outcome is what an answer means for the site.
type Outcome string

// The outcomes. Those for which Failing is true can open an incident.
const (
	Healthy        Outcome = "healthy"
	BadGateway     Outcome = "bad-gateway"     // 502, or a worker that died before it answered
	GatewayTimeout Outcome = "gateway-timeout" // 504, or no answer within the probe's own bound
	Unavailable    Outcome = "unavailable"     // 503 that is not WordPress' maintenance page
	Unreachable    Outcome = "unreachable"     // nobody accepts the connection
	Fatal          Outcome = "fatal"           // a PHP fatal: a 5xx of PHP's own, or WordPress' error page
	Blank          Outcome = "blank"           // 200 without a body
	Incomplete     Outcome = "incomplete"      // the answer broke off
	DBError        Outcome = "db-error"        // WordPress has no database
	Maintenance    Outcome = "maintenance"     // WordPress' own maintenance page
	Barred         Outcome = "barred"          // refused before PHP: nothing is known
	Unknown        Outcome = "unknown"         // the route could not be judged
)

// Failing reports whether visitors suffer.
func (o Outcome) Failing() bool {
	switch o {
	case Healthy, Barred, Unknown:
		return false
	}
	return true
}

// Route is how a probe travels.
type Route string

// The routes: through the gateway, straight to the live pool, to a private copy.
const (
	Front  Route = "front"
	Pool   Route = "pool"
	Shadow Route = "shadow"
)

// Result is one judged answer.
type Result struct {
	Route     Route
	URL       string // the final one, after redirects
	Outcome   Outcome
	Signature string // what failed and where: two failures with the same signature are the same failure
	Status    int    // HTTP status; 0 when there was no answer
	Bytes     int    // of the body
	Header    int    // bytes of the response header, as PHP sent it; 0 by the front route
	Closed    bool   // the body holds </html>
	Cached    string // the header that says the answer came out of a cache, "X-Cache: HIT"; "" none does
	Server    string // whose the answer is by its headers: a network's name ("Cloudflare"), else the Server header; untrusted
	Start     time.Time
	Took      time.Duration
	Errors    []errlog.PHPError // PHP's own messages that came with the answer (pool and shadow only)
	Detail    string            // what went wrong, in words
}

// Bounds on what a result keeps of a server's words, in bytes: it stands in reports, logs and the history.
const (
	maxShown = 1000
	maxURL   = 2000 // no browser's address bar takes longer ones
)

// bound cuts what a site has chosen the length of.
func (r *Result) bound() {
	r.URL, r.Signature, r.Detail = clip(r.URL, maxURL), clip(r.Signature, maxShown), clip(r.Detail, 2*maxShown)
}

func clip(s string, size int) string {
	if len(s) <= size {
		return s
	}
	return strings.ToValidUTF8(s[:size], "") + "…"
}

// Aside reports an answer that says nothing of PHP: a refusal, or a redirect out
// of the site.
func (r Result) Aside() bool {
	return r.Outcome == Barred || r.Outcome == Unknown && r.Status >= 300 && r.Status < 400
}

// Answered reports that PHP brought its answer to an end, whatever it says.
func (r Result) Answered() bool { return r.Outcome == Healthy || r.Aside() }
