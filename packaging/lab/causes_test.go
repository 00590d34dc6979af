package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// symptom is how a fault shows at a gateway.
type symptom struct {
	status int    // 0: no answer
	log    string // a file
	says   string // a pattern for what is new in it
}

// na: the fault makes no sense at this gateway.
var na = symptom{}

// Each fault that is laid over a pool or gateway shows as field.md has it, at nginx
// and at Apache, and Mend leaves no trace of it.
func TestCauseFaults(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{Nginx, Apache} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			l := New(t, Options{Plugins: 3, MaxChildren: 3, Gateway: kind})
			showsCauses(t, l, kind, []causeFault{
				{faults: []Fault{GatewayStopped}, nginx: symptom{0, "", ""}, apache: symptom{0, "", ""}},
				{faults: []Fault{GatewayBroken}, nginx: symptom{0, "", ""}, apache: symptom{0, "", ""}},
				{faults: []Fault{GatewayFull}, nginx: symptom{500, l.GatewayErrorLog(0), `16 worker_connections are not enough`}, apache: symptom{-1, l.GatewayServerLog(), `AH00484|AH10159|AH03490`}},
				{faults: []Fault{GatewayFiles}, nginx: symptom{500, l.GatewayErrorLog(0), `24: Too many open files`}},
				{faults: []Fault{OtherSocket}, nginx: symptom{502, l.GatewayErrorLog(0), `connect\(\) to unix:\S+php8\.1-shop\.sock failed \(2: No such`}, apache: symptom{503, l.GatewayErrorLog(0), `AH02454: .*php8\.1-shop\.sock`}},
				{faults: []Fault{HTTPOnSocket}, nginx: symptom{502, l.GatewayErrorLog(0), `upstream sent unsupported FastCGI protocol version: 72`}, apache: symptom{503, l.GatewayErrorLog(0), `AH01068: Got bogus version 72`}},
				{faults: []Fault{UnresolvedUpstream}, nginx: symptom{502, l.GatewayErrorLog(0), `php\.backend\.invalid could not be resolved \(3: Host not found\)`}, apache: symptom{500, l.GatewayErrorLog(0), `DNS lookup failure for: php\.backend\.invalid`}},
				{faults: []Fault{Slow, ImpatientGateway}, nginx: symptom{504, l.GatewayErrorLog(0), `upstream timed out \(110: \S+ \S+ \S+\) while reading response header`}, apache: symptom{504, l.GatewayErrorLog(0), `\(70007\)The timeout specified has expired: .*AH01075`}},
				{faults: []Fault{CachedBadGateway}, nginx: symptom{502, "", ""}},
				{faults: []Fault{CachedFatal}, nginx: symptom{500, "", ""}},
				{faults: []Fault{StaleCache}, nginx: symptom{200, l.GatewayErrorLog(0), `failed \(2: No such file`}},
				{faults: []Fault{ForeignHtaccess}, apache: symptom{500, l.GatewayErrorLog(0), `Invalid command 'php_value'`}},
				{faults: []Fault{SocketFolder}, nginx: symptom{502, l.GatewayErrorLog(0), `failed \(13: Permission denied\)`}, apache: symptom{503, l.GatewayErrorLog(0), `\(13\)Permission denied: AH02454`}},
				{faults: []Fault{SocketMode}, nginx: symptom{502, l.GatewayErrorLog(0), `failed \(13: Permission denied\)`}, apache: symptom{503, l.GatewayErrorLog(0), `\(13\)Permission denied: AH02454`}},
				{faults: []Fault{SocketDeleted}, nginx: symptom{502, l.GatewayErrorLog(0), `failed \(2: No such file`}, apache: symptom{503, l.GatewayErrorLog(0), `\(2\)No such file or directory: AH02454`}},
				{faults: []Fault{SocketStale}, nginx: symptom{502, l.GatewayErrorLog(0), `failed \(111: Connection refused\)`}, apache: symptom{503, l.GatewayErrorLog(0), `\(111\)Connection refused: AH02454`}},
				{faults: []Fault{FPMBroken}, nginx: symptom{502, l.GatewayErrorLog(0), `failed \(2: No such file`}, apache: symptom{503, l.GatewayErrorLog(0), `AH02454`}},
				{faults: []Fault{FPMUserMissing}, nginx: symptom{502, l.GatewayErrorLog(0), `failed \(2: No such file`}, apache: symptom{503, l.GatewayErrorLog(0), `AH02454`}},
				{faults: []Fault{PoolBusy}, nginx: symptom{502, l.GatewayErrorLog(0), `failed \(11: Resource temporarily unavailable\)`}, apache: symptom{-5, l.GatewayErrorLog(0), `AH0\d+`}},
				{faults: []Fault{WorkersStuck}, nginx: symptom{504, l.GatewayErrorLog(0), `upstream timed out`}, apache: symptom{504, l.GatewayErrorLog(0), `AH01075`}},
				{faults: []Fault{OPcachePoisoned}, nginx: symptom{500, l.GatewayErrorLog(0), `function_that_nobody_defines`}, apache: symptom{500, l.GatewayErrorLog(0), `function_that_nobody_defines`}},
				{faults: []Fault{Slow, TerminateSoon}, nginx: symptom{502, l.FPMLog(0), `execution timed out \(\S+ sec\), terminating`}, apache: symptom{503, l.FPMLog(0), `execution timed out`}},
				{faults: []Fault{Work, ExecuteSoon}, nginx: symptom{500, l.GatewayErrorLog(0), `Maximum execution time of 1 second exceeded`}, apache: symptom{500, l.GatewayErrorLog(0), `Maximum execution time of 1 second exceeded`}},
				{faults: []Fault{Greedy, LittleMemory}, nginx: symptom{500, l.GatewayErrorLog(0), `Allowed memory size of 50331648 bytes exhausted`}, apache: symptom{500, l.GatewayErrorLog(0), `Allowed memory size of 50331648 bytes exhausted`}},
				{faults: []Fault{BadHeader}, nginx: symptom{502, l.GatewayErrorLog(0), `upstream sent invalid status "lab"`}, apache: symptom{500, l.GatewayErrorLog(0), `AH01070: Error parsing script headers`}},
				{faults: []Fault{Unparsable}, nginx: symptom{500, l.GatewayErrorLog(0), `PHP Parse error:  .*plugin-02\.php`}, apache: symptom{500, l.GatewayErrorLog(0), `PHP Parse error:  .*plugin-02\.php`}},
				{faults: []Fault{HalfUpdated, UpgradeTrace}, nginx: symptom{500, l.GatewayErrorLog(0), `Failed opening required '\S+/class-loader\.php'`}, apache: symptom{500, l.GatewayErrorLog(0), `Failed opening required '\S+/class-loader\.php'`}},
				{faults: []Fault{Scribbler, SessionsFull}, nginx: symptom{500, l.GatewayErrorLog(0), `free disk space|No space left`}, apache: symptom{500, l.GatewayErrorLog(0), `free disk space|No space left`}},
				{faults: []Fault{Scribbler, SessionInodes}, nginx: symptom{500, l.GatewayErrorLog(0), `No space left on device \(28\)`}, apache: symptom{500, l.GatewayErrorLog(0), `No space left on device \(28\)`}},
				{faults: []Fault{DatabaseBusy}, nginx: symptom{500, "", ""}, apache: symptom{500, "", ""}},
				{faults: []Fault{DatabasePassword}, nginx: symptom{500, "", ""}, apache: symptom{500, "", ""}},
				{faults: []Fault{DatabaseMissing}, nginx: symptom{500, "", ""}, apache: symptom{500, "", ""}},
				{faults: []Fault{TableCrashed}, nginx: symptom{500, "", ""}, apache: symptom{500, "", ""}},
				{faults: []Fault{TableMissing}, nginx: symptom{500, "", ""}, apache: symptom{500, "", ""}},
				{faults: []Fault{MaintenanceForgotten}, nginx: symptom{503, "", ""}, apache: symptom{503, "", ""}},
				{faults: []Fault{MaintenanceMeant}, nginx: symptom{503, "", ""}, apache: symptom{503, "", ""}},
				{faults: []Fault{CoreTruncated}, nginx: symptom{500, l.GatewayErrorLog(0), `PHP Fatal error:  .*wp-blog-header\.php`}, apache: symptom{500, l.GatewayErrorLog(0), `PHP Fatal error:  .*wp-blog-header\.php`}},
				{faults: []Fault{ConfigUnparsable}, nginx: symptom{500, l.GatewayErrorLog(0), `PHP Parse error:  .*wp-config\.php`}, apache: symptom{500, l.GatewayErrorLog(0), `PHP Parse error:  .*wp-config\.php`}},
				{faults: []Fault{ConfigUnreadable}, nginx: symptom{500, l.GatewayErrorLog(0), `wp-config\.php.*Permission denied`}, apache: symptom{500, l.GatewayErrorLog(0), `wp-config\.php.*Permission denied`}},
				{faults: []Fault{ConfigMissing}, nginx: symptom{302, "", ""}, apache: symptom{302, "", ""}},
				{faults: []Fault{ThemeGone}, nginx: symptom{200, "", ""}, apache: symptom{200, "", ""}},
				{faults: []Fault{ThemeUnparsable}, nginx: symptom{500, l.GatewayErrorLog(0), `PHP Parse error:  .*functions\.php`}, apache: symptom{500, l.GatewayErrorLog(0), `PHP Parse error:  .*functions\.php`}},
				{faults: []Fault{MustUnparsable}, nginx: symptom{500, l.GatewayErrorLog(0), `PHP Parse error:  .*lab-new\.php`}, apache: symptom{500, l.GatewayErrorLog(0), `PHP Parse error:  .*lab-new\.php`}},
				{faults: []Fault{PrependGone}, nginx: symptom{500, l.GatewayErrorLog(0), `Failed opening required '\S+/wordfence-waf\.php'`}, apache: symptom{500, l.GatewayErrorLog(0), `Failed opening required '\S+/wordfence-waf\.php'`}},
				{faults: []Fault{RedisDown}, nginx: symptom{500, l.GatewayErrorLog(0), `RedisException`}, apache: symptom{500, l.GatewayErrorLog(0), `RedisException`}},
			})
		})
		t.Run(kind+" on TCP", func(t *testing.T) {
			t.Parallel()
			l := New(t, Options{Plugins: 1, MaxChildren: 3, Gateway: kind, TCP: true})
			showsCauses(t, l, kind, []causeFault{
				{faults: []Fault{FirewallDrop}, nginx: symptom{504, l.GatewayErrorLog(0), `upstream timed out \(110: .*\) while connecting to upstream`}, apache: symptom{503, l.GatewayErrorLog(0), `AH00957`}},
				{faults: []Fault{FirewallReject}, nginx: symptom{502, l.GatewayErrorLog(0), `connect\(\) failed \(111: Connection refused\)`}, apache: symptom{503, l.GatewayErrorLog(0), `\(111\)Connection refused: AH00957`}},
				{faults: []Fault{ClientsDisallowed}, nginx: symptom{502, l.GatewayErrorLog(0), `recv\(\) failed \(104: Connection reset by peer\)`}, apache: symptom{503, l.GatewayErrorLog(0), `\(104\)Connection reset by peer: .*AH01075`}},
			})
		})
	}
}

type causeFault struct {
	faults        []Fault
	nginx, apache symptom
}

// What a visitor finds who asks the lab's name server first, while the site itself is well.
func TestEdgeFaults(t *testing.T) {
	t.Parallel()
	l := New(t, Options{Plugins: 1})
	dns, err := l.Resolver()
	if err != nil {
		t.Fatal(err)
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", dns.Address())
	}}
	visit := func() (status int, body string) {
		t.Helper()
		found, err := resolver.LookupNetIP(t.Context(), "ip", l.Site(0).Domain+".")
		if err != nil {
			return -1, err.Error()
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+found[0].Unmap().String()+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = l.Site(0).Domain
		res, err := (&http.Client{Timeout: getTimeout, Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	for _, c := range []struct {
		fault  Fault
		status int
		body   string
	}{{NameElsewhere, 200, "another host"}, {NameMissing, -1, "no such host"}, {EdgeFails, 502, "nginx"}, {EdgeImpatient, 504, "nginx"}} {
		if status, body := visit(); status != 200 || !Complete(body) {
			t.Fatalf("before %s: %d", c.fault, status)
		}
		if c.fault == EdgeImpatient {
			if err := l.Break(0, Slow, Slug(1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Break(0, c.fault, ""); err != nil {
			t.Fatal(err)
		}
		if status, body := visit(); status != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s: %d %q, want %d and %q", c.fault, status, clip(body, 300), c.status, c.body)
		}
		wantHealthy(t, l, 0)
		if err := l.Mend(0); err != nil {
			t.Fatal(err)
		}
	}
}

func showsCauses(t *testing.T, l *Lab, kind string, faults []causeFault) {
	before, err := l.Snapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	host := hostFiles(t, l)
	for _, c := range faults {
		want := c.nginx
		if kind == Apache {
			want = c.apache
		}
		last := c.faults[len(c.faults)-1]
		if want == na && last != GatewayStopped && last != GatewayBroken {
			continue
		}
		t.Run(string(last), func(t *testing.T) {
			start := time.Now()
			log := want.log
			mark := int64(0)
			if log != "" {
				mark = size(t, log)
			}
			for _, f := range c.faults {
				plugin := ""
				if f.InPlugin() {
					plugin = Slug(2)
				}
				if err := l.Break(0, f, plugin); err != nil {
					t.Fatal(errors.Join(err, l.Mend(0)))
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			status, body, err := l.GetFrom(ctx, 0, "/")
			cancel()
			t.Logf("%d, %d bytes, %v", status, len(body), err)
			switch {
			case want.status > 0 && status != want.status, want.status == 0 && err == nil, want.status == -1 && status == 200:
				t.Errorf("status %d, %v, body %q; want %d", status, err, clip(body, 300), want.status)
			}
			if log != "" {
				wantLog(t, log, mark, want.says)
			}
			if err := l.Mend(0); err != nil {
				t.Fatal(err)
			}
			wantHealthy(t, l, 0)
			after, err := l.Snapshot(0)
			if err != nil {
				t.Fatal(err)
			}
			if d := before.Diff(after) + host.Diff(hostFiles(t, l)); d != "" {
				t.Errorf("Mend leaves\n%s", d)
			}
			t.Logf("%.2f s", time.Since(start).Seconds())
		})
	}
}

// hostFiles is the snapshot of the host without its processes and sockets, which a
// mended fault may have started anew.
func hostFiles(t *testing.T, l *Lab) Snapshot {
	t.Helper()
	snap, err := l.HostSnapshot(0)
	if err != nil {
		t.Fatal(err)
	}
	for name := range snap.Files {
		if filepath.Ext(name) == ".sock" {
			snap.Files[name] = strings.Fields(snap.Files[name])[0]
		}
	}
	snap.Options = nil
	return snap
}
