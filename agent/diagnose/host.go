package diagnose

import (
	"cmp"
	"fmt"
	"strings"
	"syscall"

	"wpmend/php/errlog"
)

// What counts as too much, as shares of the last ten seconds in which something had to wait (/proc/pressure) and as
// load per processor. They are far above what a healthy host shows at its peak.
const (
	cpuStall    = 0.4
	ioStall     = 0.6
	memoryStall = 0.4
	busyLoad    = 1.5
	// blindLoad is the load per processor that counts where the kernel keeps no pressure.
	blindLoad = 4
)

func (f Facts) pressed() string { return f.Host.Pressed() }

// Pressed says what of the host is at its limit, "" if nothing is.
func (h Host) Pressed() string {
	if h.CPUs == 0 {
		return ""
	}
	load := h.Load / float64(h.CPUs)
	switch {
	case h.CPUStall >= cpuStall && load >= busyLoad:
		return fmt.Sprintf("load %.1f on %d processors, work waits for one in %.0f %% of the time", h.Load, h.CPUs, 100*h.CPUStall)
	case h.CPUStall < 0 && load >= blindLoad:
		return fmt.Sprintf("load %.1f on %d processors", h.Load, h.CPUs)
	case h.IOStall >= ioStall:
		return fmt.Sprintf("work waits for the disks in %.0f %% of the time", 100*h.IOStall)
	}
	return ""
}

// resourceLimit is LiteSpeed's status for an account at the limits of its LVE ("Resource limit reached!").
const resourceLimit = 508

// overload: the host is pressed, and requests wait for workers that would work if they could. Workers that wait for
// something else fill a pool on an idle host just as well.
func overload(f Facts) (Cause, bool) {
	if f.Front.Status == resourceLimit {
		c := Cause{Cause: Overload, Confidence: told}
		c.say(f, "answer", "508: the site is at the limit of what its account may use")
		c.advise("CloudLinux holds the account at its limit: lveinfo -d --by-fault any --period 1h shows which (CPU, EP, NPROC, PMEM, IO); raise it (lvectl set USER --…), or lower what the site needs: cache pages, turn bots away.")
		return c, true
	}
	how := f.pressed()
	busy, _, asleep := f.Pool.at()
	waits := f.crowded() || f.Pool.full() && (f.lost() || f.late())
	if f.Pool.Name == "" { // PHP within Apache
		waits = f.late() && f.surge() > 0
	}
	if how == "" || !waits || busy > 0 && 2*asleep > busy && f.Host.IOStall < ioStall {
		return Cause{}, false
	}
	c := Cause{Cause: Overload, Confidence: told}
	c.say(f, "host", "%s", how)
	c.say(f, "pool", "%d of %d workers are busy, %d connections wait", busy, max(f.Pool.MaxChildren, len(f.Pool.Workers)), max(f.Socket.Queue, 0))
	c.advise("Find what uses the host: top -b -n1 -o %%CPU | head -20; iotop -obn1. Other jobs (backups, scans): renice or move them. If it is visits: cache pages (fastcgi_cache or a cache plugin), limit requests per client (limit_req_zone). More workers make it worse. No component is to blame for that, so none is searched now.")
	f.visitors(&c)
	return c, true
}

// surge is by how much more requests come than usual, 0 where that is not known or not much.
func (f Facts) surge() float64 {
	v := f.Visits
	const least, times = 2, 3 // requests a second; below these no crowd
	if v.Rate < least || v.Ordinary <= 0 || v.Rate < times*v.Ordinary {
		return 0
	}
	return v.Rate / v.Ordinary
}

// visitors names who asks most, and what.
func (f Facts) visitors(c *Cause) {
	v := f.Visits
	if v.Requests == 0 {
		return
	}
	if len(v.Clients) > 0 && len(v.URLs) > 0 {
		c.say(f, "access log", "%d of %d requests came from %s; %d went to %s", v.Clients[0].Count, v.Requests, v.Clients[0].Name, v.URLs[0].Count, v.URLs[0].Name)
	}
}

func trafficSpike(f Facts) (Cause, bool) {
	surge := f.surge()
	if surge == 0 || !f.crowded() && !f.late() && !(f.lost() && f.pressed() != "") {
		return Cause{}, false
	}
	c := Cause{Cause: TrafficSpike, Confidence: 0.6}
	if f.crowded() {
		c.Confidence = 0.85
	}
	v := f.Visits
	c.say(f, "access log", "%.1f requests a second, %.0f times as many as before", v.Rate, surge)
	f.visitors(&c)
	few := len(v.Clients) > 0 && 3*v.Clients[0].Count > v.Requests
	if !few && f.crowded() && f.pressed() == "" {
		f.makeRoom(&c)
	}
	if len(v.Clients) > 0 && few {
		c.advise("A third or more comes from one client, %s. Turn it away: deny %s; in the site's vhost, then %s; or limit all: limit_req_zone $binary_remote_addr zone=one:10m rate=5r/s; (http block) and limit_req zone=one burst=20 nodelay; (PHP location).", v.Clients[0].Name, v.Clients[0].Name, f.testAndReload())
	} else {
		c.advise("Cache pages for visitors (fastcgi_cache, a cache plugin, a CDN), and limit requests per client: limit_req_zone $binary_remote_addr zone=one:10m rate=5r/s; (http block) and limit_req zone=one burst=20 nodelay; (PHP location). Attacks on wp-login.php and xmlrpc.php: deny them there.")
	}
	return c, true
}

// killed is how sure it is that what the kernel killed served this site: other pools of the same user, and processes
// with the same name in a group of their own, bear the same marks.
func (f Facts) killed(k KernelRecord) float64 {
	for _, l := range f.FPM {
		if e := l.Record.Exit; e != nil && e.PID == k.PID && e.Signal == int(syscall.SIGKILL) {
			return proven
		}
	}
	switch {
	case f.Pool.State.Result == "oom-kill", f.Pool.State.OOMKills > 0 && f.Pool.PID == 0:
		return proven
	case f.Database != nil && (strings.Contains(k.Text, "(mariadbd)") || strings.Contains(k.Text, "(mysqld)")):
		return proven
	}
	return beside
}

func memoryExhausted(f Facts) (Cause, bool) {
	c := Cause{Cause: MemoryExhausted}
	for _, k := range f.Host.Kernel {
		if k.Kind == KernelOOM {
			c.Confidence = max(c.Confidence, f.killed(k))
			c.Evidence = append(c.Evidence, evidence(cmp.Or(k.Source, "kernel"), k.Time, k.Text))
		}
	}
	h := f.Host
	scarce := h.Memory > 0 && h.MemoryAvailable*50 < h.Memory && h.SwapFree*20 <= h.Swap
	slow := f.late() || f.lost()
	switch {
	case scarce && (h.MemoryStall >= memoryStall || slow):
		c.Confidence = max(c.Confidence, 0.8)
		c.say(f, "host", "%s of %s of memory are left, %s of swap", size(h.MemoryAvailable), size(h.Memory), size(h.SwapFree))
	case h.MemoryStall >= memoryStall && slow:
		c.Confidence = max(c.Confidence, sure)
		c.say(f, "host", "work waits for memory in %.0f %% of the time", 100*h.MemoryStall)
	}
	for _, l := range f.FPM {
		if strings.HasPrefix(l.Record.Text, "fork() failed: Cannot allocate memory") {
			c.Confidence = max(c.Confidence, 0.8)
			c.Evidence = append(c.Evidence, evidence(l.File, l.Record.Time, l.Record.Text))
		}
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.advise("Who has it: ps -eo rss,pid,user,args --sort=-rss | head -15. Make the pools fit: pm.max_children of all pools times the size of a worker, plus the database's (innodb_buffer_pool_size), below the host's memory; here pool [%s] has %d in %s. Swap helps over peaks: fallocate -l 2G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile",
		f.Pool.Name, f.Pool.MaxChildren, cmp.Or(f.Pool.File, "its file"))
	return c, true
}

// plenty is a memory_limit that is enough for every page of WordPress' own; who needs more runs away.
const plenty = 256 << 20

func phpMemoryLimit(f Facts) (Cause, bool) {
	c := Cause{Cause: PHPMemoryLimit}
	limit, wanted := f.Limits.Memory, int64(0)
	if !f.fatals(&c, func(e errlog.PHPError) bool {
		var had, asked int64
		n, _ := fmt.Sscanf(e.Message, "Allowed memory size of %d bytes exhausted (tried to allocate %d bytes)", &had, &asked)
		if n > 0 && had > 0 {
			limit, wanted = had, max(wanted, asked)
		}
		return n > 0
	}) {
		return Cause{}, false
	}
	most := cmp.Or(f.Allowed.Memory, 512<<20)
	switch {
	case limit >= plenty, limit >= most, wanted > most:
		c.Remedy, c.Component = new(RemedyDisable), f.blamedFor("Allowed memory size of ")
		c.advise("memory_limit is %s, which is plenty: some code runs away with it. If it is meant to need more: memory_limit in %s.", size(limit), f.setAt("memory_limit", "php.ini"))
	default:
		c.Remedy = new(RemedyRaiseLimit)
		c.advise("memory_limit is %s (%s); WordPress with plugins needs 256M. Set memory_limit = 256M in .user.ini of the site (in force within 5 minutes) or php_admin_value[memory_limit] = 256M in %s; and define( 'WP_MEMORY_LIMIT', '256M' ); in wp-config.php.",
			size(limit), f.setAt("memory_limit", "php.ini"), cmp.Or(f.Pool.File, "the pool's file"))
	}
	return c, true
}

// blamedFor is the component that a fatal error of a kind names first.
func (f Facts) blamedFor(message string) string {
	for _, l := range f.PHP {
		if l.Record.Fatal() && strings.HasPrefix(l.Record.Message, message) {
			if id, ok := f.firstBlamed(files(l.Record)); ok {
				return id
			}
		}
	}
	return ""
}

// nothing is left of a disk below this: what is written comes in pages of 4 kB, and a page of WordPress writes some.
const nothing = 1 << 20

func (d Disk) full() bool {
	return d.Total > 0 && d.Free < min(nothing, d.Total/100+1) || d.Inodes > 0 && d.FreeInodes == 0
}

// ofDatabase: only the database writes there.
func (d Disk) ofDatabase() bool { return d.For == "database" }

func (d Disk) String() string {
	if d.Inodes > 0 && d.FreeInodes == 0 {
		return fmt.Sprintf("%s (%s) has no inode left of %d", d.Path, d.For, d.Inodes)
	}
	return fmt.Sprintf("%s (%s) has %s left of %s", d.Path, d.For, size(d.Free), size(d.Total))
}

func diskFull(f Facts) (Cause, bool) {
	c := Cause{Cause: DiskFull}
	paths := []string{}
	for _, d := range f.Host.Disks {
		if !d.full() || d.ofDatabase() {
			continue
		}
		worth := 0.97
		if d.For == "logs" {
			worth = 0.6 // PHP goes on without
		}
		c.Confidence = max(c.Confidence, worth)
		c.say(f, "statfs", "%s", d)
		paths = append(paths, shell(d.Path))
	}
	if len(paths) == 0 {
		return Cause{}, false
	}
	c.advise("Make room: df -h %[1]s; df -i %[1]s; du -xh --max-depth=2 %[1]s | sort -h | tail -20. Usual finds: logs (journalctl --vacuum-size=200M), old backups below wp-content, sessions by the million (find -maxdepth 1 -name 'sess_*' -mmin +1440 -delete), deleted files that a process still holds (lsof +L1).", strings.Join(paths, " "))
	c.advise("wpmend deletes nothing, and switches nothing off before there is room.")
	return c, true
}
