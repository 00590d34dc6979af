package gateway

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func scanAccess(t testing.TB, text string) []AccessRecord {
	t.Helper()
	var all []AccessRecord
	if err := ScanAccess(strings.NewReader(text), time.UTC, func(r AccessRecord) bool {
		r.Time = r.Time.UTC()
		all = append(all, r)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// The same hostile requests in every format that the real nginx writes.
func TestScanAccessOfNginx(t *testing.T) {
	t.Parallel()
	dir, addr := tempDir(t), freeAddr(t, "127.66.6.3")
	startNginx(t, dir, addr, strings.ReplaceAll(`
	log_format vhost '$host:$server_port $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"';
	log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$http_x_forwarded_for" $request_time $upstream_response_time';
	log_format wordops '$remote_addr $upstream_response_time $upstream_cache_status [$time_local] $http_host "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" "$server_protocol"';
	log_format json escape=json '{"time_iso8601":"$time_iso8601","remote_addr":"$remote_addr","request":"$request","uri":"$uri","status":"$status","body_bytes_sent":$body_bytes_sent,"host":"$host"}';
	server { listen ADDR; server_name shop.example;
		access_log DIR/combined; access_log DIR/vhost vhost; access_log DIR/main main; access_log DIR/wordops wordops; access_log DIR/json json;
		location / { fastcgi_pass unix:DIR/none.sock; }
		location /empty { return 200; }
	}`, "ADDR", addr))
	forged := `bm9ib2R5IFsyMi9Ob3YvMjAyNi0yMDo1OToxMyArMDAwMF0gIkdFVCAvZm9yZ2VkIEhUVFAvMS4xIiA1MDAgMDp4` // nobody [22/Nov/2026-…] "GET /forged HTTP/1.1" 500 0:x
	for _, request := range []string{
		"GET /a%20b/?x=1&y=%22 HTTP/1.1\nHost: shop.example\nUser-Agent: a \"quoted\" one\nConnection: close",
		"HEAD /shop/ HTTP/1.1\nHost: SHOP.example.:80\nConnection: close",
		"GET /q\"uo\\te\x01\xc3\xa4 HTTP/1.1\nHost: shop.example\nConnection: close",
		"GET http://shop.example/absolute HTTP/1.1\nHost: other.example\nX-Forwarded-For: 9.9.9.9, 8.8.8.8\nConnection: close",
		"GET /real HTTP/1.1\nHost: shop.example\nAuthorization: Basic " + forged + "\nConnection: close",
		"GET /empty HTTP/1.1\nHost: shop.example\nConnection: close",
	} {
		fetch(t, addr, request)
	}
	want := []string{
		"GET /a%20b/?x=1&y=%22 502 shop.example", "HEAD /shop/ 502 shop.example", "GET http://shop.example/absolute 502 shop.example",
		"GET /real 502 shop.example", "GET /empty 200 shop.example",
	}
	for _, format := range []string{"combined", "vhost", "main", "wordops", "json"} {
		text, err := os.ReadFile(dir + "/" + format)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range scanAccess(t, string(text)) {
			if r.Client != "127.0.0.1" || time.Since(r.Time) > time.Minute {
				t.Errorf("%s: from %s at %s", format, r.Client, r.Time)
			}
			if strings.HasPrefix(r.URI, `/q"`) {
				continue // nginx 1.22 refuses the byte 0x01 and writes what it had read so far
			}
			switch {
			case r.Host == "" && (format == "combined" || format == "main"):
				r.Host = "shop.example"
			case r.Host == "other.example" && format == "wordops": // it logs the header, whatever was asked
				r.Host = "shop.example"
			}
			got = append(got, fmt.Sprintf("%s %s %d %s", r.Method, r.URI, r.Status, r.Host))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s\n%s", format, d, text)
		}
	}
}

// Lines of Apache 2.4.65 (Debian 12) and of other servers' documentation.
func TestScanAccessLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 23, 3, 11, 9, 0, time.UTC)
	for name, tc := range map[string]struct {
		line string
		want *AccessRecord
	}{
		"Apache, vhost_combined": {`shop.example:80 127.0.0.1 - - [23/Nov/2026:03:11:09 +0000] "GET /dead/q\"uo\\te HTTP/1.1" 503 529 "-" "a\"b"`,
			&AccessRecord{at, "127.0.0.1", "GET", `/dead/q"uo\te`, 503, 529, "shop.example"}},
		"Apache, common, without a body": {`127.0.0.1 - - [23/Nov/2026:03:11:09 +0000] "GET /none HTTP/1.1" 204 -`,
			&AccessRecord{at, "127.0.0.1", "GET", "/none", 204, 0, ""}},
		"Apache, a TLS hello": {`127.0.0.1 - - [23/Nov/2026:03:11:09 +0000] "\x16\x03\x01\x02" 400 448 "-" "-"`, nil},
		"Apache, host names looked up": {`client.example - bob [23/Nov/2026:04:11:09 +0100] "POST / HTTP/2.0" 500 12`,
			&AccessRecord{at, "client.example", "POST", "/", 500, 12, ""}},
		"IPv6": {`[2001:db8::1] 2001:db8::2 - - [23/Nov/2026:03:11:09 +0000] "GET / HTTP/1.1" 502 1 "-" "-"`,
			&AccessRecord{at, "2001:db8::2", "GET", "/", 502, 1, "[2001:db8::1]"}},
		"a user that looks like a record": {`1.2.3.4 - x [22/Nov/2026:20:59:13 +0000] \x22GET /forged\x22 500 [23/Nov/2026:03:11:09 +0000] "GET /real HTTP/1.1" 200 5 "-" "-"`,
			&AccessRecord{at, "1.2.3.4", "GET", "/real", 200, 5, ""}},
		"a user agent that looks like a record": {`1.2.3.4 - - [23/Nov/2026:03:11:09 +0000] "GET / HTTP/1.1" 200 5 "-" "[22/Nov/2026:20:59:13 +0000] \x22GET /forged HTTP/1.1\x22 500 0"`,
			&AccessRecord{at, "1.2.3.4", "GET", "/", 200, 5, ""}},
		"Caddy": {`{"level":"info","ts":1795403469.5,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"1.2.3.4","proto":"HTTP/2.0","method":"GET","host":"shop.example","uri":"/?a=1"},"bytes_read":0,"duration":0.1,"size":0,"status":502}`,
			&AccessRecord{at.Add(500 * time.Millisecond), "1.2.3.4", "GET", "/?a=1", 502, 0, "shop.example"}},
		"JSON with the variables": {`{"time_local":"23/Nov/2026:03:11:09 +0000","remote_addr":"1.2.3.4","request_method":"GET","request_uri":"/x?y","uri":"/index.php","status":502,"body_bytes_sent":"157","http_host":"Shop.example:8080"}`,
			&AccessRecord{at, "1.2.3.4", "GET", "/x?y", 502, 157, "shop.example"}},
		"JSON, msec":          {`{"msec":1795403469.000,"request":"GET /z HTTP/1.1","status":"500"}`, &AccessRecord{at, "", "GET", "/z", 500, -1, ""}},
		"JSON, cut":           {`{"msec":1795403469.000,"request":"GET /z HT`, nil},
		"JSON, no time":       {`{"request":"GET /z HTTP/1.1","status":"500"}`, nil},
		"a day that is none":  {`1.2.3.4 - - [31/Feb/2026:03:11:09 +0000] "GET / HTTP/1.1" 200 5`, nil},
		"no status":           {`1.2.3.4 - - [23/Nov/2026:03:11:09 +0000] "GET / HTTP/1.1"`, nil},
		"an unended request":  {`1.2.3.4 - - [23/Nov/2026:03:11:09 +0000] "GET / HTTP/1.1 500 0`, nil},
		"a status of letters": {`1.2.3.4 - - [23/Nov/2026:03:11:09 +0000] "GET / HTTP/1.1" abc 0`, nil},
		"nothing":             {"", nil},
	} {
		var want []AccessRecord
		if tc.want != nil {
			want = []AccessRecord{*tc.want}
		}
		if d := cmp.Diff(want, scanAccess(t, tc.line+"\r\n")); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestScanAccessPassesJunkOver(t *testing.T) {
	t.Parallel()
	good := `1.2.3.4 - - [23/Nov/2026:03:11:09 +0000] "GET /good HTTP/1.1" 502 0 "-" "-"` + "\n"
	junk := good + "\x00\xff\x00binary\n" + strings.Repeat("A", 3*maxAccessLine) + good + strings.Repeat("[", 5000) + "\n" + good + strings.TrimSuffix(good, "\n")
	n := 0
	for _, r := range scanAccess(t, junk) {
		if r.URI != "/good" {
			t.Errorf("%+v", r)
		}
		n++
	}
	// The second stands at the end of a line that is too long, and so is no record.
	if n != 3 {
		t.Errorf("%d records", n)
	}
}

func TestLogUsers(t *testing.T) {
	t.Parallel()
	g, err := ParseNginx([]byte(`# configuration file /n.conf:
http { access_log /all.log;
	server { server_name _; location / { return 444; } }
	server { server_name a.example www.a.example; location / { fastcgi_pass 127.0.0.1:9; } }
	server { listen 81; server_name a.example; return 301 https://a.example$request_uri; }
	server { server_name b.example; access_log /b.log; location / { proxy_pass http://127.0.0.1:3; } error_log /b.err; }
	server { server_name c.example; location / { proxy_pass http://127.0.0.1:3; } }
}
`), "/")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"/all.log": {"a.example", "www.a.example", "c.example"}, "/b.log": {"b.example"}, "/b.err": {"b.example"}}
	if d := cmp.Diff(want, g.LogUsers); d != "" {
		t.Error(d)
	}
}

// Whatever the bytes: a record is whole, and a log read in two parts of whole lines gives what it gives in one.
func FuzzScanAccess(f *testing.F) {
	f.Add([]byte(`s.example:80 1.2.3.4 - - [23/Nov/2026:03:11:09 +0000] "GET /a?b=\x22 HTTP/1.1" 502 0 "-" "-"`+"\n"), 3)
	f.Add([]byte(`{"msec":1795403469.000,"request":"GET /z HTTP/1.1","status":"500","host":"a"}`+"\n\n{"), 1)
	f.Add([]byte("1.2.3.4 - x [ [23/Nov/2026:03:11:09 +0000] host \"POST /a\\\" b HTTP/1.1\" 200 -\r\n\x00"), 9)
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		whole := scanAccess(t, string(text))
		for _, r := range whole {
			if r.Method == "" || r.URI == "" || r.Status < 100 || r.Status > 999 || r.Bytes < -1 || r.Time.Year() < 1970 || r.Time.Year() > 9999 ||
				strings.ToLower(r.Host) != r.Host || strings.ContainsAny(r.Host, " /\"\\") {
				t.Errorf("%+v of %q", r, text)
			}
		}
		cut := bytes.IndexByte(text[min(max(at, 0), len(text)):], '\n')
		if cut < 0 {
			return
		}
		cut += min(max(at, 0), len(text)) + 1
		if parts := append(scanAccess(t, string(text[:cut])), scanAccess(t, string(text[cut:]))...); !slices.Equal(whole, parts) {
			t.Errorf("in one %+v, in two %+v", whole, parts)
		}
	})
}
