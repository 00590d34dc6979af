package fpm

import (
	"errors"
	"fmt"
	"os/user"
	"testing"

	"wpmend/php/account"
)

func TestPoolUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		user, group string
		uid, gid    uint32
		err         string
	}{
		{user: "www-data", uid: 33, gid: 33},
		{user: "33", uid: 33, gid: 33},
		{user: "www-data", group: "adm", uid: 33, gid: 4},
		{user: "www-data", group: "60001", uid: 33, gid: 60001},
		{user: "60001", group: "www-data", uid: 60001, gid: 33},
		{user: "sync", uid: 4, gid: 65534},
		{err: "pool p: no user is set"},
		{user: "root", err: "pool p: user root is root"},
		{user: "0", err: "pool p: user 0 is root"},
		{user: "00", group: "33", err: "pool p: user 00 is root"},
		{user: "60001", err: "pool p: user 60001 has no account and no group is set"},
		{user: "4294967296", group: "33", err: `pool p: user 4294967296: strconv.ParseUint: parsing "4294967296": value out of range`},
		{user: "nobody-such", err: "pool p: user nobody-such: user: unknown user nobody-such"},
		{user: "-1", err: "pool p: user -1: user: unknown user -1"},
		{user: "www-data", group: "none-such", err: "pool p: group none-such: group: unknown group none-such"},
	} {
		p := Pool{Name: "p", Directives: []Directive{{Key: "user", Value: c.user}, {Key: "group", Value: c.group}}}
		uid, gid, err := p.User()
		got := ""
		if err != nil {
			got = err.Error()
		}
		if uid != c.uid || gid != c.gid || got != c.err {
			t.Errorf("%s:%s is %d:%d, %s; want %d:%d, %s", c.user, c.group, uid, gid, got, c.uid, c.gid, c.err)
		}
	}
}

// A directory service that knows a name of the files by another uid, or one of their uids by another name, changes
// nothing of what the files say.
func TestFilesComeFirst(t *testing.T) {
	t.Parallel()
	u := parseAccounts("root:x:0:0::/root:\nwww-data:x:33:33::/:\n", "")
	u.learn(&user.User{Username: "www-data", Uid: "5000", Gid: "5000"})
	u.learn(&user.User{Username: "alice", Uid: "33", Gid: "5000"})
	for _, ask := range []func() (*user.User, error){func() (*user.User, error) { return u.named("www-data") }, func() (*user.User, error) { return u.numbered("33") }} {
		if a, err := ask(); err != nil || a.Username != "www-data" || a.Uid != "33" {
			t.Errorf("%+v, %v", a, err)
		}
	}
	if name := u.Login(5000); name != "www-data" {
		t.Errorf("5000 is %q", name)
	}
}

// A directory service that does not answer is asked once, not once for each of thousands.
func TestSlowServiceIsAskedOnce(t *testing.T) {
	t.Parallel()
	u := parseAccounts("", "")
	times := 0
	slow := func(string) (*user.User, error) {
		times++
		return nil, fmt.Errorf("unknown: %w", account.ErrSlow)
	}
	files := func(string) (*user.User, error) { return nil, errors.New("unknown") }
	for n := range 10 {
		if a, err := asked(u, slow, files, fmt.Sprint(n)); err == nil {
			t.Errorf("%+v", a)
		}
	}
	if times != 1 {
		t.Errorf("asked %d times", times)
	}
}
