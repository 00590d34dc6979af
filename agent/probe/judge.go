package probe

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"wpmend/php/errlog"
)

// Answer is what came back, before it is judged.
type Answer struct {
	Status    int
	Header    http.Header
	Body      []byte
	Truncated bool // cut at our own limit, not by the server
	Head      bool // asked with HEAD: no body is to be expected
	Errors    []errlog.PHPError
}

// WordPress' wp_die page, whatever its language: wp-includes/functions.php, _default_wp_die_handler.
var (
	diePage   = regexp.MustCompile(`(?i)<body[^>]* id="error-page"`)
	dieHeader = regexp.MustCompile(`<div class="wp-die-message">\s*<h1>`)
	// PHP with display_errors and html_errors: main/main.c, php_error_cb.
	displayed = regexp.MustCompile(`<b>(?:Fatal error|Parse error)</b>:  `)
)

// Judge gives the outcome of a final (not redirecting) answer and its signature.
func Judge(a Answer) (Outcome, string) {
	fatal, isFatal := firstFatal(a.Errors)
	empty := len(bytes.TrimSpace(a.Body)) == 0
	switch {
	case a.Status == http.StatusBadGateway:
		return BadGateway, "502"
	case a.Status == http.StatusGatewayTimeout:
		return GatewayTimeout, "504"
	case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "" && !isFatal:
		// WordPress' own page or a plugin's: somebody wants the site closed.
		return Maintenance, "maintenance"
	case a.Status == http.StatusServiceUnavailable:
		return Unavailable, "503"
	case a.Status >= 500 && diePage.Match(a.Body) && dieHeader.Match(a.Body) && !isFatal:
		// dead_db() alone puts a heading into the page of a 500: wp-includes/functions.php.
		return DBError, "db-error"
	case a.Status >= 500:
		return Fatal, fatalSignature(fatal, isFatal, fmt.Sprint(a.Status))
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden, a.Status == http.StatusNotFound,
		a.Status == http.StatusMethodNotAllowed, a.Status == http.StatusGone, a.Status == http.StatusTooManyRequests:
		return Barred, fmt.Sprint(a.Status)
	case a.Status >= 300:
		return Unknown, fmt.Sprint(a.Status)
	case isFatal && (empty || !closed(a.Body)), diePage.Match(a.Body), displayed.Match(a.Body):
		return Fatal, fatalSignature(fatal, isFatal, fmt.Sprintf("%d with an error page", a.Status))
	case empty && !a.Head && a.Status != http.StatusNoContent:
		return Blank, "blank"
	}
	return Healthy, ""
}

func firstFatal(errors []errlog.PHPError) (errlog.PHPError, bool) {
	for _, e := range errors {
		if e.Fatal() {
			return e, true
		}
	}
	return errlog.PHPError{}, false
}

// fatalSignature names the place of a fatal, not its text: a message may carry
// an address or a time that differs from request to request.
func fatalSignature(e errlog.PHPError, known bool, otherwise string) string {
	if !known {
		return "fatal: " + otherwise
	}
	what := e.Class
	if what == "" {
		what = strings.ToLower(e.Kind)
	}
	return fmt.Sprintf("fatal: %s at %s:%d", what, e.File, e.Line)
}

func closed(body []byte) bool { return bytes.Contains(bytes.ToLower(body), []byte("</html>")) }

// notInstalled reports a redirect to WordPress' installer: it found no tables or
// no wp-config.php, which is a fault of the database or its configuration.
func notInstalled(location string) bool {
	return strings.HasSuffix(location, "/wp-admin/install.php") || strings.HasSuffix(location, "/wp-admin/setup-config.php")
}
