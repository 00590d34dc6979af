package ini

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"
)

func random(r *rand.Rand) []Link {
	var settings []Setting
	for _, name := range names {
		by := BuiltIn
		switch {
		case name == Gateway:
			by = Server
		case name == Outer:
			by = Proxy
		case !IsPHP(name):
			by = Directive
		}
		value := strconv.Itoa(r.IntN(200))
		if IsSize(name) {
			value += "M"
		}
		if r.IntN(8) > 0 {
			settings = append(settings, Setting{Name: name, Value: value, By: by})
		}
	}
	return Chain(settings)
}

// TestRaise: the link gets there, nothing is lowered, no new violation comes, and nothing goes above its ceiling.
func TestRaise(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 7))
	raised := 0
	for range 30_000 {
		chain := random(r)
		c := Ceilings{}
		for _, name := range names {
			if n := int64(time.Second); r.IntN(5) > 0 {
				if IsSize(name) {
					n = 1 << 20
				}
				c[name] = n * int64(r.IntN(400))
			}
		}
		name := names[r.IntN(len(names))]
		to := int64(r.IntN(400)) * int64(time.Second)
		if IsSize(name) {
			to = int64(r.IntN(400)) << 20
		}
		settings, err := Raise(chain, name, to, c)
		if err != nil {
			var ceiling *CeilingError
			var fixed *FixedError
			var limit *LimitError
			if !errors.As(err, &ceiling) && !errors.As(err, &fixed) && !errors.As(err, &limit) {
				t.Fatal(err)
			}
			if settings != nil {
				t.Fatal("an error with settings")
			}
			continue
		}
		raised++
		after := With(chain, settings)
		if got, _ := Find(after, name).amount(); got != to || settings[0].Name != name {
			t.Fatalf("%s is %d, want %d", name, got, to)
		}
		for _, s := range settings {
			was, limited := Find(chain, s.Name).amount()
			now, _ := Find(after, s.Name).amount()
			if most, may := c[s.Name]; !may || now > most || limited && now <= was || s.Name != name && !limited {
				t.Fatalf("%s from %d to %d, ceiling %d %v", s.Name, was, now, most, may)
			}
		}
		before := Violations(chain)
		for _, v := range Violations(after) {
			if !slices.ContainsFunc(before, func(b Violation) bool { return slices.Equal(b.Links, v.Links) }) {
				t.Fatalf("raising %s to %d brought %v\nbefore %+v\n after %+v", name, to, v, chain, after)
			}
		}
		room, ok := Room(chain, name, c)
		if !ok || room < to {
			t.Fatalf("%s was raised to %d, but there is room to %d only", name, to, room)
		}
		unit := int64(time.Second)
		if IsSize(name) {
			unit = 1 << 20
		}
		if _, err := Raise(chain, name, room+unit, c); err == nil {
			t.Fatalf("%s can be raised beyond its room %d", name, room)
		}
	}
	if raised < 1000 {
		t.Errorf("only %d of the raises were possible", raised)
	}
}

func TestRaiseFollows(t *testing.T) {
	t.Parallel()
	chain := Chain([]Setting{{Name: MaxExecution, Value: "30", By: PHPINI}, {Name: Terminate, Value: "40s", By: Directive}, {Name: Gateway, Value: "60s", By: Server}})
	most := Ceilings{MaxExecution: int64(time.Hour), Terminate: int64(time.Hour), Gateway: int64(time.Hour)}
	settings, err := Raise(chain, MaxExecution, int64(2*time.Minute), most)
	want := []Setting{{Name: MaxExecution, Value: "120"}, {Name: Terminate, Value: "120s"}, {Name: Gateway, Value: "166s"}}
	if err != nil || !slices.Equal(settings, want) {
		t.Errorf("got %+v, %v", settings, err)
	}
	delete(most, Gateway)
	if _, err := Raise(chain, MaxExecution, int64(2*time.Minute), most); err == nil || err.Error() != "gateway_read_timeout (60 s) would have to follow to 166s, and that is not wpmend's to change" {
		t.Errorf("got %v", err)
	}
	if room, ok := Room(chain, MaxExecution, most); !ok || room != int64(41*time.Second) {
		t.Errorf("room is %v", time.Duration(room))
	}
}

func TestViolations(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		s, m, t, g, p string
		want          [][]string
	}{
		{"5", "30", "40", "60", "60", nil},
		{"", "30", "0", "60", "", [][]string{{Gateway, Terminate}}},
		{"30", "30", "41", "60", "", [][]string{{Slowlog, MaxExecution}}},
		{"50", "30", "41", "60", "", [][]string{{Slowlog, Terminate}, {Slowlog, MaxExecution}}},
		{"", "60", "41", "60", "", [][]string{{MaxExecution, Terminate}}},
		{"", "0", "41", "60", "", [][]string{{MaxExecution, Terminate}}},
		{"", "30", "42", "60", "30", [][]string{{Gateway, Terminate}, {Outer, Gateway}}},
		{"", "300", "300", "300", "", [][]string{{Gateway, Terminate}}}, // WordOps' own
		{"", "30", "soon", "60", "", nil},
	} {
		var settings []Setting
		for name, value := range map[string]string{Slowlog: tc.s, MaxExecution: tc.m, Terminate: tc.t, Gateway: tc.g, Outer: tc.p} {
			if value != "" {
				settings = append(settings, Setting{Name: name, Value: value, By: Directive})
			}
		}
		var got [][]string
		for _, v := range Violations(Chain(settings)) {
			got = append(got, v.Links)
			if v.Sees == "" || v.Set == "" {
				t.Errorf("%v says nothing", v.Links)
			}
		}
		if !slices.EqualFunc(got, tc.want, slices.Equal) {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, value, words string }{
		{MaxExecution, "30", "30 s"}, {MaxExecution, "30s and more", "30 s"}, {MaxExecution, "0", "none"}, {MaxExecution, "soon", "unknown (soon)"},
		{Memory, "128M", "128M"}, {Memory, "1536K", "1536K"}, {Memory, "-1", "none"}, {Memory, "12.5M", "12M"}, {PostMax, "0", "none"},
		{Terminate, "2m", "120 s"}, {Terminate, "0", "none"}, {Control, "0", "none"}, {Gateway, "60s", "60 s"}, {Memory, "99999999999G", "unknown (99999999999G)"},
	} {
		if got := Find(Chain([]Setting{{Name: tc.name, Value: tc.value, By: PHPINI}}), tc.name).Words(); got != tc.words {
			t.Errorf("%s = %s is %q, want %q", tc.name, tc.value, got, tc.words)
		}
	}
	chain := Chain([]Setting{{Name: MaxInput, Value: "-1", By: BuiltIn}, {Name: MaxExecution, Value: "50", By: PHPINI}})
	if got := Find(chain, MaxInput).Words(); got != "50 s" {
		t.Errorf("max_input_time = -1 is %s", got)
	}
}
