package fpm

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
)

// Users are the users and groups of this host's own files, at one moment.
type Users struct {
	byName, byID map[string]user.User
	groups       map[string]string // id by name
}

// Accounts is the host's list of users and groups as it is now, for looking up many: to look up one, the whole list is
// read each time. What is not in the files is asked for as usual.
func Accounts() (*Users, error) {
	users, err := os.ReadFile("/etc/passwd")
	groups, err2 := os.ReadFile("/etc/group")
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("read the list of users: %w", err)
	}
	return parseAccounts(string(users), string(groups)), nil
}

// parseAccounts reads passwd(5) and group(5); of several entries of one name or id the first counts (getpwnam(3)).
func parseAccounts(users, groups string) *Users {
	u := &Users{byName: map[string]user.User{}, byID: map[string]user.User{}, groups: map[string]string{}}
	for line := range strings.Lines(users) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 4 || !accountLine(f[0]) || !isID(f[2]) || !isID(f[3]) {
			continue
		}
		a := user.User{Username: f[0], Uid: f[2], Gid: f[3]}
		if _, twice := u.byName[a.Username]; !twice {
			u.byName[a.Username] = a
		}
		if _, twice := u.byID[a.Uid]; !twice {
			u.byID[a.Uid] = a
		}
	}
	for line := range strings.Lines(groups) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 3 || !accountLine(f[0]) || !isID(f[2]) {
			continue
		}
		if _, twice := u.groups[f[0]]; !twice {
			u.groups[f[0]] = f[2]
		}
	}
	return u
}

// accountLine: a line of the list, not a comment or one of NIS (nsswitch.conf(5), compat).
func accountLine(name string) bool {
	return name != "" && !strings.ContainsAny(name[:1], "#+-")
}

// named, numbered and group are those of the files, else what else the host knows. A nil Users knows no files.

func (u *Users) named(name string) (*user.User, error) {
	if u != nil {
		if a, ok := u.byName[name]; ok {
			return &a, nil
		}
	}
	return user.Lookup(name)
}

func (u *Users) numbered(id string) (*user.User, error) {
	if u != nil {
		if a, ok := u.byID[id]; ok {
			return &a, nil
		}
	}
	return user.LookupId(id)
}

func (u *Users) group(name string) (id string, err error) {
	if u != nil {
		if id, ok := u.groups[name]; ok {
			return id, nil
		}
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}
