package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ownFiles is what the service has open besides the logs, with room for a search.
const ownFiles = 256

// kernel is what the kernel allows, and what is used of it.
type kernel struct {
	watches, instances int // fs.inotify.max_user_*; 0: unknown
	used, inUse        int // of root's: watches, instances
	folders, logs      int // that are to be watched, and followed
	files              uint64
	service            bool // files is the service's own limit
	watching           bool // the service runs: its own are among those in use
}

func (h *host) limits(ctx context.Context) []Finding {
	k := kernel{logs: len(h.files), watching: h.running != 0}
	folders := map[string]bool{}
	for _, f := range h.files {
		folders[filepath.Dir(f)] = true
	}
	k.folders = len(folders)
	k.watches, k.instances = setting("fs/inotify/max_user_watches"), setting("fs/inotify/max_user_instances")
	k.used, k.inUse = inotify()
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &own) == nil {
		k.files = own.Max
	}
	if exists("/run/systemd/system") {
		if known, err := properties(ctx, unitName, []string{"LoadState", "LimitNOFILE"}); err == nil && known["LoadState"] == "loaded" {
			if n, err := strconv.ParseUint(known["LimitNOFILE"], 10, 64); err == nil {
				k.files, k.service = n, true
			}
		}
	}
	s := &sheet{area: "limits"}
	judgeKernel(s, k)
	return s.findings
}

func setting(name string) int {
	text, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return n
}

// inotify counts root's watches and instances, by /proc/PID/fdinfo (proc(5)). What ends
// meanwhile is not counted.
func inotify() (watches, instances int) {
	// The patterns are our own.
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err != nil || to != "anon_inode:inotify" {
			continue
		}
		process := filepath.Dir(filepath.Dir(link))
		var st unix.Stat_t
		if unix.Stat(process, &st) != nil || st.Uid != 0 {
			continue
		}
		text, err := os.ReadFile(filepath.Join(process, "fdinfo", filepath.Base(link)))
		if err != nil {
			continue
		}
		instances++
		watches += strings.Count(string(text), "inotify wd:")
	}
	return watches, instances
}

func judgeKernel(s *sheet, k kernel) {
	more, one := k.folders, 1
	if k.watching {
		more, one = 0, 0 // it has its own already
	}
	switch {
	case k.watches == 0 || k.instances == 0:
		s.unknown("inotify", "", "the kernel's bounds cannot be read; without watches the logs are looked at every two seconds")
	case k.used+more > k.watches:
		s.warn("inotify", raise("max_user_watches", 2*(k.used+k.folders)), "fs.inotify.max_user_watches is %d, root uses %d, and the logs lie in %s: those without a watch are looked at every two seconds, which is slower and costs more", k.watches, k.used, count(k.folders, "folder"))
	case k.inUse+one > k.instances:
		s.warn("inotify", raise("max_user_instances", 2*k.instances), "fs.inotify.max_user_instances is %d, and root uses %d: the logs are looked at every two seconds instead, which is slower and costs more", k.instances, k.inUse)
	default:
		s.ok("inotify", "%s for the logs; root uses %d of %d watches and %d of %d instances", count(k.folders, "folder"), k.used, k.watches, k.inUse, k.instances)
	}
	whose := "this shell's"
	if k.service {
		whose = "the service's"
	}
	switch need := uint64(k.logs + ownFiles); {
	case k.files == 0:
		s.unknown("open files", "", "the bound cannot be read")
	case need > k.files:
		s.bad("open files", fmt.Sprintf("systemctl edit wpmend, and under [Service]: LimitNOFILE=%d", max(65536, 2*need)), "%s bound is %d, and with %s some %d are needed: logs beyond that are not followed", whose, k.files, count(k.logs, "log"), need)
	default:
		s.ok("open files", "%s bound is %d, some %d are needed", whose, k.files, need)
	}
}

func raise(name string, to int) string {
	n := max(to, map[string]int{"max_user_watches": 65536, "max_user_instances": 512}[name])
	return fmt.Sprintf("echo fs.inotify.%s = %d > /etc/sysctl.d/60-wpmend.conf && sysctl --system", name, n)
}
