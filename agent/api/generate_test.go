package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// Requests that are made from the document, valid and broken in every way, bring no 500 out
// of a real service, and no answer that the document does not describe.
func TestGenerated(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	c := clientOf(s.socket)
	d := readDocument(t, []byte(carryOut(c, order{Method: "GET", Path: "/v1/openapi.json"}).Body))
	count := 2400
	if os.Getenv("WPMEND_LONG") != "" {
		count = 24000
	}
	const seed = 6
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(worker))), d: d, known: s.known(), real: count / 400}
			for n := 0; n < count/4; n++ {
				q := g.request()
				a, body := s.send(c, q)
				if a == nil {
					continue // what is no HTTP was refused before it was sent
				}
				mu.Lock()
				seen[fmt.Sprint(a.StatusCode)]++
				mu.Unlock()
				if faults := s.judge(d, q, a, body); len(faults) > 0 {
					t.Errorf("seed %d/%d, request %d: %s %q %.300q\n%d %s %.600s\n%s", seed, worker, n, q.method, q.path, q.body, a.StatusCode, a.Header.Get("Content-Type"), body, strings.Join(faults, "\n"))
				}
			}
		})
	}
	wg.Wait()
	t.Logf("answers by status: %v", seen)
	for _, status := range []string{"200", "202", "400", "404", "405", "413", "415", "421", "422", "403"} {
		if seen[status] == 0 {
			t.Errorf("no answer was a %s: %v", status, seen)
		}
	}
	if status, _, err := s.labs[0].Get("/"); err != nil || status != 200 {
		t.Errorf("the site answers %d %v afterwards", status, err)
	}
	s.asOwner(d, &generator{Rand: rand.New(rand.NewPCG(seed, 99)), d: d, known: s.known(), real: 4}, count/6)
	s.rough()
}

// asOwner asks as the user of the site: it may change nothing but by an undo.
func (s *stage) asOwner(d *written, g *generator, count int) {
	s.t.Helper()
	const www = 33
	seen := map[int]int{}
	for n := range count {
		q := g.request()
		r, err := http.NewRequestWithContext(context.WithValue(s.t.Context(), peerKey{}, peer{uid: www, gid: www}), q.method, "http://localhost"+q.path, bytes.NewReader(q.body))
		if err != nil || strings.Contains(q.path, "/events") {
			continue
		}
		r.Host, r.Header = q.host, q.header
		s.limits.mu.Lock()
		s.limits.buckets = nil
		s.limits.mu.Unlock()
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		seen[w.Code]++
		if faults := s.judge(d, q, w.Result(), w.Body.String()); len(faults) > 0 {
			s.t.Errorf("as an owner, request %d: %s %q %.300q\n%d %.600s\n%s", n, q.method, q.path, q.body, w.Code, w.Body, strings.Join(faults, "\n"))
		}
		parts := strings.Split(strings.Split(q.path, "?")[0], "/")
		if last := parts[len(parts)-1]; w.Code < 300 && q.method != http.MethodGet && q.method != http.MethodHead && q.method != http.MethodDelete && !slices.Contains([]string{"checks", "bisects"}, last) {
			s.t.Errorf("an owner may %s %s: %d %s", q.method, q.path, w.Code, w.Body)
		}
	}
	if s.t.Logf("answers to an owner: %v", seen); seen[403] == 0 || seen[200] == 0 || seen[202]+seen[429] == 0 {
		s.t.Errorf("answers to an owner: %v", seen)
	}
}

// known are words that mean something to this service.
func (s *stage) known() map[string][]string {
	host, err := s.agent.Discover(context.Background())
	if err != nil {
		return nil
	}
	return map[string][]string{
		"site":      {host.Sites[0].ID, "shop.lab.test", "gone.lab.test"},
		"component": {"plugin:" + lab.Slug(1), "plugin:none", "theme:twentytwentythree"},
		"pool":      {"shop", "none"},
		"id":        {"01KB2M6Q7T9S3V5X8Y0Z1A2B3C"},
	}
}

// generated is one request.
type generated struct {
	operation    any // nil: there is none at this path
	method, path string
	header       http.Header
	host         string
	body         []byte
	chunked      bool
}

type generator struct {
	*rand.Rand
	d     *written
	known map[string][]string
	real  int // how many requests may begin something that takes its time
}

func (g *generator) one(list ...string) string { return list[g.IntN(len(list))] }

// odd is a text that nobody means.
func (g *generator) odd() string {
	return g.one("", "0", "-1", "99999999999999999999", "1e309", "NaN", "null", "true", "'; DROP TABLE x; --", "../../etc/passwd", "%00", "\x00", "\xff\xfe", "\u202e", "\U0001F4A9",
		strings.Repeat("a", 300), strings.Repeat("é", 2000), "{}", "[]", " ", "\r\nX-Evil: 1", "<script>", "${jndi:ldap://x}", "a/b", "%2e%2e", "*", "https://other.example/")
}

// request makes one from an operation of the document.
func (g *generator) request() *generated {
	paths := make([]string, 0, len(g.d.paths))
	for p := range g.d.paths {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	path := paths[g.IntN(len(paths))]
	item := g.d.paths[path].(map[string]any)
	methods := []string{}
	for m := range item {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	method := methods[g.IntN(len(methods))]
	q := &generated{operation: item[method], method: strings.ToUpper(method), header: http.Header{}, host: "localhost"}
	q.path = g.path(path)
	query := url.Values{}
	parameters, _ := g.d.at(q.operation, "parameters").([]any)
	for _, p := range parameters {
		p := g.d.at(p).(map[string]any)
		name, value := p["name"].(string), fmt.Sprint(g.value(p["schema"], p["name"].(string), 0))
		if g.IntN(3) == 0 {
			value = g.odd()
		}
		switch {
		case g.IntN(2) == 0:
		case p["in"] == "query" && !(name == "wait" && g.IntN(50) > 0):
			query.Set(name, value)
		case p["in"] == "header":
			q.header.Set(name, value)
		}
	}
	if strings.HasSuffix(path, "/events") && q.operation != nil && g.IntN(20) > 0 {
		query.Set("site", "gone.lab.test") // else it would go on
	}
	if len(query) > 0 {
		q.path += "?" + query.Encode()
	}
	if schema := g.d.at(q.operation, "requestBody", "content", "application/json", "schema"); schema != nil {
		g.fill(q, schema)
	}
	g.spoil(q)
	return q
}

func (g *generator) path(template string) string {
	parts := strings.Split(template, "/")
	for i, p := range parts {
		if !strings.HasPrefix(p, "{") {
			continue
		}
		name := strings.Trim(p, "{}")
		parts[i] = url.PathEscape(g.one(g.known[name]...))
		if g.IntN(5) == 0 {
			parts[i] = url.PathEscape(g.odd())
		}
	}
	return strings.Join(parts, "/")
}

// fill gives a request a body: mostly one that leads to nothing that takes long.
func (g *generator) fill(q *generated, schema any) {
	v := g.value(schema, "", 0)
	m, isObject := v.(map[string]any)
	if g.IntN(3) == 0 {
		v = g.breakOne(v)
	} else if isObject {
		if _, can := g.d.at(schema, "properties").(map[string]any)["dry_run"]; can && g.IntN(10) > 0 {
			m["dry_run"] = true
		} else if g.real--; g.real < 0 {
			m["surplus"] = 1
		}
	}
	q.body, _ = json.Marshal(v)
	q.header.Set("Content-Type", "application/json")
}

// value makes one by a schema.
func (g *generator) value(schema any, name string, depth int) any {
	s, _ := g.d.at(schema).(map[string]any)
	if enum, ok := s["enum"].([]any); ok {
		return enum[g.IntN(len(enum))]
	}
	if examples, ok := s["examples"].([]any); ok && g.IntN(2) == 0 {
		return examples[g.IntN(len(examples))]
	}
	t, _ := s["type"].(string)
	if list, ok := s["type"].([]any); ok {
		t, _ = list[0].(string)
	}
	bound := func(key string, or float64) int {
		if v, ok := s[key].(float64); ok {
			return int(v)
		}
		return int(or)
	}
	switch t {
	case "boolean":
		return g.IntN(2) == 0
	case "integer", "number":
		low, high := bound("minimum", -5), bound("maximum", 1e6)
		return []int{low, high, low + g.IntN(high-low+1), low - 1, high + 1}[g.IntN(5)]
	case "array":
		list := []any{}
		for range bound("minItems", 0) + g.IntN(3) {
			list = append(list, g.value(s["items"], name, depth+1))
		}
		return list
	case "object":
		m := map[string]any{}
		properties, _ := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for field, p := range properties {
			if slices.Contains(required, any(field)) || g.IntN(3) == 0 {
				m[field] = g.value(p, field, depth+1)
			}
		}
		return m
	}
	if g.IntN(4) == 0 {
		return strings.Repeat("x", bound("maxLength", 64)+g.IntN(2))
	}
	return g.one("/", "/shop/", "memory_limit", "128M", "24h", "plugin:"+lab.Slug(1), g.odd())
}

// breakOne makes a value wrong at one place.
func (g *generator) breakOne(v any) any {
	wrong := []any{nil, "text", 1e308, -1, true, []any{}, map[string]any{}, []any{[]any{[]any{}}}, json.Number("123456789012345678901234567890")}
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 || g.IntN(4) == 0 {
		return wrong[g.IntN(len(wrong))]
	}
	for field := range m {
		switch g.IntN(3) {
		case 0:
			delete(m, field)
		case 1:
			m[field] = wrong[g.IntN(len(wrong))]
		default:
			m["surplus"] = wrong[g.IntN(len(wrong))]
		}
		break
	}
	return m
}

// spoil breaks what has nothing to do with the schema.
func (g *generator) spoil(q *generated) {
	switch g.IntN(24) {
	case 0:
		q.method = g.one("PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "PUT", "POST", "HEAD")
	case 1:
		q.body = []byte(g.one("{", "[", "\xff", `{"urls":["\xff"]}`, "null", `"x"`, `{"a":1}{"b":2}`, strings.Repeat("[", 20000), `{"urls":"`+strings.Repeat("x", 70000)+`"}`, "\x00"))
	case 2:
		q.header.Set("Content-Type", g.one("text/plain", "application/xml", "application/json; charset=utf-8", "multipart/form-data", "application/", "", "application/x+json", ";", "application/json;;;"))
		if q.body == nil {
			q.body = []byte("{}")
		}
	case 3:
		q.host = g.one("evil.example", "LOCALHOST", "localhost:99999", "127.0.0.1", "[::1]:80", "wpmend", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]")
	case 4:
		q.header.Set(g.one("Origin", "Sec-Fetch-Site", "Accept", "Authorization", "Cookie", "Last-Event-ID", keysHeader, "Range", "If-None-Match", "X-Forwarded-For", "Accept-Encoding", "X-HTTP-Method-Override"),
			g.one("http://evil.example", "cross-site", "*/*", "text/html", "Bearer x", "Basic !!!", "a=b; c", "-1", "18446744073709551615", "99999999999999999999999", "same key", "k1", "bytes=0-1", "null", "\t", strings.Repeat("k", 5000)))
	case 5:
		q.path = g.one("/", "//", "/v1", "/v1/", "/v1/sites/", "/v1//sites", "/v1/./sites", "/v1/sites/../config", "/v1/sites/%2e%2e/config", "/V1/sites", "/v2/sites", "/metrics/", "/assets/../v1/config", "/v1/sites?limit=1&limit=x", "/v1/sites?%zz", "/v1/sites?a;b", "/v1/openapi.json.", "/%00", "/v1/sites/%ff", "/v1/jobs/%2F/events")
		q.operation = nil
	case 6:
		q.chunked = true
	}
}

// send sends one and reads at most a second of its answer.
func (s *stage) send(c *http.Client, q *generated) (*http.Response, string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 90*time.Second)
	defer cancel()
	var body io.Reader = bytes.NewReader(q.body)
	if q.chunked {
		body = io.MultiReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, "http://localhost"+q.path, body)
	if err != nil {
		return nil, ""
	}
	r.Host = q.host
	r.Header = q.header
	a, err := c.Do(r)
	if err != nil {
		if !strings.Contains(err.Error(), "invalid header") {
			s.t.Errorf("%s %q: %v", q.method, q.path, err)
		}
		return nil, ""
	}
	defer a.Body.Close()
	if a.Header.Get("Content-Type") == "text/event-stream" {
		line := make([]byte, 256)
		n, _ := a.Body.Read(line)
		return a, string(line[:n])
	}
	text, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Errorf("%s %q: %v", q.method, q.path, err)
	}
	return a, string(text)
}

// judge says what is wrong with an answer.
func (s *stage) judge(d *written, q *generated, a *http.Response, body string) (faults []string) {
	if a.StatusCode >= 500 {
		faults = append(faults, "the fault is the service's")
	}
	for _, header := range []string{"X-Content-Type-Options", "Content-Security-Policy", "Referrer-Policy"} {
		if a.Header.Get(header) == "" {
			faults = append(faults, header+" is missing")
		}
	}
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Evil") != "" {
		faults = append(faults, fmt.Sprintf("headers %v", a.Header))
	}
	var p Problem
	if a.StatusCode >= 400 && q.method != http.MethodHead {
		if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != a.StatusCode || p.Detail == "" || !strings.HasPrefix(p.Type, kindPrefix) || statuses()[strings.TrimPrefix(p.Type, kindPrefix)] == 0 {
			faults = append(faults, "no problem as it should be")
		}
	}
	switch operation := d.at(d.paths, strings.Split(q.path, "?")[0], strings.ToLower(q.method)); {
	case q.method == http.MethodHead:
	case q.operation == nil && operation == nil, a.StatusCode == http.StatusMethodNotAllowed:
		// No operation describes it.
		if a.StatusCode >= 400 {
			faults = append(faults, d.json(map[string]any{"$ref": "#/components/schemas/Problem"}, body)...)
		}
	case a.StatusCode == http.StatusNotFound && p.Detail == "no such path":
	default:
		if q.operation != nil {
			operation = q.operation
		}
		faults = append(faults, d.answer(operation, a.StatusCode, a.Header.Get("Content-Type"), body)...)
	}
	return faults
}

// rough sends what is hardly HTTP: it gets an answer or a closed connection, and the
// service goes on.
func (s *stage) rough() {
	s.t.Helper()
	for _, text := range []string{
		"\x00\x01\x02\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET /v1/sites HTTP/1.1\r\n\r\n", "GET /v1/sites HTTP/1.0\r\n\r\n", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET http://evil.example/v1/sites HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"POST /v1/recover HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "POST /v1/sites/shop.lab.test/checks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET /v1/sites HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", "GET /v1/sites HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
		"POST /v1/sites/shop.lab.test/checks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n{",
	} {
		c, err := net.Dial("unix", s.socket)
		s.must(err)
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
		_, _ = c.Write([]byte(text))
		if half, ok := c.(*net.UnixConn); ok {
			_ = half.CloseWrite()
		}
		answer, _ := io.ReadAll(io.LimitReader(c, 4096))
		_ = c.Close()
		if strings.HasPrefix(string(answer), "HTTP/1.1 5") && !strings.HasPrefix(string(answer), "HTTP/1.1 505") && !strings.HasPrefix(string(answer), "HTTP/1.1 501") || strings.HasPrefix(string(answer), "HTTP/1.1 200") {
			s.t.Errorf("%.80q gets %.300q", text, answer)
		}
	}
	if r := carryOut(clientOf(s.socket), order{Method: "GET", Path: "/v1/service"}); r.Status != 200 {
		s.t.Errorf("afterwards: %+v", r)
	}
}
