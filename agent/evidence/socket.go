package evidence

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/account"
	"wpmend/php/fpm"
	"wpmend/php/process"
	sockets "wpmend/php/socket"
)

// dialTimeout bounds a connect that nobody answers.
const dialTimeout = 2 * time.Second

// socket looks at the address where the gateway asks, as root and as the gateway's user.
func socket(s site.Site) diagnose.Socket {
	a := s.Address()
	found := diagnose.Socket{Address: a.Addr, Asked: a.Addr, Unix: a.Network == "unix", Queue: -1, Backlog: -1}
	if s.Asked.Addr != "" {
		found.Address = s.Candidate.Pool.Listen().Addr
	}
	if a.Addr == "" {
		return found
	}
	l, certain := listening(a)
	if !found.Unix && !nearby(s.Master) {
		l, certain = unknownListener, false
	}
	found.Queue, found.Backlog = l.queue, l.backlog
	// Where somebody listens for certain and others wait already, one more connection would prove nothing and take a place.
	if !certain || l.queue == 0 {
		found.Dial = dial(a, s, &found)
	}
	found.Peers = peers(s, a)
	if !found.Unix {
		return found
	}
	info, err := os.Lstat(a.Addr)
	if err != nil {
		return found
	}
	found.Exists, found.Mode, found.Owner = true, info.Mode().String(), owner(info)
	worker, ok := gatewayWorker(s)
	if !ok {
		return found
	}
	found.Gateway = userName(worker.UID)
	if acl(s) {
		return found // modes do not tell who may connect; the gateway's log does
	}
	found.Refused = !mayWrite(info, worker.UID, groups(worker.UID)) || !mayReach(a.Addr, worker.UID, groups(worker.UID))
	return found
}

// nearby: a master is in our network namespace, as far as is known, so that what listens here may be its own.
func nearby(m fpm.Master) bool {
	if m.Process.PID == 0 {
		return true
	}
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false
	}
	its, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(m.Process.PID), "ns/net"))
	return errors.Is(err, os.ErrNotExist) || its == own
}

// dial connects once. A connection that nobody has accepted yet tells on TCP whether FPM lets its kind in, and where no
// pool of ours is to be, who is there instead.
func dial(a fpm.Address, s site.Site, found *diagnose.Socket) error {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	conn, err := sockets.Dial(ctx, a.Network, a.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if from, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		found.Allowed, _ = s.Pool.Get("listen.allowed_clients")
		found.Disallowed = !allowed(found.Allowed, from.IP)
	}
	if s.Master.Process.PID == 0 || !s.Master.Process.Alive() {
		found.HTTP = speaksHTTP(conn)
	}
	return nil
}

// allowed follows fcgi_is_allowed: "" and "any" let everybody in. The gateway connects from the same address of this host
// as we do, which the kernel chooses.
func allowed(clients string, from net.IP) bool {
	if clients == "" {
		return true
	}
	return slices.ContainsFunc(strings.FieldsFunc(clients, func(r rune) bool { return r == ',' || r == ' ' }), func(c string) bool {
		ip := net.ParseIP(c)
		return c == "any" || ip != nil && ip.Equal(from)
	})
}

// speaking is how long whoever accepted may take for its first byte.
const speaking = 300 * time.Millisecond

// speaksHTTP asks, in FastCGI, what the other end can do (FCGI_GET_VALUES, which runs no script). A web server takes it
// for a broken request and answers "HTTP/1.1 400"; the line ends that it waits for stand in the record's padding.
func speaksHTTP(conn net.Conn) bool {
	const name = "FCGI_MPXS_CONNS"
	record := append([]byte{1, 9, 0, 0, 0, 2 + byte(len(name)), 4, 0, byte(len(name)), 0}, name+"\r\n\r\n"...)
	if err := conn.SetDeadline(time.Now().Add(speaking)); err != nil {
		return false
	}
	if _, err := conn.Write(record); err != nil {
		return false
	}
	first := make([]byte, 1)
	n, _ := conn.Read(first)
	return n == 1 && first[0] == 'H'
}

// peers are the other addresses of the group that the location asks.
func peers(s site.Site, but fpm.Address) (found []diagnose.Peer) {
	for _, a := range slices.Concat(s.Location.Peers, s.Location.Backups) {
		if a == but || len(found) == maxPeers {
			continue
		}
		p := diagnose.Peer{Address: a.Addr}
		if l, certain := listening(a); !certain || l.queue == 0 {
			var conn net.Conn
			if conn, p.Dial = net.DialTimeout(a.Network, a.Addr, dialTimeout/4); p.Dial == nil {
				conn.Close()
			}
		}
		found = append(found, p)
	}
	return found
}

// maxPeers bounds how many of a group's addresses are looked at.
const maxPeers = 8

// acl reports whether the pool lets users in by name (RHEL's www.conf does).
func acl(s site.Site) bool {
	users, _ := s.Pool.Get("listen.acl_users")
	groups, _ := s.Pool.Get("listen.acl_groups")
	return users+groups != ""
}

// gatewayWorker is a child of the gateway's master: it is who connects.
func gatewayWorker(s site.Site) (process.Process, bool) {
	if s.Gateway.Process.PID == 0 {
		return process.Process{}, false
	}
	procs, err := process.List()
	if err != nil {
		return process.Process{}, false
	}
	for _, p := range procs {
		if p.PPID == s.Gateway.Process.PID {
			return p, true
		}
	}
	return process.Process{}, false
}

// mayWrite reports whether the mode lets uid connect: a unix socket needs the
// right to write (unix(7)). ACLs are not seen.
func mayWrite(info os.FileInfo, uid uint32, gids []uint32) bool {
	return allows(info, uid, gids, 0o2)
}

// mayReach reports whether uid may pass every folder above path.
func mayReach(path string, uid uint32, gids []uint32) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || !allows(info, uid, gids, 0o1) {
			return false
		}
		if dir == "/" {
			return true
		}
	}
}

func allows(info os.FileInfo, uid uint32, gids []uint32, bit os.FileMode) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case uid == 0:
		return true
	case !ok:
		return false
	case stat.Uid == uid:
		return info.Mode()&(bit<<6) != 0
	case slices.Contains(gids, stat.Gid):
		return info.Mode()&(bit<<3) != 0
	}
	return info.Mode()&bit != 0
}

func groups(uid uint32) []uint32 {
	u, err := account.LookupID(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	var gids []uint32
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			gids = append(gids, uint32(n))
		}
	}
	return gids
}

func userName(uid uint32) string {
	if u, err := account.LookupID(strconv.FormatUint(uint64(uid), 10)); err == nil {
		return u.Username
	}
	return strconv.FormatUint(uint64(uid), 10)
}

func owner(info os.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "?"
	}
	group := strconv.FormatUint(uint64(stat.Gid), 10)
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf("%s:%s", userName(stat.Uid), group)
}
