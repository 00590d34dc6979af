package api

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/feed"
	"wpmend/packaging/lab"
)

// stage is a service with its API at a socket of its own, over real labs.
type stage struct {
	*Server
	t      *testing.T
	labs   []*lab.Lab
	agent  *agent.Agent
	feed   *feed.Feed
	dir    string
	socket string
	log    *syncBuffer
	stop   func()

	mu   sync.Mutex
	conf config.Config
}

// syncBuffer is written and read by many.
type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// newStage serves labs, made by these options, one after the other.
func newStage(t *testing.T, options ...lab.Options) *stage {
	t.Helper()
	s := &stage{t: t, log: &syncBuffer{}}
	c := config.Default()
	for _, o := range options {
		l := lab.New(t, o)
		s.labs = append(s.labs, l)
		c.Only = append(c.Only, l.Dir)
	}
	if len(options) == 0 {
		c.Only = []string{"/nowhere"}
	}
	c.Edge.Ask = false
	dir, err := os.MkdirTemp("/tmp", "wpmend-api-")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	s.must(err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s.dir, s.socket = dir, filepath.Join(dir, "api.sock")
	c.API.Socket, c.API.TokenFile = s.socket, filepath.Join(dir, "token")
	s.conf = c
	log := slog.New(slog.NewTextHandler(s.log, nil))
	s.feed = feed.New(4096)
	s.agent, err = agent.Open(agent.Options{Config: c, State: filepath.Join(dir, "state"), Log: log, Progress: func(p agent.Progress) { s.feed.Publish(p.Event()) }})
	s.must(err)
	s.Server = New(Options{Agent: s.agent, Feed: s.feed, Log: log, Version: "test", Config: s.config})
	s.Ready()
	s.serve()
	return s
}

func (s *stage) config() config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf
}

// serve listens, and returns when somebody answers.
func (s *stage) serve() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Server.Serve(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the API ended with %v", err)
		}
	})
	s.t.Cleanup(func() {
		s.stop()
		if s.t.Failed() {
			s.t.Logf("log:\n%s", s.log)
		}
	})
	s.until("a listener", func() bool {
		c, err := net.Dial("unix", s.socket)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) until(what string, is func() bool) {
	s.t.Helper()
	for end := time.Now().Add(60 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("no %s\n%s", what, s.log)
		}
	}
}
