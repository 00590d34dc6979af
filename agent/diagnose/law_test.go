package diagnose

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/php/errlog"
)

// Whatever comes together: never a panic, the same twice, sorted, with advice, nothing raw.
func TestLaws(t *testing.T) {
	t.Parallel()
	all := scenes()
	outcomes := []probe.Outcome{"", probe.Healthy, probe.BadGateway, probe.GatewayTimeout, probe.Unavailable, probe.Unreachable, probe.Fatal, probe.Blank,
		probe.Incomplete, probe.DBError, probe.Maintenance, probe.Barred, probe.Unknown}
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 5))
		f := scene{}.facts()
		if r.IntN(9) == 0 {
			f = Facts{}
		}
		for range 1 + r.IntN(4) {
			for _, set := range all[r.IntN(len(all))].with {
				set(&f)
			}
		}
		if r.IntN(2) == 0 {
			f.Front.Outcome = outcomes[r.IntN(len(outcomes))]
		}
		if r.IntN(4) == 0 {
			f.Direct.Outcome = outcomes[r.IntN(len(outcomes))]
		}
		if r.IntN(4) == 0 {
			f.Blame, f.Front.Start = nil, time.Time{}
		}
		f.Next = Neighbours{r.IntN(3), r.IntN(2)}
		f.Pool.MaxChildren += r.IntN(3) - 1
		f.Limits.Gateway, f.Limits.Terminate = time.Duration(r.IntN(200))*time.Second, time.Duration(r.IntN(200))*time.Second
		causes := Causes(f)
		if bad := unsound(causes); bad != "" {
			t.Fatalf("seed %d: %s", seed, bad)
		}
		if again := Causes(f); !reflect.DeepEqual(causes, again) {
			t.Fatalf("seed %d: %+v\nand then %+v", seed, causes, again)
		}
		if bad := astray(f, causes); bad != "" {
			t.Fatalf("seed %d: %s", seed, bad)
		}
		if !f.failing() {
			for _, c := range causes {
				switch c.Cause {
				case DNSMismatch, CDNOnly, OuterTimeout, CachedError, Firewall:
				default:
					t.Fatalf("seed %d: a site that does not fail here has %s", seed, c.Cause)
				}
			}
		}
	}
	if got := Causes(Facts{}); len(got) != 0 || got == nil {
		t.Errorf("of nothing known: %+v", got)
	}
}

// astray names what a walk must not be.
func astray(f Facts, causes []Cause) string {
	walked := Walk(f, causes)
	if len(walked) != len(layers) {
		return "a layer is missing"
	}
	for _, l := range walked {
		switch l.State {
		case StateOK, StateFailed, StateUnknown, StateNotAsked:
		default:
			return l.Layer + " is " + l.State
		}
		if (l.State == StateFailed) && (l.Cause == "" || len(l.Proof) == 0) {
			return l.Layer + " has failed without a cause or a proof"
		}
		if l.Proof == nil || l.State == StateOK && len(l.Proof) == 0 {
			return l.Layer + " is ok without a proof"
		}
		for _, e := range l.Proof {
			if strings.ContainsFunc(e.Text, hidden) {
				return l.Layer + " shows raw text"
			}
		}
	}
	return ""
}

// FuzzTexts: whatever visitors, the site's code and its files may say, what comes out is plain text of bounded length.
func FuzzTexts(f *testing.F) {
	for _, seed := range []string{"", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\nb\r\nc\x00", "\xff\xfe", "\u202eevil\u2069", "\u200b", "'; rm -rf / #", "%s%d%!", strings.Repeat("ä", 2000), "[/etc/x.conf:9] x",
		"/s/.htaccess: Invalid command 'php_value\n'", "Allowed memory size of -1 bytes exhausted (tried to allocate 9 bytes)", "Maximum execution time of 99999999999999999999 seconds"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, scene := range scenes() {
			facts := scene.facts()
			taint(&facts, s)
			causes := Causes(facts)
			if bad := unsound(causes); bad != "" {
				t.Fatalf("%s: %s", scene.name, bad)
			}
			if bad := astray(facts, causes); bad != "" {
				t.Fatalf("%s: %s", scene.name, bad)
			}
			for _, c := range causes {
				for _, e := range c.Evidence {
					if len(e.Text) > maxEvidence+40 {
						t.Fatalf("%s: evidence of %d bytes", scene.name, len(e.Text))
					}
				}
				if len(c.Advice) > 4000 {
					t.Fatalf("%s: advice of %d bytes", scene.name, len(c.Advice))
				}
			}
			if _, err := json.Marshal(Walk(facts, causes)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// taint puts a text wherever one from outside can come from.
func taint(f *Facts, s string) {
	for i := range f.Gateway {
		f.Gateway[i].Record.Message += s
		f.Gateway[i].File = s
	}
	f.Gateway = append(f.Gateway, Line[gateway.LogRecord]{File: s, Record: gateway.LogRecord{Message: s, Action: s, Code: s, Upstream: s}})
	for i := range f.FPM {
		f.FPM[i].Record.Text += s
	}
	for i := range f.PHP {
		f.PHP[i].Record.Message += s
		f.PHP[i].Record.File += s
	}
	f.PHP = append(f.PHP, Line[errlog.PHPError]{File: s, Record: errlog.PHPError{Kind: "Fatal error", Message: s, File: "/plugins/" + s, Class: s}})
	f.Traces = append(f.Traces, Line[errlog.SlowTrace]{File: s, Record: errlog.SlowTrace{Frames: []errlog.Frame{{Func: s, File: s}}}})
	for i := range f.Pool.Workers {
		f.Pool.Workers[i].Script, f.Pool.Workers[i].URI, f.Pool.Workers[i].Dir = s, s, s
	}
	for i := range f.Lint {
		f.Lint[i].File += s
		f.Lint[i].Text = s
	}
	for i := range f.Host.Kernel {
		f.Host.Kernel[i].Text += s
	}
	for i := range f.Visits.Clients {
		f.Visits.Clients[i].Name = s
	}
	for i := range f.Visits.URLs {
		f.Visits.URLs[i].Name = s
	}
	for _, err := range []*error{&f.Pool.Test, &f.Server.Test, &f.Socket.Dial, &f.Database, &f.Unread, &f.Edge.Lookup} {
		if *err != nil {
			*err = errors.Join(*err, errors.New(s))
		}
	}
	for _, text := range []*string{&f.Front.URL, &f.Front.Signature, &f.Front.Detail, &f.Direct.Signature, &f.Visitor.Cached, &f.Edge.CDN, &f.Socket.Asked, &f.Pool.File, &f.Pool.Unit,
		&f.Updating, &f.ThemeMissing, &f.Location.File, &f.Host.FiltersUnread, &f.Edge.NotAsked, &f.Server.TestFile} {
		if *text != "" || len(s) > 5 {
			*text += s
		}
	}
}
