// Package account knows the users and groups of this host, those of a directory service too (LDAP, SSSD, NIS,
// systemd-userdb): a Go program without C reads /etc/passwd and /etc/group alone, so that what is not in these is asked
// of getent(1), which goes by nsswitch.conf(5).
//
// Invariant: an answer names what was asked for; what getent says of anything else is no answer.
package account

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"os/user"
	"strings"
	"time"
)

const (
	getent = "/usr/bin/getent"
	// patience is how long a directory service may take: whoever asks goes on without a name after that.
	patience = 5 * time.Second
	maxLine  = 1 << 20 // a group may name all of a company
)

// Lookup finds a user by its login name.
func Lookup(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return u, nil
	}
	if f, known := ask("passwd", name, func(f []string) bool { return f[0] == name }); known {
		return userOf(f)
	}
	return nil, err
}

// LookupID finds a user by its uid in decimal.
func LookupID(uid string) (*user.User, error) {
	u, err := user.LookupId(uid)
	if err == nil {
		return u, nil
	}
	if f, known := ask("passwd", uid, func(f []string) bool { return f[2] == uid }); known {
		return userOf(f)
	}
	return nil, err
}

// LookupGroup finds a group by its name.
func LookupGroup(name string) (*user.Group, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return g, nil
	}
	if f, known := ask("group", name, func(f []string) bool { return f[0] == name }); known {
		return &user.Group{Name: f[0], Gid: f[2]}, nil
	}
	return nil, err
}

// userOf reads a line of passwd(5).
func userOf(f []string) (*user.User, error) {
	if len(f) < 6 || !digits(f[3]) {
		return nil, fmt.Errorf("getent passwd: %q is no line of passwd(5)", strings.Join(f, ":"))
	}
	return &user.User{Username: f[0], Uid: f[2], Gid: f[3], Name: f[4], HomeDir: f[5]}, nil
}

// ask gives the fields of the entry that getent finds, if it is the one that was meant: a name of digits is an id for it.
func ask(database, key string, meant func(fields []string) bool) (fields []string, known bool) {
	if key == "" || strings.ContainsAny(key, ":\n\x00") {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, getent, "--", database, key).Output()
	if err != nil || len(out) > maxLine { // no such entry, no such service, no getent: each is nobody of this name
		return nil, false
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	fields = strings.Split(string(line), ":")
	if len(fields) < 4 || fields[0] == "" || !digits(fields[2]) || !meant(fields) {
		return nil, false
	}
	return fields, true
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
