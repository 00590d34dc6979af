package gateway

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// The names that JSON formats give to what a record has, the most exact first: nginx' own variables, Caddy's
// (its "request" is an object), and those of the usual examples for log shippers.
var (
	jsonTime   = [...]string{"time_iso8601", "time_local", "@timestamp", "timestamp", "time", "datetime", "ts", "msec"}
	jsonClient = [...]string{"remote_addr", "client_ip", "remote_ip", "client", "clientip", "ip"}
	jsonMethod = [...]string{"request_method", "method", "verb", "http_method"}
	jsonURI    = [...]string{"request_uri", "uri", "url"}
	jsonStatus = [...]string{"status", "status_code", "response_code", "response"}
	jsonBytes  = [...]string{"body_bytes_sent", "bytes_sent", "bytes", "size", "response_size"}
	jsonHost   = [...]string{"host", "http_host", "server_name", "vhost", "domain"}
)

// parseAccessJSON reads one object of a line. A line that was cut is no JSON and passed over.
func parseAccessJSON(line []byte, loc *time.Location) (rec AccessRecord, ok bool) {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return rec, false
	}
	if inner, nested := fields["request"].(map[string]any); nested {
		for name, value := range inner {
			if _, taken := fields[name]; !taken {
				fields[name] = value
			}
		}
	}
	if rec.Time, ok = jsonStamp(text(fields, jsonTime[:]), loc); !ok {
		return rec, false
	}
	rec.Client, rec.Host = text(fields, jsonClient[:]), logHost(text(fields, jsonHost[:]))
	request, whole := fields["request"].(string)
	if exact := text(fields, jsonURI[:1]); exact == "" && whole {
		if !rec.request(request) {
			return rec, false
		}
	} else {
		rec.Method, rec.URI = text(fields, jsonMethod[:]), text(fields, jsonURI[:])
	}
	if rec.Status, ok = statusOf(text(fields, jsonStatus[:])); !ok || rec.Method == "" || rec.URI == "" {
		return rec, false
	}
	rec.Bytes = -1
	if n, err := strconv.ParseInt(text(fields, jsonBytes[:]), 10, 64); err == nil && n >= 0 {
		rec.Bytes = n
	}
	return rec, true
}

// text is the first of the named fields that holds a word or a number.
func text(fields map[string]any, names []string) string {
	for _, name := range names {
		switch v := fields[name].(type) {
		case string:
			if v != "" {
				return v
			}
		case json.Number:
			return v.String()
		}
	}
	return ""
}

// jsonStamp reads a time: RFC 3339, nginx' $time_local, or seconds since 1970.
func jsonStamp(s string, loc *time.Location) (time.Time, bool) {
	for _, layout := range [...]string{time.RFC3339Nano, accessLayout, "2006-01-02T15:04:05.999999999Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, t.Year() >= 1970
		}
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999"} {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return t, t.Year() >= 1970
		}
	}
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || !(seconds >= 0 && seconds < maxSeconds) || strings.ContainsAny(s, "xXpP") {
		return time.Time{}, false
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), true
}

// maxSeconds ends the year 9999, past which RFC 3339 has no times.
const maxSeconds = 253402300800
