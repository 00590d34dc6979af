package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A site's disk with less than that is full for it: uploads, sessions and caches fail.
	leastSite  = 64 << 20
	littleSite = 1 << 30
)

// disks looks at the file systems that the sites, their temporary files and the logs lie on.
func (h *host) disks(context.Context) []Finding {
	s := &sheet{area: "disks"}
	paths := []string{"/", "/tmp", "/var/tmp", "/run"}
	for _, x := range h.found.Sites {
		paths = append(paths, x.Root)
	}
	for _, f := range h.files {
		paths = append(paths, filepath.Dir(f))
	}
	seen := map[uint64]bool{}
	fine := 0
	for _, path := range paths {
		var st unix.Stat_t
		var v unix.Statfs_t
		if unix.Stat(path, &st) != nil || seen[st.Dev] || unix.Statfs(path, &v) != nil {
			continue
		}
		seen[st.Dev] = true
		if !judgeDisk(s, path, v.Bavail*uint64(v.Bsize), v.Blocks*uint64(v.Bsize), v.Ffree, v.Files) {
			fine++
		}
	}
	s.ok("disks", "%s with sites, logs and temporary files have room", count(fine, "file system"))
	return s.findings
}

// judgeDisk says whether a file system is full, or nearly so.
func judgeDisk(s *sheet, path string, free, all, inodes, ofInodes uint64) (short bool) {
	do := fmt.Sprintf("df -h %s; du -xh --max-depth=2 %s | sort -h | tail -20", path, path)
	switch {
	case ofInodes > 0 && inodes*100 < ofInodes:
		s.bad("disks, inodes", "df -i "+path+"; session and cache folders are the usual place", "the file system of %s has %d of %d inodes left: sites there fail soon", path, inodes, ofInodes)
	case free < leastSite && free*20 < all:
		s.bad("disks, room", do, "the file system of %s has %s left: sites there fail, or will soon", path, size(free))
	case free < littleSite && free*20 < all:
		s.warn("disks, room", do, "the file system of %s has only %s left of %s", path, size(free), size(all))
	default:
		return false
	}
	return true
}

// names asks the name server for one site's own name, as a check does.
func (h *host) names(ctx context.Context) []Finding {
	s := &sheet{area: "names"}
	if !h.config.Edge.Ask {
		s.ok("name server", "none is asked (edge.ask)%s", from(h.config, "edge.ask"))
		return s.findings
	}
	server := h.config.Edge.Resolver
	if server == "" {
		text, err := os.ReadFile("/etc/resolv.conf")
		if server = firstServer(string(text)); err != nil || server == "" {
			s.warn("name server", "a line \"nameserver ADDRESS\" in /etc/resolv.conf, or edge.resolver in wpmend.toml", "/etc/resolv.conf names none, so wpmend cannot tell whether a site's name leads here")
			return s.findings
		}
	}
	if len(h.found.Sites) == 0 {
		s.unknown("name server", "", "there is no site whose name could be asked")
		return s.findings
	}
	name, _, _ := strings.Cut(h.found.Sites[0].Domain, "/")
	judgeAnswer(s, server, name, ask(ctx, server, name))
	return s.findings
}

func ask(ctx context.Context, server, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
	}
	r := net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server)
	}}
	_, err := r.LookupIPAddr(ctx, name+".") // without the search list
	return err
}

func judgeAnswer(s *sheet, server, name string, err error) {
	wrong := (*net.DNSError)(nil)
	if e, ok := err.(*net.DNSError); ok {
		wrong = e
	}
	switch {
	case err == nil:
		s.ok("name server", "%s answers for %s", server, name)
	case wrong != nil && wrong.IsNotFound:
		s.ok("name server", "%s answers; it knows no %s", server, name)
	default:
		s.warn("name server", "dig @"+server+" "+name+"; edge.resolver in wpmend.toml names another, edge.ask = false asks none", "%s does not answer for %s, so wpmend cannot tell whether a site's name leads here: %v", server, name, err)
	}
}

// firstServer is the first name server of resolv.conf(5).
func firstServer(text string) string {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			return f[1]
		}
	}
	return ""
}
