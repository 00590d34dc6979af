package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The faults that lie in the gateway or between it and the pool.
const (
	GatewayStopped     Fault = "gateway-stopped"     // the gateway is ended: nobody accepts
	GatewayBroken      Fault = "gateway-broken"      // ended, and an unknown directive keeps it from starting
	GatewayFull        Fault = "gateway-full"        // idle clients hold all of its connections
	GatewayFiles       Fault = "gateway-files"       // it may open no more files: 500, or no answer
	OtherSocket        Fault = "other-socket"        // the vhost asks at the socket of a PHP that is gone: 502
	HTTPOnSocket       Fault = "http-on-socket"      // the vhost asks at the address of an HTTP server: 502
	UnresolvedUpstream Fault = "unresolved-upstream" // the vhost asks at a name that does not exist: 502
	ImpatientGateway   Fault = "impatient-gateway"   // it waits one second for PHP: 504, if that is slower
	CachedBadGateway   Fault = "cached-bad-gateway"  // nginx' cache serves a 502 of a pool that is well again
	CachedFatal        Fault = "cached-fatal"        // nginx' cache serves a 500 of a plugin that is well again
	StaleCache         Fault = "stale-cache"         // nginx' cache hides a dead pool behind a page of before
	ForeignHtaccess    Fault = "foreign-htaccess"    // .htaccess has a line of mod_php's: 500 from Apache
)

// gatewayFault breaks what belongs to the gateway; ok is false for other faults.
func (l *Lab) gatewayFault(site int, f Fault) (undo func() error, ok bool, err error) {
	switch f {
	case GatewayStopped:
		undo, err = l.StartGateway, l.StopGateway()
	case GatewayBroken:
		undo, err = l.brokenGateway(site)
	case GatewayFull:
		undo, err = l.fullGateway()
	case GatewayFiles:
		undo, err = l.fewFiles()
	case OtherSocket:
		undo, err = l.askAt(site, filepath.Join(l.Dir, "run", "php8.1-"+l.sites[site].Pool+".sock"))
	case HTTPOnSocket:
		undo, err = l.httpOnSocket(site)
	case UnresolvedUpstream:
		undo, err = l.unresolved(site)
	case ImpatientGateway:
		undo, err = l.impatient(site, time.Second)
	case CachedBadGateway, CachedFatal, StaleCache:
		undo, err = l.caching(site, f)
	case ForeignHtaccess:
		undo, err = l.foreignHtaccess(site)
	default:
		return nil, false, nil
	}
	return undo, true, err
}

// reconfigure changes a file of the gateway's and starts it anew.
func (l *Lab) reconfigure(file string, change func(string) string) (func() error, error) {
	restore, err := rewrite(file, change)
	if err != nil {
		return nil, err
	}
	undo := func() error { return errors.Join(restore(), l.RestartGateway()) }
	if err := l.RestartGateway(); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

func (l *Lab) brokenGateway(site int) (func() error, error) {
	line := "\tfastcgi_buffer_sizes 16k;"
	mark := "access_log"
	if l.o.Gateway == Apache {
		line, mark = "\tProxyTimeouts 10", "CustomLog"
	}
	restore, err := rewrite(l.VhostConfig(site), after(mark, line))
	if err != nil {
		return nil, err
	}
	return func() error { return errors.Join(restore(), l.StartGateway()) }, l.StopGateway()
}

// fullGateway gives the gateway few connections and holds more.
func (l *Lab) fullGateway() (func() error, error) {
	change, connections := replacing("worker_connections 256;", "worker_connections 16;"), 24
	if l.o.Gateway == Apache {
		// What sends no request has a thread to itself as long as mod_reqtimeout lets it.
		change = func(text string) string {
			return strings.NewReplacer("ThreadsPerChild 32", "ThreadsPerChild 4", "ThreadLimit 32", "ThreadLimit 4",
				"MaxSpareThreads 32", "MaxSpareThreads 4", "MaxRequestWorkers 32", "MaxRequestWorkers 4").Replace(text)
		}
	}
	restore, err := l.reconfigure(l.GatewayConfig(), change)
	if err != nil {
		return nil, err
	}
	held := hold("tcp", l.Address+":80", connections, "GET / HTTP/1.1\r\nHost: "+l.sites[0].Domain+"\r\n")
	// A visitor who is still let in, but for whom there is no connection to PHP, gets a 500; one who is not has no
	// answer at all, which tells nobody anything.
	for l.o.Gateway == Nginx && len(held) > 0 && l.ask(context.Background(), l.sites[0].URL+"/") != http.StatusInternalServerError {
		last := len(held) - 1
		held[last].Close()
		held = held[:last]
		time.Sleep(20 * time.Millisecond)
	}
	return func() error { return errors.Join(release(held), restore()) }, nil
}

// hold opens connections that say a little and then nothing.
func hold(network, address string, n int, say string) []net.Conn {
	var held []net.Conn
	for range n {
		conn, err := net.DialTimeout(network, address, time.Second)
		if err != nil {
			break // it is full
		}
		conn.Write([]byte(say)) // one that is closed at once held nothing
		held = append(held, conn)
	}
	time.Sleep(100 * time.Millisecond) // the server looks at them in its own time
	return held
}

func release(held []net.Conn) error {
	for _, conn := range held {
		conn.Close()
	}
	return nil
}

// fewFiles lets the gateway's workers open hardly more files than they need.
func (l *Lab) fewFiles() (func() error, error) {
	if l.o.Gateway == Apache {
		return nil, errors.New("the children of Apache take their limit from its master's, which systemd sets")
	}
	const limit = 18 // its logs and sockets are some dozen; a request for PHP needs two more
	restore, err := l.reconfigure(l.NginxConfig(), replacing("worker_processes 1;", fmt.Sprintf("worker_processes 1;\nworker_rlimit_nofile %d;", limit)))
	if err != nil {
		return nil, err
	}
	var workers []int
	if err := l.await(Nginx, stopLimit, func() bool { workers = children(l.GatewayMaster()); return len(workers) == 1 }); err != nil {
		return nil, errors.Join(err, restore())
	}
	l.ask(context.Background(), l.sites[0].URL+"/") // a worker that has answered has opened all it needs
	// Whatever that request held must be closed before it is counted; a connection kept alive nginx would give away.
	l.client.CloseIdleConnections()
	var open int
	for last := -1; open != last; {
		last = open
		time.Sleep(200 * time.Millisecond)
		if open, err = lowFiles(workers[0], limit); err != nil {
			return nil, errors.Join(err, restore())
		}
	}
	// Clients take what is left but for one, with which a last visitor's connection is accepted.
	held := hold("tcp", l.Address+":80", max(0, limit-open-1), "GET / HTTP/1.1\r\nHost: "+l.sites[0].Domain+"\r\n")
	return func() error { return errors.Join(release(held), restore()) }, nil
}

// lowFiles counts a process's descriptors below a limit: one inherited above it takes
// no room.
func lowFiles(pid, limit int) (int, error) {
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	n := 0
	for _, fd := range fds {
		if number, err := strconv.Atoi(fd.Name()); err == nil && number < limit {
			n++
		}
	}
	return n, err
}

// askAt makes the vhost pass its requests to another address.
func (l *Lab) askAt(site int, address string) (func() error, error) {
	s := l.sites[site]
	if l.o.Gateway == Apache {
		handler := func(address string) string {
			if filepath.IsAbs(address) {
				return "proxy:unix:" + address + "|fcgi://localhost"
			}
			return "proxy:fcgi://" + address
		}
		return l.reconfigure(l.VhostConfig(site), replacing(handler(s.Socket), handler(address)))
	}
	pass := func(address string) string {
		if filepath.IsAbs(address) {
			return "unix:" + address
		}
		return address
	}
	return l.reconfigure(l.VhostConfig(site), replacing("fastcgi_pass "+pass(s.Socket)+";", "fastcgi_pass "+pass(address)+";"))
}

// httpOnSocket runs an HTTP server, as an application of another kind would be, and
// leads the vhost to it.
func (l *Lab) httpOnSocket(site int) (func() error, error) {
	ln, err := net.Listen("tcp", l.Address+":0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Second}
	go server.Serve(lingering{ln}) // ends with Close
	restore, err := l.askAt(site, ln.Addr().String())
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return func() error { return errors.Join(server.Close(), restore()) }, nil
}

// lingering reads on for a while after its answer, as a grown server does: else a gateway that is
// still sending meets a reset instead of the answer.
type lingering struct{ net.Listener }

func (l lingering) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return lingeringConn{conn}, nil
}

type lingeringConn struct{ net.Conn }

func (c lingeringConn) Close() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok && tcp.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(300*time.Millisecond)) == nil {
		_, _ = io.Copy(io.Discard, tcp) // until the gateway has closed, or the deadline
	}
	return c.Conn.Close()
}

// NoSuchHost is a name that no resolver knows (RFC 6761).
const NoSuchHost = "php.backend.invalid"

func (l *Lab) unresolved(site int) (func() error, error) {
	if l.o.Gateway == Apache {
		return l.askAt(site, NoSuchHost+":9000")
	}
	dns, err := l.resolver()
	if err != nil {
		return nil, err
	}
	s := l.sites[site]
	pass := s.Socket
	if filepath.IsAbs(pass) {
		pass = "unix:" + pass
	}
	// Only a name in a variable is resolved when a request comes.
	return l.reconfigure(l.VhostConfig(site), replacing("fastcgi_pass "+pass+";",
		"resolver "+dns.Address()+" valid=1s;\n\t\tresolver_timeout 2s;\n\t\tset $php "+NoSuchHost+";\n\t\tfastcgi_pass $php:9000;"))
}

// impatient lets the gateway wait only so long for PHP.
func (l *Lab) impatient(site int, patience time.Duration) (func() error, error) {
	if l.o.Gateway == Apache {
		return l.reconfigure(l.VhostConfig(site), after("CustomLog", "\tProxyTimeout "+fmt.Sprint(int(patience.Seconds()))))
	}
	return l.reconfigure(l.VhostConfig(site), after("fastcgi_index", "\t\tfastcgi_read_timeout "+seconds(patience)+";"))
}

// caching gives nginx a cache with the lines of WordOps (field.md §1.6), and fills it.
func (l *Lab) caching(site int, f Fault) (func() error, error) {
	if l.o.Gateway == Apache {
		return nil, errors.New("only the lab's nginx keeps a cache")
	}
	zone := "LAB" + fmt.Sprint(site)
	lines := "\t\tfastcgi_cache " + zone + ";\n\t\tfastcgi_cache_key \"$scheme$request_method$host$request_uri\";\n" +
		"\t\tfastcgi_ignore_headers Cache-Control Expires Set-Cookie;\n\t\tadd_header X-Cache $upstream_cache_status always;\n"
	if f == StaleCache {
		lines += "\t\tfastcgi_cache_valid 200 1s;\n\t\tfastcgi_cache_use_stale error timeout invalid_header updating http_500 http_503;"
	} else {
		lines += "\t\tfastcgi_cache_valid 200 302 1m;\n\t\tfastcgi_cache_valid 499 502 503 10m;\n\t\tfastcgi_cache_valid any 1h;"
	}
	cache := filepath.Join(l.Dir, "tmp", "nginx-cache")
	restore, err := l.reconfigure(l.VhostConfig(site), func(text string) string {
		return fmt.Sprintf("fastcgi_cache_path %s levels=1:2 keys_zone=%s:1m inactive=60m;\n", cache, zone) + after("fastcgi_index", lines)(text)
	})
	if err != nil {
		return nil, err
	}
	undo := func() error {
		return errors.Join(l.StartFPM(), restore(), os.RemoveAll(cache))
	}
	ask := func() error {
		_, _, err := l.GetURL(context.Background(), l.sites[site].URL+"/")
		return err
	}
	if f == StaleCache {
		if err := errors.Join(ask(), l.StopFPM()); err != nil {
			return nil, errors.Join(err, undo())
		}
		time.Sleep(2100 * time.Millisecond) // the page in the cache is no longer fresh then
		return undo, nil
	}
	if f == CachedFatal {
		code, _ := Fatal.code()
		mend, err := l.spoil(filepath.Join(l.sites[site].Content, "plugins", Slug(1)), Slug(1)+".php", strings.ReplaceAll(code, "NAME", identifier(Slug(1))))
		if err != nil {
			return nil, errors.Join(err, undo())
		}
		if err := errors.Join(ask(), mend()); err != nil {
			return nil, errors.Join(err, undo())
		}
		return undo, nil
	}
	if err := errors.Join(l.StopFPM(), ask(), l.StartFPM()); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

func (l *Lab) foreignHtaccess(site int) (func() error, error) {
	if l.o.Gateway != Apache {
		return nil, errors.New("only Apache reads .htaccess")
	}
	return l.edit(l.sites[site].Root, ".htaccess", func(before string) string {
		return "php_value memory_limit 256M\n" + before
	})
}
