package diagnose

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/probe"
)

// Each cause belongs to one layer of the walk.
func TestLayersHoldAllCauses(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	for _, l := range layers {
		for _, c := range l.causes {
			count[c]++
		}
	}
	for _, name := range Names() {
		if count[name] != 1 {
			t.Errorf("%s is in %d layers", name, count[name])
		}
	}
	if len(count) != len(Names()) {
		t.Errorf("%d causes in the layers, %d in the list", len(count), len(Names()))
	}
}

// healthy are the facts of a site that is well in every layer.
func healthy() Facts {
	f := failing()
	f.Front = probe.Result{Outcome: probe.Healthy, Status: 200, Bytes: 5000, Took: 200 * time.Millisecond, Start: at}
	f.Visitor = probe.Result{Outcome: probe.Healthy, Status: 200}
	f.Edge = Edge{Resolver: "1.1.1.1:53", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Here: true, Public: probe.Result{Outcome: probe.Healthy, Status: 200}}
	f.Server = Server{Kind: "nginx", PID: 3, Listen: "192.0.2.1:443", Files: 20, MaxFiles: 1024}
	f.Socket.Queue, f.Socket.Backlog = 0, 511
	f.Pool.MaxChildren, f.Pool.Workers = 5, []Worker{{PID: 8, Busy: true}, {PID: 9}}
	f.Limits = Limits{Terminate: 30 * time.Second, Gateway: time.Minute, MaxExecution: 30 * time.Second}
	f.Host = Host{CPUs: 2, Load: 0.5, Memory: 4 << 30, MemoryAvailable: 3 << 30, Disks: []Disk{{For: "site", Path: "/", Total: 10 << 30, Free: 5 << 30}}}
	return f
}

func TestWalk(t *testing.T) {
	t.Parallel()
	say := func(walked []Layer, name string) (string, Layer) {
		l := walked[slices.IndexFunc(walked, func(l Layer) bool { return l.Layer == name })]
		texts := []string{}
		for _, e := range l.Proof {
			texts = append(texts, e.Text)
		}
		return strings.Join(texts, "\n"), l
	}
	f := healthy()
	if causes := Causes(f); len(causes) != 0 {
		t.Fatalf("a healthy site has causes: %v", order(causes))
	}
	walked := Walk(f, nil)
	for layer, want := range map[string]string{
		LayerName: "the name leads to 192.0.2.1", LayerEdge: "healthy (200)", LayerGateway: "nginx accepts connections at 192.0.2.1:443 (pid 3), 20 of 1024 files open", LayerCache: "healthy (200)",
		LayerConnection: "socket /run/php/fpm.sock: somebody accepts, 0 of 511 wait", LayerPool: "1 of 5 workers are busy", LayerTime: "answered after 0.2 s; request_terminate_timeout 30s, the gateway waits 60s",
		LayerAnswer: "5000 bytes", LayerHost: "3072 MB of 4096 MB", LayerDatabase: "answers", LayerWordPress: "no .maintenance", LayerComponents: "whole",
	} {
		if got, l := say(walked, layer); l.State != StateOK || !strings.Contains(got, want) {
			t.Errorf("%s is %s: %q, want %q", layer, l.State, got, want)
		}
	}

	f.Front = probe.Result{Outcome: probe.BadGateway, Status: 502, Signature: "502", Start: at}
	f.Pool.PID, f.Pool.Workers, f.Socket.Dial = 0, nil, syscall.ENOENT
	causes := Causes(f)
	walked = Walk(f, causes)
	for layer, want := range map[string]string{LayerGateway: StateOK, LayerConnection: StateUnknown, LayerPool: StateFailed, LayerHost: StateOK, LayerComponents: StateUnknown} {
		if text, l := say(walked, layer); l.State != want {
			t.Errorf("%s is %s (%s), want %s", layer, l.State, text, want)
		}
	}
	if text, l := say(walked, LayerPool); l.Cause != FPMDown || !strings.Contains(text, "no PHP-FPM master") {
		t.Errorf("the pool: %+v", l)
	}

	// A component has failed when probes convicted it, not when something accuses it.
	f = healthy()
	is(probe.Fatal, 500)(&f)
	dies(inPlugin("bad"), "Uncaught Error")(&f)
	causes = Causes(f)
	if _, l := say(Walk(f, causes), LayerComponents); l.State != StateUnknown || l.Cause != ComponentFault {
		t.Errorf("accused: %+v", l)
	}
	if _, l := say(Walk(f, Convicted(causes, "plugin:bad", 0.999, at, "seen")), LayerComponents); l.State != StateFailed {
		t.Errorf("convicted: %+v", l)
	}

	// Nothing known: nothing claimed.
	for _, l := range Walk(Facts{}, nil) {
		if l.State == StateOK || l.State == StateFailed {
			t.Errorf("of nothing known %s is %s: %+v", l.Layer, l.State, l.Proof)
		}
	}
	text, err := json.Marshal(Walk(Facts{}, nil)[0])
	if got := string(text); err != nil || got != `{"layer":"name","state":"not asked","proof":[]}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"plain ä": "plain ä", "a\nb\tc\r": "a b c ", "\x1b[2J\x1b[31mred": "red", "\x1b]0;owned\x07x": "x", "\x1b": "", "x\x1b[": "x",
		"\u202egnp.exe": "gnp.exe", "\xff": "?", "a\x00b\u009bc": "abc", "zero\u200bwidth": "zerowidth", "a\u2028b": "ab",
	} {
		if got := clean(raw); got != want {
			t.Errorf("%q becomes %q, want %q", raw, got, want)
		}
	}
	for word, want := range map[string]string{"/run/php/x.sock": "/run/php/x.sock", "": "''", "a b": "'a b'", "x';rm": `'x'\'';rm'`, "-rf": "'-rf'", "$(id)": "'$(id)'"} {
		if got := shell(word); got != want {
			t.Errorf("%q is quoted %q, want %q", word, got, want)
		}
	}
}
