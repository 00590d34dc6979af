package fpm

import "testing"

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
