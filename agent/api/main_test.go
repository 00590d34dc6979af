package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asClient makes the test binary a client of this socket, which does what its input says:
// so that somebody else than root asks.
const asClient = "WPMEND_API_CLIENT"

func TestMain(m *testing.M) {
	if socket := os.Getenv(asClient); socket != "" {
		beClient(socket)
		return
	}
	os.Exit(m.Run())
}

// order is one request of such a client.
type order struct {
	Method, Path, Body string
	Header             map[string]string
	Until              string // the answer is read until it holds this
}

type reply struct {
	Status int
	Header http.Header
	Body   string
	Err    string
}

func beClient(socket string) {
	client := clientOf(socket)
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	out := json.NewEncoder(os.Stdout)
	for {
		var o order
		if in.Decode(&o) != nil {
			return
		}
		if err := out.Encode(carryOut(client, o)); err != nil {
			return
		}
	}
}

func clientOf(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func carryOut(client *http.Client, o order) (r reply) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, o.Method, "http://localhost"+o.Path, bytes.NewReader([]byte(o.Body)))
	if err != nil {
		return reply{Err: err.Error()}
	}
	for name, value := range o.Header {
		q.Header.Set(name, value)
	}
	a, err := client.Do(q)
	if err != nil {
		return reply{Err: err.Error()}
	}
	defer a.Body.Close()
	r = reply{Status: a.StatusCode, Header: a.Header}
	for lines := bufio.NewReader(a.Body); ; {
		line, err := lines.ReadString('\n')
		r.Body += line
		if err == io.EOF || o.Until != "" && strings.Contains(line, o.Until) {
			return r
		}
		if err != nil {
			r.Err = err.Error()
			return r
		}
	}
}

// somebody is a client with a uid of its own.
type somebody struct {
	t   *testing.T
	in  *json.Encoder
	out *json.Decoder
}

// as starts a client for a uid.
func (s *stage) as(uid uint32) *somebody {
	s.t.Helper()
	binary := filepath.Join(s.dir, "client")
	if _, err := os.Stat(binary); err != nil {
		self, err := os.ReadFile("/proc/self/exe")
		s.must(err)
		s.must(os.WriteFile(binary, self, 0o755))
	}
	c := exec.Command(binary)
	c.Env = []string{asClient + "=" + s.socket}
	c.Dir = "/"
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	in, err := c.StdinPipe()
	s.must(err)
	out, err := c.StdoutPipe()
	s.must(err)
	s.must(c.Start())
	s.t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait()
	})
	return &somebody{s.t, json.NewEncoder(in), json.NewDecoder(out)}
}

// do asks, and again where it asked too often.
func (b *somebody) do(o order) reply {
	b.t.Helper()
	var r reply
	for r.Status == 0 || r.Status == http.StatusTooManyRequests {
		if r.Status != 0 {
			time.Sleep(200 * time.Millisecond)
		}
		r = reply{}
		if err := b.in.Encode(o); err != nil {
			b.t.Fatal(err)
		}
		if err := b.out.Decode(&r); err != nil {
			b.t.Fatal(err)
		}
		if r.Status == 0 {
			break
		}
	}
	if r.Err != "" {
		b.t.Fatalf("%s %s: %s", o.Method, o.Path, r.Err)
	}
	return r
}

// get asks and decodes; it wants success.
func (b *somebody) get(path string, into any) {
	b.t.Helper()
	r := b.do(order{Method: "GET", Path: path})
	if r.Status != 200 {
		b.t.Fatalf("GET %s: %d %s", path, r.Status, r.Body)
	}
	if err := json.Unmarshal([]byte(r.Body), into); err != nil {
		b.t.Fatalf("GET %s: %v\n%s", path, err, r.Body)
	}
}

// want asks and wants a status and, of a refusal, a kind.
func (b *somebody) want(status int, kind, method, path, body string) reply {
	b.t.Helper()
	r := b.do(order{Method: method, Path: path, Body: body})
	var p Problem
	if kind != "" {
		if err := json.Unmarshal([]byte(r.Body), &p); err != nil || r.Header.Get("Content-Type") != problemType {
			b.t.Errorf("%s %s: %v: %s", method, path, err, r.Body)
		}
	}
	if r.Status != status || kind != "" && p.Type != kindPrefix+kind {
		b.t.Errorf("%s %s: %d %s, want %d %s", method, path, r.Status, r.Body, status, kind)
	}
	return r
}

// job begins one and waits for its end.
func (b *somebody) job(path, body string) Job0 {
	b.t.Helper()
	var j Job0
	r := b.want(202, "", "POST", path, body)
	if err := json.Unmarshal([]byte(r.Body), &j); err != nil || r.Header.Get("Location") != "/v1/jobs/"+j.ID {
		b.t.Fatalf("POST %s: %v: %s", path, err, r.Body)
	}
	for range 10 {
		if b.get(fmt.Sprintf("/v1/jobs/%s?wait=60", j.ID), &j); j.State != running {
			break
		}
	}
	return j
}

// Job0 is a job as a client reads it.
type Job0 struct {
	ID, Kind, State, By string
	Result              json.RawMessage
	Error               *Problem
}
