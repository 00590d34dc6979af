package ini

import (
	"fmt"
	"strings"
	"time"
)

// Violation is a place at which two links of the chain do not fit together.
type Violation struct {
	Links []string `json:"links"` // the one that is wrong to the other first
	Sees  string   `json:"sees"`  // what a visitor meets when it bites
	Set   string   `json:"set"`   // what to set instead
}

// Margin is what the gateway must wait longer than FPM lets a request run.
const Margin = 5 * time.Second

// Enough is the least time that a gateway may wait for a pool whose requests are ended after t: FPM looks only every
// third of its limit, so a request may run a third longer (fpm_conf.c, the heartbeat).
func Enough(t time.Duration) time.Duration {
	return (t*4/3 + Margin).Truncate(time.Second) + time.Second
}

// Violations are the places at which a chain does not hold
//
//	request_slowlog_timeout < max_execution_time ≤ request_terminate_timeout
//	request_terminate_timeout · 4/3 + 5 s < gateway read timeout ≤ outer proxies
//	upload_max_filesize ≤ post_max_size
//
// What is not known violates nothing.
func Violations(chain []Link) []Violation {
	s, m, t := Find(chain, Slowlog), Find(chain, MaxExecution), Find(chain, Terminate)
	g, p := Find(chain, Gateway), Find(chain, Outer)
	found := []Violation{}
	add := func(sees, set string, links ...string) {
		found = append(found, Violation{Links: links, Sees: sees, Set: set})
	}
	limited := func(l Link) bool { return l.Known && !l.Unlimited }
	if limited(s) && limited(t) && s.Time > t.Time {
		add("Nothing at all after the next start: PHP-FPM refuses a slow-log timeout above the time at which it ends requests.",
			fmt.Sprintf("%s below %s", Slowlog, t.Words()), Slowlog, Terminate)
	}
	if limited(s) && limited(m) && s.Time >= m.Time {
		add("An error after "+m.Words()+" of computing, and no trace in the slow log that would say where: the request is gone before.",
			fmt.Sprintf("%s below %s", Slowlog, m.Words()), Slowlog, MaxExecution)
	}
	if limited(t) && (limited(m) && m.Time > t.Time || m.Known && m.Unlimited) {
		add("A bare 502 (503 with Apache) after "+t.Words()+", and data that may be half written: FPM ends the worker before PHP can end the script in order, so "+MaxExecution+" never comes to bear.",
			fmt.Sprintf("%s to at most %s, or %s to %s", MaxExecution, Format(MaxExecution, int64(t.Time)), Terminate, atLeast(m)), MaxExecution, Terminate)
	}
	switch {
	case limited(g) && t.Known && t.Unlimited:
		add("504 after "+g.Words()+", while the request runs on behind it: a few of them fill the pool, and then nobody is served.",
			fmt.Sprintf("%s to at most %s, so that what the gateway has given up is ended", Terminate, Format(Terminate, int64(below(g.Time)))), Gateway, Terminate)
	case limited(g) && limited(t) && g.Time <= t.Time*4/3+Margin:
		add(fmt.Sprintf("504 after %s for a request that FPM would still let run (%s, and up to a third longer since it looks only now and then), and that goes on in the background.", g.Words(), t.Words()),
			fmt.Sprintf("the gateway's read timeout to at least %s, or %s to at most %s", Format(Gateway, int64(Enough(t.Time))), Terminate, Format(Terminate, int64(below(g.Time)))), Gateway, Terminate)
	}
	if limited(p) && limited(g) && p.Time < g.Time {
		add("The error page of the proxy in front (504, 524) after "+p.Words()+", although the site would have answered.",
			fmt.Sprintf("the proxy's read timeout to at least %s, or let long work run in the background", Format(Gateway, int64(g.Time))), Outer, Gateway)
	}
	up, post := Find(chain, UploadMax), Find(chain, PostMax)
	if limited(post) && (limited(up) && up.Bytes > post.Bytes) {
		add("An upload between "+post.Words()+" and "+up.Words()+" arrives as an empty form: PHP drops the whole request.",
			fmt.Sprintf("%s to more than %s", PostMax, up.Words()), PostMax, UploadMax)
	}
	return found
}

func atLeast(m Link) string {
	if m.Unlimited {
		return "0 (none)"
	}
	return "at least " + Format(Terminate, int64(m.Time))
}

// below is the longest that FPM may let a request run behind a gateway that waits g.
func below(g time.Duration) time.Duration {
	return max(time.Second, ((g-Margin)*3/4 - 1).Truncate(time.Second))
}

// Counts says in words what a limit of time counts, where people mistake it; "" where it is what it seems.
func Counts(name string) string {
	switch name {
	case MaxExecution:
		return "It counts the processor time of PHP alone: waiting for the database, other hosts or sleep() is free, and only the limits below end that."
	case Terminate:
		return "It counts real time; FPM looks only every third of it."
	}
	return ""
}

func (v Violation) String() string {
	return strings.Join(v.Links, " and ") + ": " + v.Sees + " Set " + v.Set + "."
}
