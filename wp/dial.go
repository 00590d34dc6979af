package wp

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// dialer connects to a site's database for the site's owner.
type dialer struct {
	owner uint32
	limit *limiter
}

func (d dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var conn net.Conn
	var err error
	switch {
	case d.owner == 0 || os.Geteuid() != 0:
		conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
	case network == "unix":
		conn, err = dialAs(ctx, d.owner, addr)
	default:
		conn, err = dialTCPAs(ctx, d.owner, addr)
	}
	if err != nil {
		return nil, err
	}
	d.limit.dialled(conn, false)
	return &limitedConn{Conn: conn, limit: d.limit}, nil
}

// dialAs connects to a socket as another user. The kernel checks the path with
// that user's rights and tells the server that user's id, as unix(7) describes
// SO_PEERCRED: root's would open any account that trusts the id alone.
func dialAs(ctx context.Context, uid uint32, path string) (net.Conn, error) {
	as, err := identityOf(uid)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: err}
	}
	for {
		fd, err := connectAs(as, func() (int, error) { return connectSocket(path) })
		if err == nil {
			f := os.NewFile(uintptr(fd), path)
			defer f.Close()
			return net.FileConn(f)
		}
		if err != unix.EAGAIN { // EAGAIN: the server's queue is full
			return nil, &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: os.NewSyscallError("connect", err)}
		}
		select {
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: ctx.Err()}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

type credentials struct {
	uid, gid int
	groups   []uint32
}

func identityOf(uid uint32) (credentials, error) {
	const nogroup = 65534
	as := credentials{uid: int(uid), gid: nogroup}
	u, err := user.LookupId(strconv.Itoa(int(uid)))
	if err != nil {
		// A user without a name owns files all the same.
		return as, nil
	}
	if as.gid, err = strconv.Atoi(u.Gid); err != nil {
		return as, fmt.Errorf("group of user %s: %w", u.Username, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return as, fmt.Errorf("groups of user %s: %w", u.Username, err)
	}
	for _, id := range ids {
		g, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return as, fmt.Errorf("groups of user %s: %w", u.Username, err)
		}
		as.groups = append(as.groups, uint32(g))
	}
	return as, nil
}

// connectAs changes one thread's effective ids while a socket is made and
// connects. The real and the saved id stay root's, so the user cannot signal or
// trace the thread.
func connectAs(as credentials, connect func() (int, error)) (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		fd, err = -1, unix.EPERM
		before, gerr := unix.Getgroups()
		if gerr != nil {
			err = gerr
			runtime.UnlockOSThread()
			return
		}
		root := make([]uint32, len(before))
		for i, g := range before {
			root[i] = uint32(g)
		}
		if err = become(as.groups, as.gid, as.uid); err == nil {
			fd, err = connect()
		}
		// A thread that cannot become root again must not serve another
		// goroutine: it stays locked and ends with this one.
		if back := restore(root); back == nil {
			runtime.UnlockOSThread()
		}
	}()
	<-done
	return fd, err
}
