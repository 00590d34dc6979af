package wp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// dialTCPAs connects as another user: the packet filter of a host may let root
// go where its customers may not (iptables' owner match and nftables' skuid look
// at who made the socket).
func dialTCPAs(ctx context.Context, uid uint32, addr string) (net.Conn, error) {
	as, err := identityOf(uid)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	err = &net.AddrError{Err: "no address", Addr: host}
	for _, ip := range found {
		to := netip.AddrPortFrom(ip.Unmap(), uint16(port))
		var conn net.Conn
		if conn, err = connectTCP(ctx, as, to); err == nil {
			return conn, nil
		}
		err = &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

func connectTCP(ctx context.Context, as credentials, to netip.AddrPort) (net.Conn, error) {
	family, peer := unix.AF_INET, unix.Sockaddr(nil)
	if to.Addr().Is4() {
		peer = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		zone, err := zoneOf(to.Addr().Zone())
		if err != nil {
			return nil, err
		}
		family, peer = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16(), ZoneId: zone}
	}
	fd, err := connectAs(as, func() (int, error) {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return -1, os.NewSyscallError("socket", err)
		}
		if err := unix.Connect(fd, peer); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			unix.Close(fd)
			return -1, os.NewSyscallError("connect", err)
		}
		return fd, nil
	})
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "tcp")
	defer f.Close()
	if err := connected(ctx, f); err != nil {
		return nil, err
	}
	return net.FileConn(f)
}

func zoneOf(name string) (uint32, error) {
	if name == "" {
		return 0, nil
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return uint32(i.Index), nil
}

// connected waits for the end of a connect that has begun.
func connected(ctx context.Context, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		_ = f.SetWriteDeadline(time.Unix(1, 0)) // a file that is closed waits no more
	})
	defer stop()
	var failed error
	err = raw.Write(func(fd uintptr) (done bool) {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		switch {
		case err != nil:
			failed = os.NewSyscallError("getsockopt", err)
			return true
		case code != 0:
			failed = os.NewSyscallError("connect", unix.Errno(code))
			return true
		}
		// ENOTCONN: it is still under way.
		_, err = unix.Getpeername(int(fd))
		return err == nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed != nil {
		return failed
	}
	return err
}
