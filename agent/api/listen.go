package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"wpmend/agent/config"
)

const (
	headerWithin = 10 * time.Second
	idleFor      = 2 * time.Minute
	mostHeader   = 16 << 10
	stopWithin   = time.Second     // for requests under way
	workWithin   = 4 * time.Second // for jobs and changes
	// listenAgain is how often it is tried to listen where that was not possible.
	listenAgain = 10 * time.Second
	// lookAt is how often another configuration is noticed.
	lookAt = time.Second
)

// Serve listens at the places that the configuration names, until ctx ends, and follows the
// configuration. Where it cannot listen it says so and tries again: the service goes on
// without. It returns when all that was begun has ended.
func (s *Server) Serve(ctx context.Context) error {
	base, cut := context.WithCancel(context.Background())
	defer cut()
	server := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerWithin, IdleTimeout: idleFor, MaxHeaderBytes: mostHeader,
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnContext:                  knowing,
		ErrorLog:                     slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	p := &places{server: s, http: server, open: map[string]*place{}}
	for tick := time.NewTicker(lookAt); ; {
		p.follow(s.o.Config().API)
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		tick.Stop()
		break
	}
	p.follow(config.API{})
	s.jobs.stop()
	s.end()
	cut() // streams end, and who waits
	within, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	err := server.Shutdown(within)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	s.finish()
	if errors.Is(err, net.ErrClosed) {
		return nil // follow has closed it already
	}
	return err
}

// finish waits for what was begun. What runs on is taken back by the next start's
// recovery, but for an act on a live server, which is waited for.
func (s *Server) finish() {
	done := make(chan struct{})
	go func() {
		s.jobs.work.Wait()
		s.work.Wait()
		close(done)
	}()
	for until := time.Now().Add(workWithin); time.Now().Before(until) || s.o.Agent.Acting(); {
		select {
		case <-done:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.o.Log.Warn("the API ends in the midst of its work: what is not finished is taken back at the next start")
}

// knowing puts who connected into the context of a connection.
func knowing(ctx context.Context, c net.Conn) context.Context {
	if counted, ok := c.(*countedConn); ok {
		return context.WithValue(ctx, peerKey{}, counted.peer)
	}
	return ctx
}

// places are where it listens.
type places struct {
	server *Server
	http   *http.Server
	open   map[string]*place
}

// place is one of them, or the attempt.
type place struct {
	listener net.Listener // nil: it could not be opened
	at       time.Time    // of the attempt
	why      string
}

// follow opens and closes them as the configuration says.
func (p *places) follow(c config.API) {
	want := map[string]func() (net.Listener, error){}
	if c.Socket != "" {
		want["unix "+c.Socket] = func() (net.Listener, error) { return listenUnix(c.Socket) }
	}
	if c.Socket != "" && c.Listen != "" {
		want["tcp "+c.Listen+" "+c.TokenFile] = func() (net.Listener, error) {
			if err := p.server.token.use(c.TokenFile); err != nil {
				return nil, err
			}
			return net.Listen("tcp", c.Listen)
		}
	}
	for name, at := range p.open {
		if want[name] == nil {
			if at.listener != nil {
				_ = at.listener.Close() // requests under way go on
				p.server.o.Log.Info("the API is served there no more", "at", name)
			}
			delete(p.open, name)
		}
	}
	for name, listen := range want {
		at := p.open[name]
		if at != nil && at.listener != nil && at.listener.Addr().Network() == "tcp" {
			p.server.token.follow(c.TokenFile, p.server.o.Log)
		}
		if at != nil && (at.listener != nil || time.Since(at.at) < listenAgain) {
			continue
		}
		if at == nil {
			at = &place{}
			p.open[name] = at
		}
		p.listen(name, at, listen)
	}
}

func (p *places) listen(name string, at *place, listen func() (net.Listener, error)) {
	at.at = time.Now()
	l, err := listen()
	if err != nil {
		if at.why != err.Error() {
			at.why = err.Error()
			p.server.o.Log.Error("the API is not served: wpmend goes on without it, and tries again", "at", name, "err", err)
		}
		return
	}
	at.listener, at.why = l, ""
	p.server.o.Log.Info("the API is served", "at", name)
	go func() {
		if err := p.http.Serve(&counting{Listener: l, roleOf: p.server.roleOf}); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			p.server.o.Log.Error("the API is served there no more", "at", name, "err", err)
		}
	}()
}

// listenUnix makes the socket to which everybody may connect.
func listenUnix(path string) (net.Listener, error) {
	if err := rootsAlone(filepath.Dir(path)); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("the API's socket: %w", err)
	case info.Mode().Type() != os.ModeSocket:
		return nil, fmt.Errorf("the API's socket: %s is something else: remove it, or set api.socket", path)
	default:
		c, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("the API's socket: another wpmend listens at %s", path)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("the API's socket: %w", err)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("the API's socket: %w", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("the API's socket: %w", err)
	}
	// The kernel says who connects; the folder is root's, so nobody can exchange the socket.
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("the API's socket: %w", err), l.Close())
	}
	return l, nil
}

// rootsAlone refuses a folder in which somebody else could put another socket. The folder
// of the default socket is made where it is missing: /run is empty after each boot.
func rootsAlone(dir string) error {
	if err := os.Mkdir(dir, 0o711); err == nil {
		if err := os.Chmod(dir, 0o711); err != nil {
			return fmt.Errorf("the API's socket: %w", err)
		}
	} else if !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("the API's socket: %w", err)
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return fmt.Errorf("the API's socket: %w", err)
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		shared := info.Mode().Perm()&0o022 != 0
		if !ok || !info.IsDir() || stat.Uid != 0 || shared && (at == dir || info.Mode()&os.ModeSticky == 0) {
			return fmt.Errorf("the API's socket: %s must be a folder of root's in which nobody else can write", at)
		}
		if at == "/" {
			return nil
		}
	}
}

// The most connections that are open at once.
const (
	connsOfOne       = 64 // of one owner
	connsOfOwners    = 1536
	connsOfStrangers = 128 // of all of them
	connsOfAdmins    = 4608
)

// counting accepts no more connections than may be open, and knows whose they are.
type counting struct {
	net.Listener
	roleOf func(peer) Role

	mu    sync.Mutex
	of    map[uint32]int // of owners
	total map[Role]int
}

type countedConn struct {
	net.Conn
	peer  peer
	leave func()
}

func (c *countedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// CloseWrite is what the server does before it closes on a client that still sends: else
// its answer would be lost.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (l *counting) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		p, err := peerOf(c)
		if err != nil {
			_ = c.Close() // it has gone
			continue
		}
		role := l.roleOf(p)
		if !l.enter(p, role) {
			_ = c.Close()
			continue
		}
		return &countedConn{c, p, sync.OnceFunc(func() { l.leave(p, role) })}, nil
	}
}

func (l *counting) enter(p peer, role Role) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of, l.total = map[uint32]int{}, map[Role]int{}
	}
	most := map[Role]int{Admin: connsOfAdmins, Owner: connsOfOwners, Nobody: connsOfStrangers}[role]
	if p.tcp {
		most = connsOfOwners // one may be an administrator
	}
	if l.total[role] >= most || role == Owner && l.of[p.uid] >= connsOfOne {
		return false
	}
	l.total[role]++
	if role == Owner {
		l.of[p.uid]++
	}
	return true
}

func (l *counting) leave(p peer, role Role) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total[role]--
	if role != Owner {
		return
	}
	if l.of[p.uid]--; l.of[p.uid] <= 0 {
		delete(l.of, p.uid)
	}
}
