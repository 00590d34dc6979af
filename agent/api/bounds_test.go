package api

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// One user cannot starve the others.
func TestLimits(t *testing.T) {
	t.Parallel()
	var l limiter
	his, hers, root := &caller{role: Owner, key: "1"}, &caller{role: Owner, key: "2"}, &caller{role: Admin, key: "0"}
	var leaves []func()
	for range ownerAtOnce {
		leave, p := l.enter(his, light)
		if p != nil {
			t.Fatal(p)
		}
		leaves = append(leaves, leave)
	}
	if _, p := l.enter(his, light); p == nil || p.Status != 429 || p.GetHeaders().Get("Retry-After") == "" {
		t.Errorf("%+v", p)
	}
	for _, c := range []*caller{hers, root} {
		if _, p := l.enter(c, light); p != nil {
			t.Error(p)
		}
	}
	for _, leave := range leaves {
		leave()
	}
	passed := 0
	for range 200 {
		if leave, p := l.enter(his, light); p == nil {
			leave()
			passed++
		}
	}
	if passed < ownerBurst/2 || passed > ownerBurst+20 {
		t.Errorf("%d of 200 passed", passed)
	}
	for range 500 {
		if leave, p := l.enter(root, light); p != nil {
			t.Fatal(p)
		} else {
			leave()
		}
	}

	leave, p := l.enter(hers, heavy)
	if p != nil {
		t.Fatal(p)
	}
	if _, p := l.enter(hers, heavy); p == nil {
		t.Error("two heavy requests of one at once")
	}
	if other, p := l.enter(root, heavy); p != nil {
		t.Error(p)
	} else {
		other()
	}
	leave()

	count := &counting{}
	for range connsOfOne {
		if !count.enter(peer{uid: 1}, Owner) {
			t.Fatal("refused early")
		}
	}
	if count.enter(peer{uid: 1, gid: 7}, Owner) || !count.enter(peer{uid: 2}, Owner) {
		t.Error("connections are not counted by user")
	}
	for i := range uint32(10 * connsOfStrangers) {
		if count.enter(peer{uid: 100000 + i}, Nobody) != (i < connsOfStrangers) {
			t.Fatalf("stranger %d", i)
		}
	}
	if !count.enter(peer{}, Admin) || !count.enter(peer{uid: 3}, Owner) {
		t.Error("strangers keep others out")
	}
	count.leave(peer{uid: 1}, Owner)
	if !count.enter(peer{uid: 1}, Owner) {
		t.Error("what was left is not free")
	}
}

// The same request with the same key is done once, whoever waits; another request with it
// is refused; what failed may be tried again.
func TestKeys(t *testing.T) {
	t.Parallel()
	var k keyring
	c := &caller{role: Owner, key: "1"}
	r := httptest.NewRequest("POST", "/v1/recover", nil)
	did := 0
	ok := func() *answer {
		did++
		a := &answer{status: 200}
		a.body.WriteString(fmt.Sprint("done ", did))
		return a
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if a, p := k.once(c, "key", r, nil, ok); p != nil || a.body.String() != "done 1" {
				t.Errorf("%v %v", a, p)
			}
		})
	}
	wg.Wait()
	if _, p := k.once(c, "key", r, []byte("{}"), ok); p == nil || p.Status != 422 {
		t.Errorf("another body: %v", p)
	}
	if a, _ := k.once(&caller{role: Owner, key: "2"}, "key", r, nil, ok); a.body.String() != "done 2" {
		t.Errorf("another's key: %s", &a.body)
	}
	fail := func() *answer { did++; return &answer{status: 409} }
	for range 2 {
		if a, _ := k.once(c, "again", r, nil, fail); a.status != 409 {
			t.Error(a.status)
		}
	}
	if did != 4 {
		t.Errorf("%d were done, want 4", did)
	}
	for i := range 3 * keysOwner {
		_, _ = k.once(c, fmt.Sprint("k", i), r, nil, ok)
	}
	if n := len(k.known[c.key]); n > keysOwner {
		t.Errorf("%d keys are kept", n)
	}
	for _, key := range []string{"", "a b", "\x00", "é", strings.Repeat("k", 300)} {
		if _, p := k.once(c, key, r, nil, ok); p == nil || p.Status != 422 {
			t.Errorf("%q is taken", key)
		}
	}
	func() {
		defer func() { _ = recover() }()
		_, _ = k.once(c, "panic", r, nil, func() *answer { panic("x") })
	}()
	if a, p := k.once(c, "panic", r, nil, ok); p != nil || a.status != 200 {
		t.Errorf("after a fault: %v %v", a, p)
	}
}
