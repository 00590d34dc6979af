package fpm

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"wpmend/php/account"
)

// Users are the users and groups of this host's own files, at one moment.
type Users struct {
	byName, byID map[string]user.User
	groups       map[string]string // id by name
	missed       int               // what nobody knows, of what was asked for
	strangers    []string          // the login names among these
}

// mostMissed is how often a directory service is asked in vain: each time takes a process, and on a host whose pools run
// as uids without a name none of thousands is known. One that does not answer is not asked again.
const mostMissed = 100

// Accounts is the host's list of users and groups as it is now, for looking up many: to look up one, the whole list is
// read each time. What is not in the files is asked for as package account does. It is for one user at a time.
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
	a, err := asked(u, account.Lookup, user.Lookup, name)
	if err != nil && u != nil && len(u.strangers) < mostMissed && !slices.Contains(u.strangers, name) {
		u.strangers = append(u.strangers, strings.Clone(name))
	}
	u.learn(a)
	return a, err
}

func (u *Users) numbered(id string) (*user.User, error) {
	if u != nil {
		if a, ok := u.byID[id]; ok {
			return &a, nil
		}
	}
	a, err := asked(u, account.LookupID, user.LookupId, id)
	u.learn(a)
	return a, err
}

func (u *Users) group(name string) (id string, err error) {
	if u != nil {
		if id, ok := u.groups[name]; ok {
			return id, nil
		}
	}
	g, err := asked(u, account.LookupGroup, user.LookupGroup, name)
	if err != nil {
		return "", err
	}
	if u != nil {
		u.groups[name] = g.Gid
	}
	return g.Gid, nil
}

// asked asks the directory services too, unless they have been asked in vain often enough.
func asked[T any](u *Users, all, files func(string) (*T, error), key string) (*T, error) {
	if u == nil {
		return all(key)
	}
	if u.missed == mostMissed {
		return files(key)
	}
	a, err := all(key)
	switch {
	case errors.Is(err, account.ErrSlow):
		u.missed = mostMissed
	case err != nil:
		u.missed++
	}
	return a, err
}

// learn keeps what a directory service says, as far as the files do not say otherwise: they come first.
func (u *Users) learn(a *user.User) {
	if u == nil || a == nil {
		return
	}
	if _, known := u.byName[a.Username]; !known {
		u.byName[a.Username] = *a
	}
	if _, known := u.byID[a.Uid]; !known {
		u.byID[a.Uid] = *a
	}
}

// Strangers are login names that were asked for and that nobody knows; a directory service may know them later.
func (u *Users) Strangers() []string {
	if u == nil {
		return nil
	}
	return u.strangers
}

// Login is the login name of a uid, or the uid in decimal where it has none.
func (u *Users) Login(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if a, err := u.numbered(id); err == nil {
		return strings.Clone(a.Username) // the whole list of users would stay in memory for its sake
	}
	return id
}
