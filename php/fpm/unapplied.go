package fpm

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// unapplied names what the configuration wants of sockets that exist already: FPM takes them over as they are when it
// is reloaded (fpm_sockets_get_listening_socket), so that takes a restart.
func (m Master) unapplied() []string {
	var notes []string
	for _, p := range m.Pools {
		a := p.Listen()
		if a.Network != "unix" {
			continue
		}
		info, err := os.Lstat(a.Addr)
		if err != nil {
			continue
		}
		if want, ok := p.socketMode(); ok && info.Mode().Perm() != want {
			notes = append(notes, fmt.Sprintf("listen.mode of pool %s is %04o, its socket has %04o: that takes a restart", p.Name, want, info.Mode().Perm()))
		}
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			if uid, gid, ok := p.socketOwner(); ok && (uid != sys.Uid || gid != sys.Gid) {
				notes = append(notes, fmt.Sprintf("listen.owner and listen.group of pool %s are %d:%d, its socket has %d:%d: that takes a restart", p.Name, uid, gid, sys.Uid, sys.Gid))
			}
		}
	}
	return notes
}

// socketMode is listen.mode, 0660 where it is unset (fpm_unix_resolve_socket_permissions); unknown where an access
// control list decides.
func (p Pool) socketMode() (os.FileMode, bool) {
	if p.socketACL() {
		return 0, false
	}
	text, _ := p.Get("listen.mode")
	if text == "" {
		return 0o660, true
	}
	mode, err := strconv.ParseUint(text, 8, 9)
	return os.FileMode(mode), err == nil
}

func (p Pool) socketACL() bool {
	users, _ := p.Get("listen.acl_users")
	groups, _ := p.Get("listen.acl_groups")
	return users != "" || groups != ""
}

// socketOwner are listen.owner and listen.group, root's where they are unset.
func (p Pool) socketOwner() (uid, gid uint32, ok bool) {
	if p.socketACL() {
		return 0, 0, false
	}
	owner, _ := p.Get("listen.owner")
	group, _ := p.Get("listen.group")
	uid, okUID := idOf(owner, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	gid, okGID := idOf(group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	// An owner without a group brings his own, as useradd gave it.
	if owner != "" && group == "" {
		u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
		if err != nil {
			return 0, 0, false
		}
		gid, err = parseID(u.Gid)
		okGID = err == nil
	}
	return uid, gid, okUID && okGID
}

func idOf(name string, look func(string) (string, error)) (uint32, bool) {
	if name == "" {
		return 0, true
	}
	if !isID(name) {
		id, err := look(name)
		if err != nil {
			return 0, false
		}
		name = id
	}
	id, err := parseID(name)
	return id, err == nil
}
