package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/user"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/agent"
	"wpmend/agent/site"
)

// Role says what a caller may do.
type Role string

// The roles: all; what concerns the own sites; nothing.
const (
	Admin  Role = "admin"
	Owner  Role = "owner"
	Nobody Role = "nobody"
)

// peer is who is at the other end of a connection, as the kernel says.
type peer struct {
	uid, gid uint32
	tcp      bool // nothing is known of it
}

// overflow is the uid of whoever the kernel cannot name here, one of another user
// namespace; see overflowuid in proc(5). It owns nothing.
const overflow = 65534

type peerKey struct{}

// peerOf asks the kernel who connected (SO_PEERCRED, unix(7)): who it was then, whatever
// the process has become.
func peerOf(c net.Conn) (peer, error) {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return peer{tcp: true}, nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return peer{}, fmt.Errorf("ask who connected: %w", err)
	}
	var cred *unix.Ucred
	err = raw.Control(func(fd uintptr) {
		var inner error
		if cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); inner != nil {
			cred = nil
		}
	})
	if err == nil && cred == nil {
		err = errors.New("the kernel does not say")
	}
	if err != nil {
		return peer{}, fmt.Errorf("ask who connected: %w", err)
	}
	return peer{uid: cred.Uid, gid: cred.Gid}, nil
}

// caller is who asks.
type caller struct {
	role  Role
	uid   uint32
	name  string // the login name, or "token"
	key   string // under which it is counted
	sites []site.Site
	// unseen says why the sites are not known.
	unseen error
	blind  *blindfold // nil: it may see all
}

type callerKey struct{}

func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	if c == nil {
		c = &caller{role: Nobody}
	}
	return c
}

// caller says who a peer is and what it may see.
func (s *Server) caller(ctx context.Context, p peer, token string) (*caller, error) {
	c := &caller{role: Nobody, uid: p.uid, key: strangers}
	switch {
	case p.tcp:
		if !s.token.is(token) {
			return nil, problem("unauthorized", "the token is missing or wrong", "send it as Authorization: Bearer TOKEN; it stands in the file that api.token_file names")
		}
		c.role, c.name, c.key = Admin, "token", "token"
	case s.isAdmin(p):
		c.role, c.name, c.key = Admin, loginName(p.uid), strconv.FormatUint(uint64(p.uid), 10)
	case p.uid == overflow:
		return c, nil
	}
	host, err := s.sight.now(ctx)
	if c.role == Admin {
		// What is wrong with the sites must not keep an administrator from the rest.
		c.sites, c.unseen = host.Sites, err
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	return c.among(host.Sites), nil
}

// among is the caller with what it owns of these.
func (c *caller) among(sites []site.Site) *caller {
	n := *c
	n.role, n.key, n.sites, n.blind = Nobody, strangers, nil, nil
	for _, s := range sites {
		if s.Owner == c.uid {
			n.sites = append(n.sites, s)
		}
	}
	if len(n.sites) > 0 {
		n.role, n.key, n.name, n.blind = Owner, strconv.FormatUint(uint64(c.uid), 10), loginName(c.uid), newBlindfold(n.sites, sites)
	}
	return &n
}

// find finds one of the sites that the caller may see; to an owner the others do not exist.
func (c *caller) find(name string) (site.Site, error) {
	if c.unseen != nil {
		return site.Site{}, c.unseen
	}
	return site.Find(c.sites, name)
}

// owns says whether a recorded site is the caller's: it lies where one of its sites does,
// and was its user's then.
func (c *caller) owns(ref agent.SiteRef) bool {
	if c.role == Admin {
		return true
	}
	return (ref.Owner == c.name || ref.Owner == strconv.FormatUint(uint64(c.uid), 10)) &&
		slices.ContainsFunc(c.sites, func(s site.Site) bool { return s.ID == ref.ID && s.Root == ref.Root })
}

// isAdmin says whether a peer is root or of the configured group.
func (s *Server) isAdmin(p peer) bool {
	return !p.tcp && (p.uid == 0 || p.uid != overflow && s.groups.member(s.o.Config().API.Group, p))
}

// roleOf says by what was seen last who a peer is: it only bounds connections.
func (s *Server) roleOf(p peer) Role {
	if s.isAdmin(p) {
		return Admin
	}
	host, err := s.sight.last()
	owns := func(at site.Site) bool { return at.Owner == p.uid }
	if err != nil || p.tcp || p.uid == overflow || !slices.ContainsFunc(host.Sites, owns) {
		return Nobody
	}
	return Owner
}

func loginName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// groups remembers for a moment who is a member of the configured group.
type groups struct {
	mu    sync.Mutex
	known map[membership]verdict
}

type membership struct {
	group string
	peer  peer
}

type verdict struct {
	member bool
	until  time.Time
}

const (
	groupsFor = 5 * time.Second
	groupsMax = 1024
)

func (g *groups) member(group string, p peer) bool {
	if group == "" {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	at, now := membership{group, p}, time.Now()
	if v, ok := g.known[at]; ok && now.Before(v.until) {
		return v.member
	}
	if g.known == nil || len(g.known) >= groupsMax {
		g.known = map[membership]verdict{}
	}
	v := verdict{isMember(group, p), now.Add(groupsFor)}
	g.known[at] = v
	return v.member
}

// isMember goes by the group that the peer's process ran as and by the user database.
func isMember(name string, p peer) bool {
	group, err := user.LookupGroup(name)
	if err != nil || group.Gid == "0" && p.uid != 0 {
		return false
	}
	if group.Gid == strconv.FormatUint(uint64(p.gid), 10) {
		return true
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(p.uid), 10))
	if err != nil {
		return false
	}
	ids, err := u.GroupIds()
	return err == nil && slices.Contains(ids, group.Gid)
}
