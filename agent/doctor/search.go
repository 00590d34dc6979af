package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/agent/site"
	"wpmend/php/fpm"
)

const (
	// tries is how many file systems with sites get a private copy each.
	tries = 4
	// tryBound is how long one may take to come up.
	tryBound = 20 * time.Second
	// leastMemory is what a search should find free: some workers of WordPress.
	leastMemory = 256 << 20
)

// nobodys is what the doctor's private copies load first. They get no request.
var nobodys = []byte("<?php\n")

// search tries what a search needs: a private copy of a pool, with an overlay over the
// site's files, in a mount namespace of its own. No request is sent to it, so no code of
// the site runs.
func (h *host) search(ctx context.Context) []Finding {
	s := &sheet{area: "search"}
	judgeNamespaces(s, func(name string) (int, error) {
		text, err := os.ReadFile("/proc/sys/user/" + name)
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(string(text)))
	})
	dir, err := os.MkdirTemp("/run", "wpmend-doctor-")
	if err != nil {
		s.bad("private copy", "df -h /run", "no folder for a private copy can be made: %v", err)
		return s.findings
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil { // as shadow.Dir: pools' users pass through
		s.unknown("private copy", "", "%v", err)
		return s.findings
	}
	sites := h.oneOfEach()
	for _, x := range sites {
		started := time.Now()
		err := try(ctx, dir, x)
		judgeTry(s, x, time.Since(started), err)
	}
	if len(sites) == 0 {
		s.unknown("private copy", "", "there is no site with a running pool to try one with")
	}
	judgeMemory(s)
	return s.findings
}

// oneOfEach is a site for each file system that sites lie on.
func (h *host) oneOfEach() (sites []site.Site) {
	seen := map[uint64]bool{}
	for _, x := range h.found.Sites {
		var st unix.Stat_t
		if x.Handler != site.FPM || x.Master.Process.PID == 0 || x.Unserved() != nil || unix.Stat(x.Root, &st) != nil || seen[st.Dev] || len(sites) == tries {
			continue
		}
		seen[st.Dev] = true
		sites = append(sites, x)
	}
	return sites
}

func try(ctx context.Context, dir string, x site.Site) error {
	ctx, cancel := context.WithTimeout(ctx, tryBound)
	defer cancel()
	real, err := filepath.EvalSymlinks(x.Root)
	if err != nil {
		return err
	}
	copied, err := fpm.StartPrivate(ctx, x.Master, x.Pool, fpm.PrivateOptions{Dir: dir, Prepend: nobodys, Workers: 1, SlowlogTimeout: time.Second, Overlays: []fpm.Overlay{{Dir: real}}})
	if err != nil {
		return err
	}
	return copied.Close()
}

func judgeTry(s *sheet, x site.Site, took time.Duration, err error) {
	const check = "private copy"
	on := fmt.Sprintf("of pool [%s], over %s", x.Pool.Name, x.Root)
	switch {
	case err == nil:
		s.ok(check, "one %s, came up with its overlay in %d ms and is gone again", on, took.Milliseconds())
	case errors.Is(err, fpm.ErrNoOverlay):
		s.warn(check, "modprobe overlay; in a container: give it CAP_SYS_ADMIN, or run wpmend outside. Plugins and themes can be searched all the same",
			"one %s, has no overlay: must-use plugins and drop-ins such as db.php cannot be searched there: %v", on, err)
	default:
		s.bad(check, "what PHP-FPM says there has to be put right: plugins at fault cannot be searched without touching the live site", "one %s, does not start: %v", on, err)
	}
}

// judgeNamespaces looks at the bounds of user_namespaces(7) and its kin, which hardening guides set to 0.
func judgeNamespaces(s *sheet, limit func(name string) (int, error)) {
	ok := true
	for _, name := range []string{"max_mnt_namespaces", "max_pid_namespaces"} {
		if n, err := limit(name); err == nil && n < 16 {
			ok = false
			s.bad("namespaces", fmt.Sprintf("sysctl -w user.%s=1024, and the file in /etc/sysctl.d that set it", name), "user.%s is %d: the private copies that searches need cannot be made", name, n)
		}
	}
	if ok {
		s.ok("namespaces", "as many as private copies need")
	}
}

func judgeMemory(s *sheet) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		s.unknown("memory", "", "how much is free cannot be read: %v", err)
		return
	}
	kilobytes, err := strconv.ParseUint(strings.TrimSuffix(field(string(text), "MemAvailable"), " kB"), 10, 64)
	switch free := kilobytes << 10; {
	case err != nil:
		s.unknown("memory", "", "how much is free cannot be read")
	case free < leastMemory:
		s.warn("memory", "free -m; ps aux --sort=-rss | head", "%s are available: a private copy of a pool may not have enough for a search", size(free))
	default:
		s.ok("memory", "%s available", size(free))
	}
}
