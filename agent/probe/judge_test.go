package probe

import (
	"net/http"
	"testing"

	"wpmend/php/errlog"
)

// The pages are cut from real answers of WordPress 6.1 in the lab.
const (
	page        = "<!DOCTYPE html>\n<html lang=\"en-US\"><head></head><body class=\"home\">Hello</body></html>"
	criticalDie = `<html><head></head><body id="error-page"><div class="wp-die-message"><p>Es gab einen kritischen Fehler auf deiner Website.</p></div></body></html>`
	databaseDie = "<html><body id=\"error-page\">\n\t<div class=\"wp-die-message\"><h1>Error establishing a database connection</h1></div></body></html>"
	maintainDie = `<html><body id="error-page"><div class="wp-die-message">Briefly unavailable for scheduled maintenance. Check back in a minute.</div></body></html>`
)

func TestJudge(t *testing.T) {
	t.Parallel()
	fatal := []errlog.PHPError{{Kind: "Fatal error", Class: "Error", File: "/s/wp-content/plugins/bad/bad.php", Line: 7}}
	notice := []errlog.PHPError{{Kind: "Warning", File: "/s/wp-content/plugins/ok/ok.php", Line: 1}}
	for name, tc := range map[string]struct {
		a         Answer
		outcome   Outcome
		signature string
	}{
		"a page":                     {Answer{Status: 200, Body: []byte(page)}, Healthy, ""},
		"a page with warnings":       {Answer{Status: 200, Body: []byte(page), Errors: notice}, Healthy, ""},
		"no content is no blank":     {Answer{Status: 204}, Healthy, ""},
		"empty":                      {Answer{Status: 200}, Blank, "blank"},
		"white space only":           {Answer{Status: 200, Body: []byte(" \n\t")}, Blank, "blank"},
		"empty after a fatal":        {Answer{Status: 200, Errors: fatal}, Fatal, "fatal: Error at /s/wp-content/plugins/bad/bad.php:7"},
		"cut off after a fatal":      {Answer{Status: 200, Body: []byte("<html><body>half"), Errors: fatal}, Fatal, "fatal: Error at /s/wp-content/plugins/bad/bad.php:7"},
		"500 without a body":         {Answer{Status: 500}, Fatal, "fatal: 500"},
		"WordPress' fatal page":      {Answer{Status: 500, Body: []byte(criticalDie)}, Fatal, "fatal: 500"},
		"the same with a 200":        {Answer{Status: 200, Body: []byte(criticalDie)}, Fatal, "fatal: 200 with an error page"},
		"display_errors":             {Answer{Status: 200, Body: []byte("<br />\n<b>Fatal error</b>:  Uncaught Error</html>")}, Fatal, "fatal: 200 with an error page"},
		"no database":                {Answer{Status: 500, Body: []byte(databaseDie)}, DBError, "db-error"},
		"a fatal with a heading":     {Answer{Status: 500, Body: []byte(databaseDie), Errors: fatal}, Fatal, "fatal: Error at /s/wp-content/plugins/bad/bad.php:7"},
		"maintenance":                {Answer{Status: 503, Body: []byte(maintainDie), Header: http.Header{"Retry-After": {"600"}}}, Maintenance, "maintenance"},
		"a 503 of the gateway":       {Answer{Status: 503, Body: []byte("<h1>503</h1>")}, Unavailable, "503"},
		"502":                        {Answer{Status: 502, Body: []byte("<h1>502 Bad Gateway</h1>")}, BadGateway, "502"},
		"504":                        {Answer{Status: 504}, GatewayTimeout, "504"},
		"HTTP authentication":        {Answer{Status: 401}, Barred, "401"},
		"refused":                    {Answer{Status: 403}, Barred, "403"},
		"not there":                  {Answer{Status: 404, Body: []byte(page)}, Barred, "404"},
		"rate limit":                 {Answer{Status: 429}, Barred, "429"},
		"a redirect that leads away": {Answer{Status: 302}, Unknown, "302"},
	} {
		outcome, signature := Judge(tc.a)
		if outcome != tc.outcome || signature != tc.signature {
			t.Errorf("%s: %s %q, want %s %q", name, outcome, signature, tc.outcome, tc.signature)
		}
	}
}

func TestOnlyVisitorsTroubleOpensAnIncident(t *testing.T) {
	t.Parallel()
	for _, o := range []Outcome{Healthy, Barred, Unknown} {
		if o.Failing() {
			t.Errorf("%s must never open an incident", o)
		}
	}
	for _, o := range []Outcome{BadGateway, GatewayTimeout, Unavailable, Unreachable, Fatal, Blank, Incomplete, DBError, Maintenance} {
		if !o.Failing() {
			t.Errorf("%s must open an incident", o)
		}
	}
}

func FuzzJudge(f *testing.F) {
	f.Add(200, []byte(page))
	f.Add(500, []byte(databaseDie))
	f.Add(503, []byte(maintainDie))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		outcome, signature := Judge(Answer{Status: status, Body: body, Header: http.Header{}})
		if outcome.Failing() && signature == "" {
			t.Errorf("a failure without a signature: %d %q", status, body)
		}
	})
}
