// Package account knows the users and groups of this host, those of a directory service too (LDAP, SSSD, NIS,
// systemd-userdb): a Go program without C reads /etc/passwd and /etc/group alone, so that what is not in these is asked
// of getent(1), which goes by nsswitch.conf(5).
//
// Invariant: an answer names what was asked for; what getent says of anything else is no answer.
package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"os/user"
	"strings"
	"syscall"
	"time"
)

const (
	getent = "/usr/bin/getent"
	// patience is how long a directory service may take: whoever asks goes on without a name after that.
	patience = 5 * time.Second
	maxLine  = 1 << 20 // a group may name all of a company
)

// ErrSlow says that a directory service did not answer in time: whoever has many to look up had better not ask for the next.
var ErrSlow = errors.New("the host's directory of users (nsswitch.conf) does not answer")

// Lookup finds a user by its login name.
func Lookup(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return u, nil
	}
	f, asked := ask("passwd", name, func(f []string) bool { return f[0] == name })
	if asked != nil {
		return nil, missing(err, asked)
	}
	return userOf(f)
}

// LookupID finds a user by its uid in decimal.
func LookupID(uid string) (*user.User, error) {
	u, err := user.LookupId(uid)
	if err == nil {
		return u, nil
	}
	f, asked := ask("passwd", uid, func(f []string) bool { return f[2] == uid })
	if asked != nil {
		return nil, missing(err, asked)
	}
	return userOf(f)
}

// LookupGroup finds a group by its name.
func LookupGroup(name string) (*user.Group, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return g, nil
	}
	f, asked := ask("group", name, func(f []string) bool { return f[0] == name })
	if asked != nil {
		return nil, missing(err, asked)
	}
	return &user.Group{Name: f[0], Gid: f[2]}, nil
}

// missing is the error of what the files do not name, with that of who was asked next where it says more than that.
func missing(files, asked error) error {
	if errors.Is(asked, ErrSlow) {
		return fmt.Errorf("%w: %w", files, asked)
	}
	return files
}

// userOf reads a line of passwd(5).
func userOf(f []string) (*user.User, error) {
	if len(f) < 6 || !digits(f[3]) {
		return nil, fmt.Errorf("getent passwd: %q is no line of passwd(5)", strings.Join(f, ":"))
	}
	return &user.User{Username: f[0], Uid: f[2], Gid: f[3], Name: f[4], HomeDir: f[5]}, nil
}

// errNobody: getent knows no entry that was meant.
var errNobody = errors.New("no such entry")

// ask gives the fields of the entry that getent finds, if it is the one that was meant: a name of digits is an id for it.
func ask(database, key string, meant func(fields []string) bool) (fields []string, err error) {
	if key == "" || strings.ContainsAny(key, ":\n\x00") {
		return nil, errNobody
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, getent, "--", database, key)
	cmd.Env, cmd.Dir = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, "/" // the modules of a directory service run as root here
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out answer
	cmd.Stdout = &out
	switch err := cmd.Run(); {
	case ctx.Err() != nil:
		return nil, ErrSlow
	case err != nil: // no such entry, no such service, no getent: each is nobody of this name
		return nil, errNobody
	}
	line, _, _ := bytes.Cut(out.text, []byte("\n"))
	fields = strings.Split(string(line), ":")
	if len(fields) < 4 || fields[0] == "" || !digits(fields[2]) || !meant(fields) {
		return nil, errNobody
	}
	return fields, nil
}

// answer is what getent prints; more than maxLine of it ends getent.
type answer struct{ text []byte }

func (a *answer) Write(p []byte) (int, error) {
	if len(a.text)+len(p) > maxLine {
		return 0, errNobody
	}
	a.text = append(a.text, p...)
	return len(p), nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
