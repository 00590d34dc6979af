package evidence

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/process"
)

// dialTimeout bounds a connect that nobody answers (a full backlog on TCP).
const dialTimeout = 2 * time.Second

// socket looks at the pool's address as root and as the gateway's user.
func socket(s site.Site) diagnose.Socket {
	a := s.Pool.Listen()
	found := diagnose.Socket{Address: a.Addr, Unix: a.Network == "unix"}
	conn, err := net.DialTimeout(a.Network, a.Addr, dialTimeout)
	if err == nil {
		err = conn.Close()
	}
	found.Dial = err
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
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
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
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
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
