package diagnose

import (
	"net/netip"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/php/errlog"
	"wpmend/wp"
)

// Facts are what is known of one site at one moment. Log records are those that
// belong to this site's vhost and pool and were written since the incident's
// first probe; their text is untrusted.
type Facts struct {
	Front    probe.Result
	Visitor  probe.Result // what the plain URL gives, the gateway's caches included; zero: not asked
	Direct   probe.Result // of the pool itself; zero: not asked
	Fresh    probe.Result // of a fresh copy of the pool with nothing masked; zero: not asked
	Edge     Edge
	Server   Server
	Pool     Pool
	Socket   Socket
	Location Location
	Limits   Limits
	Host     Host
	Visits   Visits
	Next     Neighbours

	Gateway []Line[gateway.LogRecord]
	FPM     []Line[errlog.FPMRecord]
	Traces  []Line[errlog.SlowTrace]
	PHP     []Line[errlog.PHPError]

	Database      error     // nil: it answers
	NoCredentials error     // wp-config.php computes a value that is needed to ask the database
	Maintenance   time.Time // when .maintenance was written; zero: there is none
	Updating      string    // a fresh trace of an update or a deploy under way, "" if there is none
	CoreDamaged   []wp.CoreFault
	ThemeMissing  string      // the active theme's folder, where it is not there
	Lint          []LintFault // code of the site that does not parse
	Unread        error       // why the site's files could not be read; nil: they could

	// FirstFailure is when the present trouble began, as far as the logs go back;
	// zero: unknown.
	FirstFailure time.Time

	// Blame names the component that a file belongs to.
	Blame func(file string) (id string, ok bool)
	Root  string // the site's folder
	// Owns says whether a script is this site's; nil: unknown.
	Owns func(script string) bool
	// ObjectCache: the site has a drop-in that keeps WordPress' objects elsewhere (Redis, Memcached).
	ObjectCache bool

	Allowed Allowed
	// Lately are the remedies that ended an incident of this site within the last hour.
	Lately []string
}

// Allowed is what the configuration lets wpmend do; a ceiling of 0 is unknown.
type Allowed struct {
	TuneGateway bool
	Time        time.Duration // the ceiling for limits of time
	Memory      int64         // for memory_limit, bytes
	Children    int           // for pm.max_children
}

// Line is a log record with the file that holds it.
type Line[T any] struct {
	File   string
	Record T
	Own    bool // the site's own user can write to the file
}

// Pool is the state of the site's pool; zero for a site without one (mod_php).
type Pool struct {
	Name             string
	Config           string // the master's configuration file
	Unit             string // systemd unit, "" if none
	PID              int    // of the master; 0: it does not run
	File             string // where its listen directive stands
	Line             int
	TerminateTimeout time.Duration // 0: none

	Manager        string        // pm: static, dynamic or ondemand
	MaxChildren    int           // pm.max_children
	ControlTimeout time.Duration // process_control_timeout; 0: a reload kills what runs
	Workers        []Worker      // of this pool
	Test           error         // what php-fpm -t says, asked only where the master does not run; nil: all well, or not asked
	State          UnitState     // of Unit
	// Elsewhere are addresses that pools of this host do listen on, where the gateway asks at one that no pool has.
	Elsewhere []string
	Candidate string // of these, the one that seems to be the site's, "" if that cannot be told
}

// Worker is one process of the pool.
type Worker struct {
	PID   int
	Age   time.Duration // since it was started
	Busy  bool          // it is at work on a request
	Since time.Duration // how long it has been at that request, as far as is known; 0: unknown
	Stuck bool          // it stands still: no processor time, no reading or writing, while busy
	// Asleep: it waits for something else than a processor at this moment, while busy.
	Asleep bool
	RSS    int64 // bytes of its own: what one more worker would cost
	// Script and URI of its request, "" unknown; untrusted.
	Script, URI string
	// Dir is the folder of that script where Script is not known: a worker stands in it, unless the script has gone elsewhere.
	Dir string
}

// UnitState is what systemd says of a unit; zero where it was not asked.
type UnitState struct {
	Active   string // ActiveState: active, inactive, failed, …
	Sub      string // SubState
	Result   string // success, oom-kill, start-limit-hit, exit-code, signal, …
	Restarts int    // NRestarts
	// GaveUp: systemd has restarted it by itself as often as it may (StartLimitBurst) and does so no more. Result is
	// then how it ended last; start-limit-hit is for what was started too often by others.
	GaveUp   bool
	OOMKills int // oom_kill of the unit's memory.events, 0 also where it cannot be read
}

// Socket is the state of the address where the gateway asks for PHP.
type Socket struct {
	Address string // where the pool listens; "" where none is known to serve the site
	Unix    bool
	Exists  bool
	Mode    string // as ls prints it
	Owner   string // "root:root"
	Dial    error  // of root; nil: somebody accepts
	// Gateway is the user as whom the gateway connects, "" unknown.
	Gateway string
	// Refused: that user may not write to the socket or not reach it.
	Refused bool
	// Asked is the address that the gateway's location passes requests to; that differs from Address where they do not fit,
	// as no pool of this host listens there. All else here is about Asked then.
	Asked string
	// Queue is how many connections wait to be accepted, Backlog how many may; -1 unknown. Full is Queue > Backlog
	// for unix sockets (Linux' unix_recvq_full), Queue ≥ Backlog for TCP.
	Queue, Backlog int
	// HTTP: an HTTP server answers at the address, not FastCGI.
	HTTP bool
	// Disallowed: the pool's listen.allowed_clients leaves out the address that connections from this host come from.
	Disallowed bool
	Allowed    string // that setting
	Peers      []Peer // the other addresses of the group that the gateway chooses from
}

// Peer is an address that the gateway asks in turn with the pool's.
type Peer struct {
	Address string
	Dial    error // nil: somebody accepts
}

// Edge is what the world sees of the site's name; zero where it was not asked.
type Edge struct {
	Resolver  string       // who was asked, host:port
	Addresses []netip.Addr // what the name leads to
	Lookup    error        // why there are none
	Missing   bool         // the name does not exist, or has no address
	Here      bool         // one of Addresses is this host's own
	// Elsewhere: another host answered there, and not as a proxy that fails or has a copy: our request by loopback is in
	// this host's access log, the one that went there is not. Behind a NAT or an unknown proxy that works it is there.
	Elsewhere bool
	CDN       string       // whose network Addresses belong to: "Cloudflare", …; "" unknown
	Public    probe.Result // the answer there; zero: not asked, and NotAsked says why
	NotAsked  string
}

// Server is the state of the gateway's own process.
type Server struct {
	Kind     string // "nginx" or "apache"
	PID      int    // of the master; 0: it does not run
	Unit     string // systemd unit, "" if none
	Listen   string // the address of the vhost that was dialled
	Dial     error  // nil: somebody accepts there
	Test     error  // what its own test of the configuration says (nginx -t, apachectl configtest), asked only where it does not run or accept, or where a check asks for all; nil: all well, or not asked
	TestFile string // the place that Test names
	TestLine int
	Files    int // open descriptors of its fullest worker, 0 unknown
	MaxFiles int // its limit
}

// Limits are the links of the chain that bound a request's time and memory, as they hold for the site; 0 is none or
// unknown. SetAt says where each was set, by its directive's name.
type Limits struct {
	MaxExecution time.Duration // max_execution_time: processor time, of the worker alone
	MaxInput     time.Duration // max_input_time
	Slowlog      time.Duration // request_slowlog_timeout
	Terminate    time.Duration // request_terminate_timeout
	Gateway      time.Duration // the gateway's read timeout
	Memory       int64         // memory_limit, bytes; -1: none
	SetAt        map[string]string
}

// Host is the machine's own state; a share is from 0 to 1, and -1 where it is unknown.
type Host struct {
	CPUs                                    int
	Load                                    float64 // of the last minute
	CPUStall, MemoryStall, IOStall          float64 // share of the last 10 s in which some work waited for it (/proc/pressure)
	Memory, MemoryAvailable, Swap, SwapFree int64   // bytes
	Files, MaxFiles                         int64   // open files of the host, and how many there may be
	Disks                                   []Disk
	Kernel                                  []KernelRecord // since the incident began
	Filters                                 []string       // rules of the local packet filter that drop or refuse what goes to the gateway's or the pool's port, as the filter prints them
	FiltersUnread                           string         // why they could not be read, "" where they were
}

// Disk is one file system that the site needs.
type Disk struct {
	For                string // "site", "log", "temporary files", "sessions", "database", …
	Path               string
	Free, Total        int64 // bytes, for ordinary users
	Inodes, FreeInodes int64 // inodes in all, and free; 0 of both: the file system does not count them
}

// The kinds of kernel records.
const (
	KernelOOM      = "oom-kill" // a process was killed for want of memory
	KernelSegfault = "segfault"
	KernelDenial   = "denial" // SELinux or AppArmor refused something
)

// KernelRecord is a line of the kernel's log (or audit's) that may concern the site's processes.
type KernelRecord struct {
	Source string
	Time   time.Time
	Kind   string
	PID    int
	Text   string
}

// Visits are what the access log says of the time just before the failure was seen.
type Visits struct {
	File           string
	From, To       time.Time
	Requests       int
	Failed         int     // status 500 and up
	Rate, Ordinary float64 // requests a second: now, and in the time before; 0 unknown
	Clients, URLs  []Tally // the most frequent, the first the most
}

// Tally counts one value.
type Tally struct {
	Name  string // untrusted
	Count int
}

// Neighbours are other sites on the same pool that were asked for comparison.
type Neighbours struct{ Asked, Failing int }

// LintFault is a file of the site's that PHP cannot parse.
type LintFault struct {
	File    string // relative to the site's root
	Line    int
	Text    string // PHP's words
	Changed time.Time
}

// Location holds the limits of the gateway's PHP location.
type Location struct {
	Buffer      int64
	ReadTimeout time.Duration
	File        string
}
