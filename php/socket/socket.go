// Package socket connects to where a configuration of the host's says that a server listens.
//
// It refuses to know what is said there. Its invariant: a Unix socket that is reached by way of what somebody else than
// root may put there is the one that was bound at that very name. Whoever owns the folder of a pool's socket could else
// make it a link, and have root talk to a socket of the system's, or run his script in another's pool.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrElsewhere says that a path led to the socket of a server that listens somewhere else.
var ErrElsewhere = errors.New("the socket is another's")

// Dial connects to addr on network, "unix" or "tcp". Nothing has been sent or read when it returns; an error is that of
// [net.Dialer.DialContext], or wraps [ErrElsewhere].
func Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil || network != "unix" {
		return conn, err
	}
	if err := atName(conn, addr); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func atName(conn net.Conn, addr string) error {
	bound, err := boundAt(conn)
	if err != nil {
		return fmt.Errorf("%w: where it was bound is not known: %w", ErrElsewhere, err)
	}
	if bound == addr || strings.HasPrefix(addr, "@") {
		return nil
	}
	if meant, err := byRoot(addr); err != nil || meant != bound {
		return fmt.Errorf("%w: %s leads to what listens at %q", ErrElsewhere, addr, bound)
	}
	return nil
}

// boundAt is the name that the server gave its socket. The kernel keeps it, whatever becomes of the path (unix(7),
// getpeername).
func boundAt(conn net.Conn) (string, error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return "", errors.ErrUnsupported
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return "", err
	}
	var name unix.Sockaddr
	if cerr := raw.Control(func(fd uintptr) { name, err = unix.Getpeername(int(fd)) }); cerr != nil {
		return "", cerr
	}
	if err != nil {
		return "", err
	}
	if at, ok := name.(*unix.SockaddrUnix); ok {
		return at.Name, nil
	}
	return "", fmt.Errorf("%T is no name of a Unix socket", name)
}

// maxLinks is how many the kernel follows (path_resolution(7)).
const maxLinks = 40

// byRoot is what a path leads to by links of root's alone, like /var/run.
func byRoot(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s is no absolute path", path)
	}
	at, rest, links := "/", strings.Split(filepath.Clean(path), "/"), 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if err != nil {
			return "", err
		}
		if info.Mode()&os.ModeSymlink == 0 {
			at = next
			continue
		}
		if sys, ok := info.Sys().(*syscall.Stat_t); !ok || sys.Uid != 0 {
			return "", fmt.Errorf("%s is a link of another's than root's", next)
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%s: %w", path, syscall.ELOOP)
		}
		to, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return at, nil
}
