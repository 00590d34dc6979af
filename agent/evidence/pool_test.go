package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
	"wpmend/php/fcgi"
	"wpmend/php/fpm"
)

// staged is a lab whose one pool has three workers and a short queue.
type staged struct {
	*testing.T
	*lab.Lab
	scripts string
}

func stage(t *testing.T, o lab.Options) staged {
	t.Helper()
	o.MaxChildren = 3
	st := staged{T: t, Lab: lab.New(t, o)}
	st.scripts = filepath.Join(st.Site(0).DocRoot, "do")
	st.check(os.Mkdir(st.scripts, 0o755))
	for name, code := range map[string]string{
		"sleep": "sleep(600);", "compute": "set_time_limit(0); while (true) sha1(microtime());",
		"read": "set_time_limit(0); while (true) { file_get_contents(__FILE__); usleep(20000); }",
	} {
		st.check(os.WriteFile(filepath.Join(st.scripts, name+".php"), []byte("<?php "+code), 0o644))
	}
	st.configure("pm = static", "listen.backlog = 2")
	return st
}

func (st staged) check(err error) {
	st.Helper()
	if err != nil {
		st.Fatal(err)
	}
}

// configure adds to the pool's settings and starts FPM anew.
func (st staged) configure(lines ...string) {
	st.Helper()
	file := filepath.Join(filepath.Dir(st.FPMConfig(0)), "pool.d", st.Site(0).Pool+".conf")
	text, err := os.ReadFile(file)
	st.check(err)
	st.check(st.StopFPM())
	st.check(os.WriteFile(file, append(text, strings.Join(lines, "\n")+"\n"...), 0o644))
	st.check(st.StartFPM())
}

// rewrite changes the gateway's configuration of the site and lets it read it.
func (st staged) rewrite(from, to string) {
	st.Helper()
	config, pid := st.NginxConfig(), st.NginxMaster()
	signal := syscall.SIGHUP
	if st.ApacheMaster() != 0 {
		config, pid, signal = st.ApacheConfig(), st.ApacheMaster(), syscall.SIGUSR1
	}
	changed := 0
	st.check(filepath.WalkDir(filepath.Dir(config), func(file string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(from)) {
			return err
		}
		changed++
		return os.WriteFile(file, bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o644)
	}))
	if changed == 0 {
		st.Fatalf("%q is nowhere in the configuration", from)
	}
	st.check(syscall.Kill(pid, signal))
}

// site is discovered once its gateway is known to ask at an address: an Apache that reads its configuration again has
// no children for a moment, and is not recognised then.
func (st staged) site(asked string) site.Site {
	st.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		host, err := site.Discover(context.Background(), site.Host{}, func(root string) bool { return strings.HasPrefix(root, st.Dir+"/") })
		st.check(err)
		s, err := site.Find(host.Sites, st.Site(0).Root)
		if err == nil && s.Location.Peers[0].Addr == asked {
			return s
		}
		if time.Now().After(deadline) {
			st.Fatal(err, host.Problems)
		}
	}
}

// send begins a request at the pool itself.
func (st staged) send(script string) {
	at := st.Site(0).Socket
	network := "tcp"
	if filepath.IsAbs(at) {
		network = "unix"
	}
	file := filepath.Join(st.scripts, script+".php")
	go func() {
		_, _ = fcgi.Do(context.Background(), network, at, fcgi.Request{Params: map[string]string{"SCRIPT_FILENAME": file, "SCRIPT_NAME": "/do/" + script + ".php",
			"REQUEST_METHOD": "GET", "REQUEST_URI": "/do/" + script + ".php", "SERVER_PROTOCOL": "HTTP/1.1"}}, fcgi.Limits{})
	}()
}

// see gathers the facts until they are as wanted.
func (st staged) see(s site.Site, before sighting, what string, want func(diagnose.Pool, diagnose.Socket) bool) (diagnose.Pool, diagnose.Socket) {
	st.Helper()
	for deadline := time.Now().Add(40 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		p, so := pool(context.Background(), s, before), socket(s)
		if want(p, so) {
			return p, so
		}
		if time.Now().After(deadline) {
			st.Fatalf("%s: %+v, %+v", what, p, so)
		}
	}
}

func busy(p diagnose.Pool) (n int) {
	for _, w := range p.Workers {
		if w.Busy {
			n++
		}
	}
	return n
}

func stuck(p diagnose.Pool) (n int) {
	for _, w := range p.Workers {
		if w.Stuck {
			n++
		}
	}
	return n
}

// One pool through all that can happen to it: by a socket behind nginx, by a port behind Apache.
func TestPoolAndSocket(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]lab.Options{"unix": {}, "tcp": {Gateway: lab.Apache, TCP: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := stage(t, o)
			unix := !o.TCP
			s := st.site(st.Site(0).Socket)
			p, so := st.see(s, sighting{}, "an idle pool", func(p diagnose.Pool, _ diagnose.Socket) bool { return len(p.Workers) == 3 && busy(p) == 0 })
			if p.Name != st.Site(0).Pool || p.Manager != "static" || p.MaxChildren != 3 || p.ControlTimeout != 0 || p.PID != st.FPMMaster() || p.Test != nil ||
				p.Elsewhere != nil || p.Candidate != "" || p.State != (diagnose.UnitState{}) {
				t.Errorf("%+v", p)
			}
			if so.Queue != 0 || so.Backlog != 2 || so.Dial != nil || so.Address != st.Site(0).Socket || so.Asked != so.Address || so.Unix != unix || so.HTTP || so.Disallowed {
				t.Errorf("%+v", so)
			}
			for _, w := range p.Workers {
				if w.Age <= 0 || w.RSS < 100<<10 || w.Since != 0 || w.Script != "" || w.Dir != "" {
					t.Errorf("%+v", w)
				}
			}

			// A worker is free: the status page names the scripts of the others.
			before := look(s)
			st.send("sleep")
			st.send("compute")
			p, _ = st.see(s, before, "two at work", func(p diagnose.Pool, _ diagnose.Socket) bool {
				return busy(p) == 2 && !slices.ContainsFunc(p.Workers, func(w diagnose.Worker) bool { return w.Busy && (w.Script == "" || w.Dir == "") })
			})
			for _, w := range p.Workers {
				if w.Busy && (filepath.Dir(w.Script) != st.scripts || w.URI == "" || w.Since <= 0 || w.Since > w.Age || w.Dir != st.scripts) {
					t.Errorf("%+v", w)
				}
			}

			// All are at work and the queue fills up: what is known without anybody in the pool is known still.
			begun := time.Now()
			st.send("read")
			st.see(s, before, "a full pool", func(p diagnose.Pool, _ diagnose.Socket) bool { return busy(p) == 3 })
			for range 6 {
				st.send("sleep")
			}
			full := func(so diagnose.Socket) bool { return so.Queue > so.Backlog || !unix && so.Queue == so.Backlog }
			_, so = st.see(s, before, "a full queue", func(p diagnose.Pool, so diagnose.Socket) bool { return busy(p) == 3 && full(so) })
			if so.Dial != nil || so.Backlog != 2 {
				t.Errorf("somebody listens: %+v", so)
			}
			start := time.Now()
			seen := look(s)
			p = pool(context.Background(), s, seen)
			t.Logf("pool %s: %d workers", time.Since(start), len(p.Workers))
			if stuck(p) != 0 && time.Since(begun) < standstill {
				t.Errorf("stuck after %s: %+v", time.Since(begun), p.Workers)
			}

			// Only the one that sleeps becomes stuck, never those that compute or read.
			p, _ = st.see(s, seen, "a stuck worker", func(p diagnose.Pool, _ diagnose.Socket) bool { return stuck(p) > 0 })
			for _, w := range p.Workers {
				if !w.Busy || w.Dir != st.scripts || w.Stuck && !w.Asleep || w.Stuck != (w.Since >= standstill && w.PID == stuckOne(p).PID) {
					t.Errorf("%+v", w)
				}
			}
			w := stuckOne(p)
			script, _ := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", w.PID))
			if stuck(p) != 1 || w.Since < standstill || len(script) == 0 || bytes.HasPrefix(script, []byte("1000000000")) {
				t.Errorf("%+v, %s", p.Workers, script)
			}

			if unix {
				st.check(os.Remove(st.Site(0).Socket))
				so := socket(s)
				if so.Exists || !errors.Is(so.Dial, syscall.ENOENT) || so.Queue != -1 || so.Backlog != -1 {
					t.Errorf("a deleted socket: %+v", so)
				}
				st.stale()
				if so = socket(s); !so.Exists || !errors.Is(so.Dial, syscall.ECONNREFUSED) || so.Queue != -1 {
					t.Errorf("a stale socket while the master runs: %+v", so)
				}
			}
			st.check(st.StopFPM())
			if unix {
				_ = os.Remove(st.Site(0).Socket)
				st.stale()
			}
			p, so = pool(context.Background(), s, before), socket(s)
			if p.PID != 0 || p.Test != nil || len(p.Workers) != 0 || !errors.Is(so.Dial, syscall.ECONNREFUSED) || so.Exists != unix {
				t.Errorf("a stopped master: %+v, %+v", p, so)
			}
			file := filepath.Join(filepath.Dir(st.FPMConfig(0)), "pool.d", st.Site(0).Pool+".conf")
			text, err := os.ReadFile(file)
			st.check(err)
			st.check(os.WriteFile(file, append(text, "bogus = 1\n"...), 0o644))
			line := bytes.Count(text, []byte("\n")) + 1
			if p = pool(context.Background(), s, before); p.Test == nil || !strings.Contains(p.Test.Error(), fmt.Sprintf("[%s:%d] unknown entry 'bogus'", file, line)) {
				t.Errorf("%v", p.Test)
			}
			st.check(os.WriteFile(file, text, 0o644))
			if unix {
				_ = os.Remove(st.Site(0).Socket)
			}
			st.check(st.StartFPM())
			// It was started by somebody else, under another PID.
			st.see(s, before, "the new master", func(p diagnose.Pool, _ diagnose.Socket) bool { return p.PID == st.FPMMaster() && len(p.Workers) == 3 })
			st.wrong(unix)
			if !unix {
				st.configure("listen.allowed_clients = 192.0.2.1")
				st.rewrite("127.77.77.77:9", st.Site(0).Socket)
				if so := socket(st.site(st.Site(0).Socket)); !so.Disallowed || so.Dial != nil || so.Allowed != "192.0.2.1" {
					t.Errorf("%+v", so)
				}
			}
		})
	}
}

func stuckOne(p diagnose.Pool) diagnose.Worker {
	i := slices.IndexFunc(p.Workers, func(w diagnose.Worker) bool { return w.Stuck })
	return p.Workers[max(i, 0)]
}

// stale makes a socket's file that nobody listens on.
func (st staged) stale() {
	st.Helper()
	l, err := net.Listen("unix", st.Site(0).Socket)
	st.check(err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	st.check(l.Close())
}

// wrong lets the gateway ask where no pool is.
func (st staged) wrong(unix bool) {
	st.Helper()
	right, asked := st.Site(0).Socket, "127.77.77.77:9"
	if unix {
		asked = filepath.Join(filepath.Dir(right), "php8.1-fpm-"+filepath.Base(right))
	}
	st.rewrite(right, asked)
	s := st.site(asked)
	if s.Asked.Addr != asked || s.Pool.Name != "" || s.Master.Config != "" || s.Unserved() == nil || s.Owner == 0 {
		st.Fatalf("%+v", s)
	}
	p, so := pool(context.Background(), s, look(s)), socket(s)
	if so.Asked != asked || so.Dial == nil || so.Exists || so.HTTP || so.Queue != -1 {
		st.Errorf("%+v", so)
	}
	// Other pools of this host may belong to the same user; only a socket's name tells which is meant.
	if !slices.Contains(p.Elsewhere, right) || unix && (p.Candidate != right || so.Address != right || p.PID != st.FPMMaster()) {
		st.Errorf("%+v, %+v", p, so)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, _, err := st.GetFrom(context.Background(), 0, "/")
		if status == 502 || status == 503 {
			break
		}
		if time.Now().After(deadline) {
			st.Fatalf("the site answers %d, %v", status, err)
		}
	}
	if !unix {
		// A web server is there instead.
		s.Asked = fpm.Address{Network: "tcp", Addr: st.Address + ":80"}
		if so := socket(s); !so.HTTP || so.Dial != nil {
			st.Errorf("%+v", so)
		}
	}
}
