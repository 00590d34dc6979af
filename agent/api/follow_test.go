package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"wpmend/agent"
	"wpmend/agent/feed"
	"wpmend/agent/site"
)

// follower is a client of an event stream.
type follower struct {
	answer *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

func (s *stage) follower(c *http.Client, path, last string) *follower {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", "http://localhost"+path, nil)
	s.must(err)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	a, err := c.Do(r)
	s.must(err)
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	f := &follower{a, bufio.NewReader(a.Body), cancel}
	f.line() // the greeting
	f.line()
	return f
}

func (f *follower) line() string {
	text, err := f.lines.ReadString('\n')
	if err != nil {
		return "error: " + err.Error()
	}
	return strings.TrimRight(text, "\n")
}

// next is the next event.
func (f *follower) next() (kind string, e feed.Event) {
	for {
		switch line := f.line(); {
		case strings.HasPrefix(line, "error: "):
			return line, e
		case strings.HasPrefix(line, "event: "):
			kind = strings.TrimPrefix(line, "event: ")
		case strings.HasPrefix(line, "data: "):
			_ = json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &e)
		case line == "" && kind != "":
			return kind, e
		}
	}
}

// 1,500 follow at once; who comes back gets what it missed; who takes nothing is dropped
// and holds up nobody; all end with the service.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := clientOf(s.socket)
	publish := func(n int) {
		for i := range n {
			s.feed.Publish(feed.Event{Kind: feed.Doing, Text: fmt.Sprint("step ", i, strings.Repeat(".", 2000))})
		}
	}
	stuck := s.follower(c, "/v1/events", "") // takes nothing more
	const many = 1500
	all := make([]*follower, many)
	var wg sync.WaitGroup
	for at := range 10 {
		wg.Go(func() {
			for i := at; i < many; i += 10 {
				all[i] = s.follower(c, "/v1/events", "")
			}
		})
	}
	wg.Wait()
	s.until("all of them", func() bool { return s.feed.Listeners() == many+1 })
	publish(3)
	for _, f := range all {
		wg.Go(func() {
			for range 3 {
				if kind, _ := f.next(); kind != "doing" {
					t.Errorf("%s", kind)
				}
			}
		})
	}
	wg.Wait()
	for _, f := range all[1:] {
		f.cancel()
	}
	s.until("the end of all but two", func() bool { return s.feed.Listeners() == 2 })
	go func() {
		for {
			if kind, _ := all[0].next(); kind != "doing" {
				return
			}
		}
	}()
	s.until("the end of the slow one", func() bool { publish(20); return s.feed.Listeners() == 1 })
	stuck.cancel()

	back := s.follower(c, "/v1/events", "1")
	if kind, e := back.next(); kind != "doing" && kind != "gap" || kind == "doing" && e.ID != 2 {
		t.Errorf("%s %d comes first", kind, e.ID)
	}
	if kind, _ := s.follower(c, "/v1/events", "999999999").next(); kind != "gap" {
		t.Errorf("%s where the service was started anew", kind)
	}
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}

// Jobs survive who began them, are bounded, cancelled, followed to their end, and end with
// the service.
func TestJobs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	j := &s.jobs
	host := site.Site{ID: "0123456789ab", Root: "/nowhere", Domain: "shop.example", Owner: 23001}
	root := &caller{role: Admin, name: "root", key: "0"}
	his := &caller{role: Owner, uid: 23001, name: "23001", key: "23001", sites: []site.Site{host}}
	hang := func(ctx context.Context, _ *agent.Agent) (any, error) { <-ctx.Done(); return nil, ctx.Err() }

	first, err := j.begin(his, "check", host, hang)
	s.must(err)
	if _, err := j.begin(his, "check", host, hang); problemOf(err).Status != 429 {
		t.Errorf("a second one of his: %v", err)
	}
	for i := range ownersJobs - 1 {
		other := &caller{role: Owner, uid: uint32(i), name: "x", key: fmt.Sprint("x", i)}
		if _, err := j.begin(other, "check", host, hang); err != nil {
			t.Error(err)
		}
	}
	if _, err := j.begin(&caller{role: Owner, key: "late"}, "check", host, hang); problemOf(err).Status != 429 {
		t.Errorf("one owner too many: %v", err)
	}
	var held []*job
	for range adminsJobs {
		b, err := j.begin(root, "heal", host, hang)
		s.must(err)
		held = append(held, b)
	}
	if _, err := j.begin(root, "heal", host, hang); problemOf(err).Status != 429 {
		t.Errorf("one too many: %v", err)
	}
	c := clientOf(s.socket)
	follow := s.follower(c, "/v1/jobs/"+held[0].id+"/events", "")
	if kind, e := follow.next(); kind != "job" || e.Job != held[0].id {
		t.Errorf("%s %+v comes first", kind, e)
	}
	if r := carryOut(c, order{Method: "DELETE", Path: "/v1/jobs/" + held[0].id}); r.Status != 200 || !strings.Contains(r.Body, `"state":"cancelled"`) {
		t.Errorf("%+v", r)
	}
	if kind, e := follow.next(); kind != "job" || !strings.Contains(e.Text, "cancelled") {
		t.Errorf("%s %+v comes last", kind, e)
	}
	if kind, _ := follow.next(); kind != "error: EOF" {
		t.Errorf("%s comes after the end", kind)
	}
	again := carryOut(c, order{Method: "DELETE", Path: "/v1/jobs/" + held[0].id})
	if again.Status != 200 {
		t.Errorf("%+v", again)
	}

	broken, err := j.begin(root, "check", host, func(context.Context, *agent.Agent) (any, error) { panic("own fault") })
	s.must(err)
	broken.wait(t.Context())
	if state, _ := broken.standing(); state != failed || s.show(root, broken).Error.Status != 500 {
		t.Errorf("%s %+v", state, s.show(root, broken))
	}
	for i := range adminKept + 20 {
		b, err := j.begin(root, "check", host, func(context.Context, *agent.Agent) (any, error) { return nil, errors.New("no") })
		s.must(err)
		b.wait(t.Context())
		if i == 0 && b.closed == false {
			t.Error("it does not end")
		}
	}
	if n := len(j.all()); n > adminKept+ownersJobs+adminsJobs+1 {
		t.Errorf("%d jobs are kept", n)
	}
	if state, _ := first.standing(); state != running {
		t.Errorf("his job is %s", state)
	}
	// What an act has stopped is waited for; else it goes quickly.
	began := time.Now()
	s.stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	if state, _ := first.standing(); state == running {
		t.Error("his job outlives the service")
	}
	if _, err := j.begin(root, "check", host, hang); problemOf(err).Status != 503 {
		t.Errorf("after the end: %v", err)
	}
}
