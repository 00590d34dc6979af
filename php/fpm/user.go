package fpm

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
)

// User is the user and the group that the pool's workers run as, by the rules of fpm_unix_conf_wp: digits are an id;
// without a group it is the user's own. A pool that runs as root is an error: no site's code runs as root.
func (p Pool) User() (uid, gid uint32, err error) { return p.UserOf(nil) }

// UserOf is User, for many pools: by what is known of the host's users; nil: nothing.
func (p Pool) UserOf(known *Users) (uid, gid uint32, err error) {
	uid, gid, err = p.user(known)
	if err != nil {
		return 0, 0, fmt.Errorf("pool %s: %w", p.Name, err)
	}
	return uid, gid, nil
}

func (p Pool) user(known *Users) (uid, gid uint32, err error) {
	name, _ := p.Get("user")
	if name == "" {
		return 0, 0, errors.New("no user is set")
	}
	var account *user.User
	if isID(name) {
		if uid, err = parseID(name); err != nil {
			return 0, 0, fmt.Errorf("user %s: %w", name, err)
		}
		if group, _ := p.Get("group"); group == "" {
			account, err = known.numbered(strconv.FormatUint(uint64(uid), 10))
		}
	} else if account, err = known.named(name); err == nil {
		uid, err = parseID(account.Uid)
	}
	if err != nil && !(isID(name) && account == nil) {
		return 0, 0, fmt.Errorf("user %s: %w", name, err)
	}
	if uid == 0 {
		return 0, 0, fmt.Errorf("user %s is root", name)
	}
	group, _ := p.Get("group")
	switch {
	case isID(group):
		gid, err = parseID(group)
	case group != "":
		var id string
		if id, err = known.group(group); err == nil {
			gid, err = parseID(id)
		}
	case account != nil:
		gid, err = parseID(account.Gid)
	default:
		return 0, 0, fmt.Errorf("user %s has no account and no group is set", name)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("group %s: %w", group, err)
	}
	return uid, gid, nil
}

func isID(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}
