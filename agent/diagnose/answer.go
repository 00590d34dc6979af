package diagnose

import (
	"cmp"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strings"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/php/errlog"
)

// fatals puts the fatal errors that match into the evidence, with the confidence that their source is worth: what came
// with our own answer, what FPM sent to the gateway, what the site's own user can write.
func (f Facts) fatals(c *Cause, match func(errlog.PHPError) bool) bool {
	for _, r := range []probe.Result{f.Front, f.Direct} {
		for _, e := range r.Errors {
			if e.Fatal() && match(e) {
				c.Confidence = max(c.Confidence, told)
				c.Evidence = append(c.Evidence, evidence("answer", r.Start, fatalWords(e)))
			}
		}
	}
	for _, l := range f.PHP {
		if !l.Record.Fatal() || !match(l.Record) {
			continue
		}
		worth := textOnly
		if f.broken() && !l.Own {
			worth = 0.8
		}
		if f.lost() && !l.Own && c.Confidence < worth {
			worth = 0.6 // the gateway lost PHP for another reason, perhaps
		}
		c.Confidence = max(c.Confidence, worth)
		c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, fatalWords(l.Record)))
	}
	return len(c.Evidence) > 0
}

func fatalWords(e errlog.PHPError) string {
	return fmt.Sprintf("PHP %s: %s in %s:%d", e.Kind, firstLine(e.Message), e.File, e.Line)
}

// HeaderRefused reports that the gateway refused an answer for its header: then the pool can tell how large that is.
func (f Facts) HeaderRefused() bool {
	return f.Front.Outcome == probe.BadGateway && slices.ContainsFunc(f.Gateway, func(l Line[gateway.LogRecord]) bool { return tooBigHeader(l.Record) })
}

func tooBigHeader(r gateway.LogRecord) bool {
	return strings.HasPrefix(r.Message, "upstream sent too big header")
}

// responseHeaderTooBig is nginx' alone: Apache takes 20 kB and more.
func responseHeaderTooBig(f Facts) (Cause, bool) {
	c := Cause{Cause: ResponseHeaderTooBig, Confidence: told}
	if f.Front.Outcome != probe.BadGateway {
		return Cause{}, false // somebody else's request, or a forged line
	}
	c.Evidence = f.records(tooBigHeader)
	if f.Direct.Signature == probe.HeaderTooBig || f.Location.Buffer > 0 && int64(f.Direct.Header) > f.Location.Buffer {
		c.Confidence = 0.98
		c.say(f, "pool", "PHP's header has %d bytes, the gateway takes %d", f.Direct.Header, f.Location.Buffer)
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	f.tune(&c, RemedyTuneGateway)
	// One buffer for what was seen and the cookies of those who are logged in, a power of two.
	need := max(2*f.Location.Buffer, int64(f.Direct.Header)+4<<10, 16<<10)
	k := min(int64(1)<<bits.Len64(uint64(need-1)), 128<<10) >> 10
	c.advise("The header is larger than the gateway's buffer of %d bytes. Let the plugin send less, or paste into the PHP location in %s: fastcgi_buffer_size %dk; fastcgi_buffers 8 %dk; fastcgi_busy_buffers_size %dk;",
		f.Location.Buffer, cmp.Or(f.Location.File, "the vhost"), k, k, 2*k)
	c.advise("Then nginx -t && nginx -s reload. What sends it: wpmend bisect names the plugin; often debug plugins, or one that sets a cookie on every page.")
	return c, true
}

func invalidHeader(f Facts) (Cause, bool) {
	c := Cause{Cause: InvalidHeader, Confidence: textOnly, Remedy: new(RemedyDisable), Evidence: f.records(func(r gateway.LogRecord) bool {
		return strings.HasPrefix(r.Message, "upstream sent invalid header") || strings.HasPrefix(r.Message, "upstream sent invalid status") ||
			strings.Contains(strings.ToLower(r.Message), "malformed header from script") || r.Code == "AH01070"
	})}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	if f.lost() || f.Front.Status == 500 {
		c.Confidence = told
	}
	c.advise("Some code sends a header that is none, with header() or by printing past PHP (Status: without a number, a line break in a value). Find it: grep -rnE \"header\\( *['\\\"](Status|HTTP)\" wp-content; ask PHP past the gateway: wpmend check --verbose.")
	return c, true
}

// htaccess is Apache's word about a file of the site's (server/config.c, ap_parse_htaccess; core.c).
var htaccess = regexp.MustCompile(`(/[^\s:]{0,300}/\.htaccess): (.*)`)

func htaccessBroken(f Facts) (Cause, bool) {
	c := Cause{Cause: HtaccessBroken, Confidence: textOnly}
	var file, said string
	for _, l := range f.Gateway {
		at := htaccess.FindStringSubmatch(l.Record.Message)
		if at == nil || l.Record.Module != "" && l.Record.Module != "core" {
			continue
		}
		file, said = at[1], at[2]
		c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, words(l.Record)))
	}
	if file == "" {
		return Cause{}, false
	}
	if f.Front.Status == 500 || f.Front.Outcome == probe.Fatal {
		c.Confidence = told
	}
	directive := quoted(said)
	if strings.HasPrefix(directive, "php_") {
		c.advise("%s is a directive of mod_php, which does not run here. Take it out of %s (grep -n %s %s) and put the setting into .user.ini beside it: NAME = VALUE.", directive, file, shell(directive), shell(file))
	} else {
		c.advise("Mend %s: %s. The line: grep -n %s %s; or move the file aside for a moment (mv %s %s) and let WordPress write it anew under Settings, Permalinks.",
			file, said, shell(cmp.Or(directive, "Option")), shell(file), shell(file), shell(file+".off"))
	}
	return c, true
}

// quoted is the first word in quotes.
func quoted(said string) string {
	_, rest, ok := strings.Cut(said, "'")
	word, _, closed := strings.Cut(rest, "'")
	if !ok || !closed {
		return ""
	}
	return word
}
