package evidence

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// zone is what a name server of ours answers by UDP and TCP, by name.
type zone map[string][]dnsmessage.ResourceBody

// serve starts it on the loopback.
func (z zone) serve(t *testing.T) string {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close(); udp.Close() })
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			for _, r := range z.reply(b[:n], false) {
				udp.WriteTo(r, from)
			}
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			head := make([]byte, 2)
			io.ReadFull(conn, head)
			b := make([]byte, binary.BigEndian.Uint16(head))
			io.ReadFull(conn, b)
			for _, r := range z.reply(b, true) {
				conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(r))), r...))
			}
			conn.Close()
		}
	}()
	return tcp.Addr().String()
}

func (z zone) reply(b []byte, tcp bool) [][]byte {
	var m dnsmessage.Message
	if m.Unpack(b) != nil {
		return nil
	}
	q := m.Questions[0]
	name := q.Name.String()
	m.Response = true
	switch {
	case name == "silent.test.":
		return nil
	case name == "refused.test.":
		m.RCode = dnsmessage.RCodeRefused
	case name == "large.test." && !tcp:
		m.Truncated = true
	case z[name] == nil:
		m.RCode = dnsmessage.RCodeNameError
	}
	for at := name; m.RCode == dnsmessage.RCodeSuccess && !m.Truncated; {
		next := ""
		for _, body := range z[at] {
			of := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(at), Class: dnsmessage.ClassINET, TTL: 1}
			switch body := body.(type) {
			case *dnsmessage.AResource:
				of.Type = dnsmessage.TypeA
			case *dnsmessage.AAAAResource:
				of.Type = dnsmessage.TypeAAAA
			case *dnsmessage.CNAMEResource:
				of.Type = dnsmessage.TypeCNAME
				next = body.CNAME.String()
			}
			if of.Type == q.Type || of.Type == dnsmessage.TypeCNAME {
				m.Answers = append(m.Answers, dnsmessage.Resource{Header: of, Body: body})
			}
		}
		// A lazy server leaves it to the asker where an alias leads.
		if next == "" || len(m.Answers) > 20 || strings.HasPrefix(name, "lazy") {
			break
		}
		at = next
	}
	good, err := m.Pack()
	if err != nil {
		return nil
	}
	m.ID++
	forged, err := m.Pack()
	if err != nil || tcp {
		return [][]byte{good}
	}
	return [][]byte{[]byte("junk"), forged, good}
}

func a(text string) *dnsmessage.AResource {
	return &dnsmessage.AResource{A: netip.MustParseAddr(text).As4()}
}

func cname(name string) *dnsmessage.CNAMEResource {
	return &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(name)}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	server := zone{
		"plain.test.": {a("192.0.2.1"), &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::1").As16()}},
		"www.test.":   {cname("plain.test.")},
		"lazy.test.":  {cname("lazy2.test.")}, "lazy2.test.": {cname("plain.test.")},
		"shop.test.": {cname("abc.CloudFront.net.")}, "abc.CloudFront.net.": {a("192.0.2.9")},
		"loop.test.":  {cname("loop.test.")},
		"empty.test.": {&dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:db8::2").As16()}},
		"none.test.":  {},
		"large.test.": {a("192.0.2.7")},
	}.serve(t)
	for name, want := range map[string]string{
		"plain.test": "192.0.2.1 2001:db8::1", "www.test": "192.0.2.1 2001:db8::1", "lazy.test": "192.0.2.1 2001:db8::1", "empty.test": "2001:db8::2",
		"large.test": "192.0.2.7", "shop.test": "192.0.2.9 CloudFront",
		"gone.test": "no address", "refused.test": "Refused", "none.test": "no address", "a..b": "zero length",
		strings.Repeat("a", 300): "no name",
	} {
		found, err := lookup(t.Context(), server, name)
		var parts []string
		for _, addr := range found.addresses {
			parts = append(parts, addr.String())
		}
		if cdn := cdnOf(found); cdn != "" {
			parts = append(parts, cdn)
		}
		got := strings.Join(parts, " ")
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%.20s: %q, want %q", name, got, want)
		}
		if missing := want == "no address"; errors.Is(err, errNoName) != missing {
			t.Errorf("%s: missing %v, %v", name, !missing, err)
		}
	}
	if found, err := lookup(t.Context(), server, "loop.test"); err == nil {
		t.Errorf("a loop leads to %v", found)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := lookup(ctx, server, "silent.test"); err == nil || errors.Is(err, errNoName) {
		t.Errorf("silence is %v", err)
	}
	if server, ok := firstServer([]byte("# x\nsearch a\nnameserver nonsense\nnameserver 2001:db8::53\nnameserver 192.0.2.53\n")); server != "[2001:db8::53]:53" || !ok {
		t.Errorf("%q", server)
	}
}

// Whatever a name server sends.
func FuzzParseReply(f *testing.F) {
	q, err := dnsQuestion("www.test", dnsmessage.TypeA)
	if err != nil {
		f.Fatal(err)
	}
	ask, err := (&dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{q}}).Pack()
	if err != nil {
		f.Fatal(err)
	}
	for _, z := range []zone{{"www.test.": {a("192.0.2.1"), cname("b.test.")}}, {}} {
		for _, r := range z.reply(ask, false) {
			f.Add(r)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseReply(b, 7, q)
		if err != nil {
			return
		}
		addresses, aliases := r.of("www.test", dnsmessage.TypeA)
		for _, addr := range addresses {
			if !addr.Is4() {
				t.Errorf("%v for a question for A", addr)
			}
		}
		if len(aliases) > maxAliases {
			t.Errorf("%d aliases", len(aliases))
		}
	})
}

// Where a request may go: the owner of the name chooses the address.
func TestMayAsk(t *testing.T) {
	t.Parallel()
	own := []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.7.7")}
	for text, want := range map[string][2]bool{ // by the host's resolver, by one of the configuration's
		"93.184.216.34": {true, true}, "2606:2800:220:1::1": {true, true}, "10.1.2.3": {true, true}, "::ffff:10.1.2.3": {true, true},
		"10.0.0.1": {false, true}, "192.168.1.1": {false, true}, "fd00::1": {false, true}, "127.0.0.1": {false, true}, "127.9.9.9": {false, true}, "::1": {false, true},
		"100.64.0.1": {false, true}, "0.0.0.0": {false, false}, "::": {false, false}, "0.1.2.3": {false, true},
		"169.254.169.254": {false, false}, "169.254.7.7": {false, false}, "fe80::1": {false, false}, "::ffff:169.254.169.254": {false, false}, "224.0.0.1": {false, false}, "ff02::1": {false, false},
		"64:ff9b::a9fe:a9fe": {false, true}, "2002:a9fe:a9fe::1": {false, true}, "::ffff:127.0.0.1": {false, true},
	} {
		addr := netip.MustParseAddr(text)
		if got := [2]bool{mayAsk(addr, own, false), mayAsk(addr, own, true)}; got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	for _, ranges := range append([][]string{unasked[:]}, func() (all [][]string) {
		for _, n := range cdns {
			all = append(all, n.ranges)
		}
		return all
	}()...) {
		for _, r := range ranges {
			if p, err := netip.ParsePrefix(r); err != nil || p.Masked() != p {
				t.Errorf("%s is no range", r)
			}
		}
	}
	if got := cdnOf(answer{addresses: []netip.Addr{netip.MustParseAddr("104.16.1.1"), netip.MustParseAddr("2606:4700::1")}}); got != "Cloudflare" {
		t.Error(got)
	}
	if got := cdnOf(answer{addresses: []netip.Addr{netip.MustParseAddr("104.16.1.1"), netip.MustParseAddr("192.0.2.1")}}); got != "" {
		t.Error(got)
	}
}

// host80 serves on port 80 of a loopback address, and writes an access log.
func host80(t *testing.T, log string, answer http.HandlerFunc) string {
	t.Helper()
	var listener net.Listener
	for i := 2; i < 250; i++ {
		var err error
		if listener, err = net.Listen("tcp", "127.83.7."+strconv.Itoa(i)+":80"); err == nil {
			break
		}
	}
	if listener == nil {
		t.Fatal("no port 80 is free")
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, r)
		if log == "" {
			return
		}
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			f.WriteString(r.RequestURI + "\n")
			f.Close()
		}
	})}}
	server.Start()
	t.Cleanup(server.Close)
	host, _, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// The name leads here, to a proxy that works, to one that fails, to another host, to
// a CDN, to where nobody may be asked.
func TestOutside(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "access.log")
	page := "<html><body>shop</body></html>"
	var hosts atomic.Value
	origin := host80(t, log, func(w http.ResponseWriter, r *http.Request) {
		hosts.Store(r.Host)
		io.WriteString(w, page)
	})
	s := site.Site{Domain: "shop.test", Root: t.TempDir(), Vhosts: []gateway.Vhost{{Names: []string{"shop.test"}, AccessLogs: []string{log},
		Listens: []gateway.Listen{{Host: origin, Port: 80}}}}}
	proxy := host80(t, "", func(w http.ResponseWriter, r *http.Request) {
		q, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "http://"+origin+r.RequestURI, nil)
		if err == nil {
			var got *http.Response
			if got, err = http.DefaultClient.Do(q); err == nil {
				defer got.Body.Close()
				io.Copy(w, got.Body)
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	failing := host80(t, "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	other := host80(t, "", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>parked</html>") })
	cached := host80(t, "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Cache", "HIT")
		io.WriteString(w, page)
	})
	cloud := host80(t, "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("CF-Ray", "8-FRA")
		w.WriteHeader(522)
	})
	away := host80(t, "", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://shop.test:8080/x", http.StatusFound)
	})
	for _, tc := range []struct {
		name      string
		to        string
		trusted   bool
		outcome   probe.Outcome
		elsewhere bool
		cdn       string
		notAsked  string
	}{
		{"origin", origin, true, probe.Healthy, false, "", ""},
		{"proxy", proxy, true, probe.Healthy, false, "", ""},
		{"failing proxy", failing, true, probe.BadGateway, false, "", ""},
		{"other host", other, true, probe.Healthy, true, "", ""},
		{"cached", cached, true, probe.Healthy, false, "", ""},
		{"cdn", cloud, true, probe.Fatal, false, "Cloudflare", ""},
		{"another port", away, true, probe.Unknown, true, "", ""},
		{"metadata", "169.254.169.254", true, "", false, "", "is no public address"},
		{"nowhere", "", true, "", false, "", "nowhere"},
	} {
		z := zone{}
		if tc.to != "" {
			z["shop.test."] = []dnsmessage.ResourceBody{a(tc.to)}
		}
		e := Outside(t.Context(), s, z.serve(t))
		if e.Public.Outcome != tc.outcome || e.Elsewhere != tc.elsewhere || e.CDN != tc.cdn || !strings.Contains(e.NotAsked, tc.notAsked) || tc.notAsked == "" && e.NotAsked != "" ||
			e.Missing != (tc.to == "") || tc.to != "" && !slices.Contains(e.Addresses, netip.MustParseAddr(tc.to)) {
			t.Errorf("%s: %+v", tc.name, e)
		}
	}
	if hosts.Load() != "shop.test" {
		t.Errorf("asked for %v", hosts.Load())
	}
}
