package api

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wpmend/agent/config"
)

// set puts another configuration in force, as SIGHUP does.
func (s *stage) set(change func(*config.API)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.conf.API)
}

// A socket is made only where it is safe, is never taken from somebody who listens, and
// moves with the configuration.
func TestSocket(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if info, err := os.Stat(s.socket); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("%v %v", info, err)
	}
	if _, err := listenUnix(s.socket); err == nil || !strings.Contains(err.Error(), "another wpmend listens") {
		t.Errorf("a second one: %v", err)
	}
	stale := filepath.Join(s.dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	s.must(err)
	l.SetUnlinkOnClose(false)
	s.must(l.Close())
	again, err := listenUnix(stale)
	s.must(err)
	s.must(again.Close())

	open := filepath.Join(s.dir, "open")
	s.must(os.Mkdir(open, 0o755))
	s.must(os.Chmod(open, 0o777))
	his := filepath.Join(s.dir, "his")
	s.must(os.Mkdir(his, 0o755))
	s.must(os.Chown(his, 23001, 0))
	s.must(os.Symlink(s.dir, filepath.Join(s.dir, "link")))
	file := filepath.Join(s.dir, "file")
	s.must(os.WriteFile(file, nil, 0o600))
	for _, path := range []string{filepath.Join(open, "s"), "/tmp/wpmend-api-test.sock", filepath.Join(his, "s"), filepath.Join(his, "deeper", "s"), file, filepath.Join(s.dir, "link", "s"), filepath.Join(s.dir, "no", "such", "s")} {
		if l, err := listenUnix(path); err == nil {
			t.Errorf("%s is taken", path)
			_ = l.Close()
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the file is gone: %v", err)
	}

	s.set(func(c *config.API) { c.Socket = filepath.Join(open, "s") })
	s.until("word of it", func() bool { return strings.Contains(s.log.String(), "wpmend goes on without it") })
	if _, err := net.Dial("unix", s.socket); err == nil {
		t.Error("the old place is served still")
	}
	other := filepath.Join(s.dir, "other.sock")
	s.set(func(c *config.API) { c.Socket = other })
	s.until("the new place", func() bool { return carryOut(clientOf(other), order{Method: "GET", Path: "/v1/service"}).Status == 200 })
}

// At the loopback address the token decides, names of other hosts and other origins get
// nothing, and the page needs no rights.
func TestLoopback(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") })
	s := newStage(t)
	s.stop()
	s.Server = New(Options{Agent: s.agent, Feed: s.feed, Version: "test", Config: s.config, Page: page, Metrics: page, Log: s.Server.o.Log})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	at := free.Addr().String()
	s.must(free.Close())
	secret := strings.Repeat("s3cret-", 6)
	write := func(text string, mode os.FileMode) {
		s.must(os.WriteFile(s.conf.API.TokenFile, []byte(text), 0o600))
		s.must(os.Chmod(s.conf.API.TokenFile, mode))
	}
	write(secret+"\n", 0o600)
	s.set(func(c *config.API) { c.Listen, c.FrameAncestors = at, []string{"https://panel.example.com:8083"} })
	s.serve()
	ask := func(method, path string, header map[string]string) reply {
		r, err := http.NewRequest(method, "http://"+at+path, nil)
		s.must(err)
		for name, value := range header {
			r.Header.Set(name, value)
		}
		if r.Header.Get("Host") != "" {
			r.Host = r.Header.Get("Host")
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			return reply{Err: err.Error()}
		}
		defer a.Body.Close()
		body, err := io.ReadAll(a.Body)
		s.must(err)
		return reply{Status: a.StatusCode, Header: a.Header, Body: string(body)}
	}
	s.until("an answer", func() bool { return ask("GET", "/", nil).Status == 200 })
	bearer := map[string]string{"Authorization": "Bearer " + secret}
	with := func(name, value string) map[string]string {
		return map[string]string{"Authorization": "Bearer " + secret, name: value}
	}
	for name, c := range map[string]struct {
		method, path string
		header       map[string]string
		want         int
	}{
		"the token":       {"GET", "/v1/service", bearer, 200},
		"no token":        {"GET", "/v1/service", nil, 401},
		"another":         {"GET", "/v1/service", map[string]string{"Authorization": "Bearer " + secret + "x"}, 401},
		"an empty one":    {"GET", "/v1/service", map[string]string{"Authorization": "Bearer "}, 401},
		"numbers":         {"GET", "/metrics", bearer, 200},
		"numbers, none":   {"GET", "/metrics", nil, 401},
		"another host":    {"GET", "/v1/service", with("Host", "evil.example"), 421},
		"its page":        {"GET", "/", map[string]string{"Host": "evil.example"}, 421},
		"another origin":  {"POST", "/v1/recover", with("Origin", "http://evil.example"), 403},
		"another site":    {"POST", "/v1/recover", with("Sec-Fetch-Site", "cross-site"), 403},
		"the same origin": {"POST", "/v1/recover", with("Sec-Fetch-Site", "same-origin"), 200},
	} {
		if got := ask(c.method, c.path, c.header); got.Status != c.want || c.want == 401 && got.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: %d %s, want %d", name, got.Status, got.Body, c.want)
		}
	}
	shown := ask("GET", "/", nil)
	if policy := shown.Header.Get("Content-Security-Policy"); shown.Body != "the page" || !strings.Contains(policy, "frame-ancestors https://panel.example.com:8083") || strings.Contains(policy, "unsafe") || shown.Header.Get("X-Frame-Options") != "" {
		t.Errorf("the page: %+v", shown)
	}
	limited := false
	for range 40 {
		limited = limited || ask("GET", "/v1/service", nil).Status == 429
	}
	if !limited || ask("GET", "/v1/service", bearer).Status != 200 {
		t.Errorf("guessing is bounded: %v; the token is known after it: %d", limited, ask("GET", "/v1/service", bearer).Status)
	}

	// Another token counts from when it is there; a bad file lets nobody in.
	write(strings.Repeat("0ther-", 8), 0o600)
	s.until("the other token", func() bool { return ask("GET", "/v1/service", bearer).Status != 200 })
	write(secret, 0o644)
	s.until("nobody let in", func() bool { return strings.Contains(s.log.String(), "lets nobody in by a token") })
	if got := ask("GET", "/v1/service", bearer).Status; got == 200 {
		t.Error("a token that others can read counts")
	}
	for name, text := range map[string]string{"short": "x", "long": strings.Repeat("x", 5000), "spaced": strings.Repeat("x y", 20), "empty": ""} {
		write(text, 0o600)
		if _, err := readToken(s.conf.API.TokenFile); err == nil {
			t.Errorf("a %s token is taken", name)
		}
	}
	write(secret, 0o600)
	s.must(os.Chown(s.conf.API.TokenFile, 23001, 0))
	if _, err := readToken(s.conf.API.TokenFile); err == nil {
		t.Error("another's token is taken")
	}
}
