package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestListen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"80":                                 ":80",
		"*:80":                               ":80",
		"0.0.0.0:80":                         ":80",
		"80 default_server":                  ":80 default",
		"8080 default":                       ":8080 default",
		"443 ssl http2 proxy_protocol":       ":443 tls proxy",
		"127.0.0.1":                          "127.0.0.1:80",
		"127.0.0.1:81":                       "127.0.0.1:81",
		"localhost:81":                       "localhost:81",
		"localhost":                          "localhost:80",
		"[::]:80 ipv6only=off":               ":::80",
		"[::1]":                              "::1:80",
		"[2001:DB8:0::1]:443 ssl":            "2001:db8::1:443 tls",
		"unix:/run/n.sock ssl":               "/run/n.sock tls",
		"127.0.0.1:8000-8002":                "127.0.0.1:8000, 127.0.0.1:8001, 127.0.0.1:8002",
		"443 quic reuseport; listen 443 ssl": ":443 tls",
		"443 http3":                          "",
		"0":                                  "!/n.conf:1: listen \"0\" is not understood",
		"70000":                              "!/n.conf:1: listen \"70000\" is not understood",
		"a:b":                                "!/n.conf:1: listen \"a:b\" is not understood",
		"10-9":                               "!/n.conf:1: listen \"10-9\" is not understood",
		`""`:                                 "!/n.conf:1: listen \"\" is not understood",
	} {
		g, err := ParseNginx(dumpOf("/n.conf", "http { server { listen "+text+"; } }"), "/")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range g.Vhosts[0].Listens {
			got = append(got, l.short())
		}
		if problem, ok := strings.CutPrefix(want, "!"); ok {
			if len(g.Problems) != 1 || g.Problems[0] != problem || got != nil {
				t.Errorf("listen %s: %q %q", text, got, g.Problems)
			}
		} else if strings.Join(got, ", ") != want {
			t.Errorf("listen %s: %q, want %s", text, got, want)
		}
	}
}

func TestListenRangeIsBounded(t *testing.T) {
	t.Parallel()
	g, err := ParseNginx(dumpOf("/n.conf", "http { server { listen 1-65535; } }"), "/")
	if err != nil || len(g.Vhosts[0].Listens) != maxPorts {
		t.Fatalf("%v, %d listeners", err, len(g.Vhosts[0].Listens))
	}
	if want := fmt.Sprintf("/n.conf:1: listen \"1-65535\": only the first %d ports are looked at", maxPorts); len(g.Problems) != 1 || g.Problems[0] != want {
		t.Errorf("%q", g.Problems)
	}
}

// One socket has one set of options, whichever vhost names them.
func TestListenOptionsAreShared(t *testing.T) {
	t.Parallel()
	g, err := ParseNginx(dumpOf("/n.conf", `http {
		server { listen 443; listen 80; listen [::]:443; }
		server { listen *:443 ssl; listen 80 proxy_protocol; }
		server { listen 8443; ssl on; }
	}`), "/")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range g.Vhosts {
		for _, l := range v.Listens {
			got = append(got, l.short())
		}
	}
	if want := ":443 tls, :80 proxy, :::443, :443 tls, :80 proxy, :8443 tls"; strings.Join(got, ", ") != want {
		t.Errorf("%q, want %s", got, want)
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"60": time.Minute, "60s": time.Minute, "5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "1h 30m 5s": 90*time.Minute + 5*time.Second,
		"500ms": 500 * time.Millisecond, "1d": 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1M": 30 * 24 * time.Hour, "1y": 365 * 24 * time.Hour,
		"1m 30": 90 * time.Second, "0": 0,
		"": -1, "x": -1, "5x": -1, "m": -1, "-1": -1, "1.5s": -1, "99999999999": -1, "2000000000y": -1,
		strings.Repeat("290y", 10): -1,
	} {
		got, ok := parseTime(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %s %v, want %s", text, got, ok, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"4096": 4096, "16k": 16384, "16K": 16384, "1m": 1 << 20, "1M": 1 << 20, "0": 0,
		"": -1, "k": -1, "1g": -1, "-1": -1, "1.5k": -1, "99999999999999": -1} {
		got, ok := parseSize(text)
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d %v, want %d", text, got, ok, want)
		}
	}
}
