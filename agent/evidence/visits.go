package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/errlog"
)

// maxTail bounds what is read of the end of one access log, in bytes: about
// 20,000 requests.
const maxTail = 4 << 20

// visit is one request of a visitor, as a log tells of it.
type visit struct {
	at     time.Time
	method string
	uri    string
	host   string // "" where the log is the site's own and does not name it
	status int    // of an error log: what its message stands for
	empty  bool   // a 200 without a body
	php    bool   // PHP was asked, not a file
	log    string
}

// failed: the statuses of a gateway that got no answer out of PHP, of PHP's own
// fatals, and the empty page.
func (v visit) failed() bool {
	switch v.status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return v.empty && v.method == http.MethodGet
}

// visits reads the ends of the site's access and error logs. What could not be read
// is in the error.
func visits(s site.Site, since time.Time, yield func(visit)) error {
	var problems []error
	for _, file := range accessLogs(s) {
		own := ownLog(s, file)
		problems = append(problems, tails(file, func(text []byte) error {
			return gateway.ScanAccess(bytes.NewReader(text), time.Local, func(r gateway.AccessRecord) bool {
				if !r.Time.Before(since) && asked(r.Host, s, own) {
					yield(accessVisit(r, file))
				}
				return true
			})
		}))
	}
	if s.Gateway.Kind == apache {
		return errors.Join(problems...) // Apache's error log does not name the URL
	}
	for _, file := range gatewayLogs(s) {
		problems = append(problems, tails(file, func(text []byte) error {
			return gateway.ScanNginxLog(bytes.NewReader(text), time.Local, func(r gateway.LogRecord) bool {
				if v, failed := errorVisit(r, file); failed && !r.Time.Before(since) && ofSite(r, s, file) {
					yield(v)
				}
				return true
			})
		}))
	}
	return errors.Join(problems...)
}

// accessVisit is a request in an access log.
func accessVisit(r gateway.AccessRecord, file string) visit {
	return visit{at: r.Time, method: r.Method, uri: r.URI, host: r.Host, status: r.Status, log: file,
		empty: r.Status == http.StatusOK && r.Bytes == 0}
}

// asked reports whether a request in an access log was to the site; own says that no
// other vhost writes there.
func asked(host string, s site.Site, own bool) bool {
	return host == "" && own || host != "" && s.Serves(host)
}

// errorVisit is a request that failed according to nginx' error log.
func errorVisit(r gateway.LogRecord, file string) (v visit, failed bool) {
	status := statusOf(r)
	if status == 0 {
		return visit{}, false
	}
	method, uri, host := requestOf(r)
	return visit{at: r.Time, method: method, uri: uri, host: host, status: status, php: true, log: file}, true
}

// tails reads the end of a log and, where that is all of it, of the one before: a
// rotation just now would hide how the trouble began.
func tails(file string, scan func([]byte) error) error {
	text, err := errlog.ReadTail(file, maxTail)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", file, err)
	}
	var old []byte
	if room := int64(maxTail - len(text)); room > maxTail/4 {
		// What lies there otherwise, or nothing, is no log of this one.
		if old, err = errlog.ReadTail(file+".1", room); err != nil {
			old = nil
		}
	}
	for _, part := range [][]byte{old, text} {
		if err := scan(part); err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
	return nil
}

// statusOf is the status that a record of nginx' error log stands for, 0 for one
// that is no failed answer of PHP (field.md 1.2).
func statusOf(r gateway.LogRecord) int {
	if !strings.HasPrefix(r.Upstream, "fastcgi://") {
		return 0
	}
	if r.Stderr != "" {
		for _, text := range errlog.SplitMessages(r.Stderr) {
			if e, ok := errlog.ParsePHPError(text); ok && e.Fatal() {
				return http.StatusInternalServerError
			}
		}
		return 0
	}
	switch {
	case !slices.Contains([]string{"error", "crit", "alert"}, r.Level):
		return 0
	case strings.HasPrefix(r.Message, "upstream timed out"):
		return http.StatusGatewayTimeout
	case r.Action == "connecting to upstream", r.Action == "reading response header from upstream":
		return http.StatusBadGateway
	}
	return 0
}

// requestOf takes a request line apart: "GET /x HTTP/1.1".
func requestOf(r gateway.LogRecord) (method, uri, host string) {
	method, uri, _ = strings.Cut(r.Request, " ")
	uri, _, _ = strings.Cut(uri, " ")
	host, _, _ = strings.Cut(strings.ToLower(r.Host), ":")
	return method, uri, host
}

func accessLogs(s site.Site) []string {
	var files []string
	for _, v := range s.Vhosts {
		files = append(files, v.AccessLogs...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// ownLog: nobody but the site's vhosts writes failures to the log.
func ownLog(s site.Site, file string) bool {
	users, known := s.Gateway.LogUsers[file]
	return known && !slices.ContainsFunc(users, func(name string) bool {
		return !slices.ContainsFunc(s.Vhosts, func(v gateway.Vhost) bool {
			return slices.Contains(v.Names, name) || name == "" && len(v.Names) == 0
		})
	})
}
