package diagnose

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
)

// dnsMismatch is a reason why visitors do not come here. A failure that we saw at loopback has another one.
func dnsMismatch(f Facts) (Cause, bool) {
	c := Cause{Cause: DNSMismatch, Confidence: 0.97}
	switch {
	case f.Edge.Missing:
		c.say(f, "DNS", "%s: %v", f.Edge.Resolver, f.Edge.Lookup)
		c.advise("The name has no address. Set an A (and AAAA) record at the domain's DNS provider to this host's public address, and see that the domain has not expired (whois).")
	case f.Edge.Elsewhere:
		c.say(f, "DNS", "the name leads to %s, which is not this host", addresses(f.Edge.Addresses))
		c.say(f, "answer", "who answers there is %s, and this host's log does not show the request", outcome(f.Edge.Public))
		c.advise("Point the name's A and AAAA records at this host, or, where the site has moved away, remove its vhost here. What the world sees: dig +short NAME @1.1.1.1; old records stay in caches until their TTL has passed.")
	default:
		return Cause{}, false
	}
	if f.failing() {
		c.Confidence = beside
	}
	return c, true
}

// cloudflare are the statuses with which Cloudflare says what ails the origin (its own documentation of 5xx errors).
var cloudflare = map[int]string{
	520: "the origin's answer was empty or broken: look for headers above 128 kB and for connections that the gateway resets",
	521: "the origin refuses the CDN's connections: let its address ranges through the firewall, and listen on the port that it asks (443 for Full)",
	522: "connections to the origin time out: a packet filter (also the provider's) drops the CDN's address ranges, or the origin's address at the CDN is an old one",
	523: "the origin cannot be reached: correct the origin's address at the CDN",
	525: "the TLS handshake with the origin fails: install a valid certificate for the name here, or an origin certificate of the CDN's",
	526: "the origin's certificate is not valid: renew it (certbot renew), or install an origin certificate of the CDN's",
	530: "the CDN cannot resolve the origin: correct its DNS record there",
}

// cdnOnly: past the CDN the site is well.
func cdnOnly(f Facts) (Cause, bool) {
	if f.failing() || !fails(f.Edge.Public) || f.Edge.Elsewhere || f.Edge.Here && f.Edge.CDN == "" || outerGaveUp(f.Edge.Public) {
		return Cause{}, false
	}
	c := Cause{Cause: CDNOnly, Confidence: 0.96}
	if f.Front.Outcome != probe.Healthy {
		c.Confidence = textOnly // what it would say here is not known
	}
	c.say(f, "answer", "on this host: %s", outcome(f.Front))
	c.say(f, "public answer", "by way of %s: %s", proxy(f), outcome(f.Edge.Public))
	why := cloudflare[f.Edge.Public.Status]
	if why == "" {
		why = "look at the CDN's own status page and its settings for this name: origin address, TLS mode, cache rules, firewall rules"
	}
	c.advise("The site is well on this host; nothing here needs mending. What %s says means: %s.", proxy(f), why)
	c.advise("To compare: curl -sI --resolve NAME:443:127.0.0.1 https://NAME/ asks this host, curl -sI https://NAME/ asks the CDN. Then purge the CDN's cache for the name.")
	return c, true
}

// outerGaveUp: a proxy in front waited for the origin in vain. 524 is Cloudflare's, after 100 s.
func outerGaveUp(r probe.Result) bool {
	return r.Status == 524 || r.Status == http.StatusGatewayTimeout
}

func outerTimeout(f Facts) (Cause, bool) {
	c := Cause{Cause: OuterTimeout, Confidence: told}
	behind := f.records(func(r gateway.LogRecord) bool {
		return strings.HasPrefix(r.Message, "upstream timed out") && strings.HasPrefix(r.Upstream, "http")
	})
	switch {
	case !f.failing() && !f.Edge.Elsewhere && outerGaveUp(f.Edge.Public) && (f.Edge.CDN != "" || !f.Edge.Here):
		c.say(f, "answer", "on this host: %s after %.1f s", outcome(f.Front), f.Front.Took.Seconds())
		c.say(f, "public answer", "by way of %s: %s", proxy(f), outcome(f.Edge.Public))
		c.advise("%s waits for this host for a fixed time (Cloudflare: 100 s) and gave up. Make the page faster, or let the work run in the background (WP-CLI, wp-cron by a real cron job); no timeout on this host can help.", proxy(f))
	case f.late() && len(behind) > 0:
		c.Evidence = behind
		c.advise("The outer proxy on this host gives up before the server behind it: set proxy_read_timeout of its location above the inner one's timeout (ProxyTimeout, fastcgi_read_timeout) and reload it (nginx -t && nginx -s reload).")
	default:
		return Cause{}, false
	}
	return c, true
}

// cachedError: past the caches the site is well.
func cachedError(f Facts) (Cause, bool) {
	if f.failing() || f.Front.Outcome != probe.Healthy || !fails(f.Visitor) {
		return Cause{}, false
	}
	c := Cause{Cause: CachedError, Confidence: 0.6, Remedy: new(RemedyPurge)}
	c.say(f, "answer", "past the caches: %s", outcome(f.Front))
	if f.Visitor.Cached != "" {
		c.Confidence = 0.97
		c.say(f, "answer", "the plain URL: %s, out of a cache (%s)", outcome(f.Visitor), f.Visitor.Cached)
	} else {
		c.say(f, "answer", "the plain URL: %s", outcome(f.Visitor))
	}
	c.advise("An old error is served out of a cache. Purge the page cache (nginx: the folder of fastcgi_cache_path; a cache plugin: its own button; a CDN: its purge), and let it keep answers of status 200 only: fastcgi_cache_valid 200 10m; with no line for 5xx or any.")
	return c, true
}

// staleCache is no reason for the failure: it says that visitors do not see it yet.
func staleCache(f Facts) (Cause, bool) {
	if !fails(f.Front) || f.Visitor.Outcome != probe.Healthy {
		return Cause{}, false
	}
	c := Cause{Cause: StaleCache, Confidence: beside}
	how := "as a visitor asks"
	if f.Visitor.Cached != "" {
		how = f.Visitor.Cached
	}
	c.say(f, "answer", "past the caches: %s; the plain URL: %s (%s)", outcome(f.Front), outcome(f.Visitor), how)
	c.advise("Visitors still get old pages out of the gateway's cache; do not purge it before the site is mended. Logged-in users, forms and the shop's cart fail already.")
	return c, true
}

// proxy names what stands in front of this host.
func proxy(f Facts) string {
	if f.Edge.CDN != "" {
		return clean(f.Edge.CDN)
	}
	if len(f.Edge.Addresses) > 0 {
		return "the proxy at " + f.Edge.Addresses[0].String()
	}
	return "the proxy in front"
}

func addresses(all []netip.Addr) string {
	texts := []string{}
	for _, a := range all[:min(len(all), 4)] {
		texts = append(texts, a.String())
	}
	return strings.Join(texts, ", ")
}

// outcome says what an answer was.
func outcome(r probe.Result) string {
	text := string(r.Outcome)
	if text == "" {
		text = "unknown"
	}
	if r.Status != 0 {
		text += fmt.Sprintf(" (%d)", r.Status)
	}
	return text
}
