// Package diagnose turns evidence into causes, ranked. It knows how the logs, the
// sockets and the answers of a failing site read; it refuses to know how they were
// gathered and what would be done about them.
//
// It is pure: values in, values out, no clock, disk or network. Its invariant:
// evidence orders, probes convict. No text in a log, however well forged, becomes
// more than a suspicion here.
package diagnose

import (
	"encoding/json"
	"slices"
	"time"
)

// Evidence is a fact with its source: a log file, "answer", "socket", ….
type Evidence struct {
	Source string    `json:"source"`
	Text   string    `json:"text"` // untrusted
	Time   time.Time `json:"time"`
}

// Cause is a named reason why a site fails.
type Cause struct {
	Cause      string     `json:"cause"`      // one of [Names]
	Confidence float64    `json:"confidence"` // 0 to 1
	Evidence   []Evidence `json:"evidence"`
	// Remedy names what wpmend would do about it; nil: nothing, a person must act.
	Remedy *string `json:"remedy"`
	// Component is the id of the component at fault or under suspicion, "" if none is.
	Component string `json:"component,omitempty"`
	// Proven: probes convicted Component; otherwise it is a suspicion.
	Proven bool `json:"proven"`
	// Advice is what a person can do, in whole sentences.
	Advice string `json:"advice,omitempty"`
}

// MarshalJSON writes a list without evidence as [], never as null.
func (c Cause) MarshalJSON() ([]byte, error) {
	type plain Cause
	if c.Evidence == nil {
		c.Evidence = []Evidence{}
	}
	return json.Marshal(plain(c))
}

// The names of the causes: stable, since panels and scripts rely on them. They stand in the order of the layers, from the
// outside in.
const (
	// name and edge
	DNSMismatch  = "dns-mismatch"
	CDNOnly      = "cdn-only"
	OuterTimeout = "outer-timeout"
	CachedError  = "cached-error"
	StaleCache   = "stale-cache"

	// connection
	GatewayDown        = "gateway-down"
	GatewayConfig      = "gateway-config"
	GatewayExhausted   = "gateway-exhausted"
	Firewall           = "firewall"
	SocketPermission   = "socket-permission"
	SocketMissing      = "socket-missing"
	StaleSocket        = "stale-socket"
	WrongSocket        = "wrong-socket"
	UpstreamUnresolved = "upstream-unresolved"
	WrongProtocol      = "wrong-protocol"
	ClientDisallowed   = "client-disallowed"
	AccessDenied       = "access-denied"

	// pool
	FPMDown         = "fpm-down"
	FPMConfig       = "fpm-config"
	FPMOOMKilled    = "fpm-oom-killed"
	FPMStartLimit   = "fpm-start-limit"
	PoolExhausted   = "pool-exhausted"
	WorkersStuck    = "workers-stuck"
	WorkerCrash     = "worker-crash"
	OPcachePoisoned = "opcache-poisoned"

	// time
	ExecutionTimeout = "execution-timeout"
	TerminateTimeout = "terminate-timeout"
	GatewayTimeout   = "gateway-timeout"

	// answer
	ResponseHeaderTooBig = "response-header-too-big"
	InvalidHeader        = "invalid-header"
	HtaccessBroken       = "htaccess-broken"

	// host
	Overload        = "overload"
	TrafficSpike    = "traffic-spike"
	MemoryExhausted = "memory-exhausted"
	PHPMemoryLimit  = "php-memory-limit"
	DiskFull        = "disk-full"
	FileDescriptors = "file-descriptors"

	// database
	DBDown         = "db-down"
	DBConnections  = "db-too-many-connections"
	DBCredentials  = "db-credentials"
	DBTableCrashed = "db-table-crashed"
	DBDiskFull     = "db-disk-full"

	// WordPress
	Maintenance     = "maintenance"
	UpdateBroken    = "update-broken"
	CoreDamaged     = "core-damaged"
	ConfigBroken    = "config-broken"
	CodeUnparsable  = "code-unparsable"
	PrependMissing  = "prepend-missing"
	ThemeMissing    = "theme-missing"
	ObjectCacheDown = "object-cache-down"
	ComponentFault  = "component-fault"
)

// The names of the remedies.
const (
	RemedyDisable     = "disable"            // search for the component at fault and switch it off
	RemedyStartFPM    = "start-fpm"          // start the pool's master process again
	RemedyRestartFPM  = "restart-fpm"        // end the pool's master and start it again
	RemedyReloadFPM   = "reload-fpm"         // let the master read its configuration again, with new workers
	RemedyEndWorkers  = "end-workers"        // end the workers that are stuck, one by one
	RemedyRaiseLimit  = "raise-limit"        // raise the link of the chain of limits that bites, within the ceiling
	RemedyAddWorkers  = "raise-max-children" // within what the host's memory allows
	RemedyTuneGateway = "tune-gateway"       // its read timeout or buffers; only where the configuration allows it
	RemedyMaintenance = "end-maintenance"    // move a forgotten .maintenance file aside
	RemedyPurge       = "purge-cache"        // drop the site's cached errors
)

// list is the one list of causes, each with its meaning.
var list = [...]struct{ name, meaning string }{
	{DNSMismatch, "the site's name does not lead to this host"},
	{CDNOnly, "the site is well here and fails only through the CDN or proxy in front of it"},
	{OuterTimeout, "a CDN or proxy in front of the gateway gives up before the gateway does"},
	{CachedError, "the site is well, but the gateway's cache still serves an old error"},
	{StaleCache, "the site is dead, and the gateway's cache hides it behind old pages"},

	{GatewayDown, "the gateway does not run, or does not listen where the site's vhost says"},
	{GatewayConfig, "the gateway's configuration is broken, so it cannot start or reload"},
	{GatewayExhausted, "the gateway has no connections or workers left"},
	{Firewall, "the local packet filter drops or refuses connections"},
	{SocketPermission, "the gateway may not connect to the pool's socket"},
	{SocketMissing, "the pool's socket does not exist although its master runs"},
	{StaleSocket, "the socket's file is there, but its master no longer listens on it"},
	{WrongSocket, "the gateway asks at an address where no pool listens"},
	{UpstreamUnresolved, "the gateway cannot resolve the name of the server that it passes requests to"},
	{WrongProtocol, "what answers at the pool's address, or what the gateway speaks to it, is not FastCGI"},
	{ClientDisallowed, "PHP-FPM refuses the gateway's address (listen.allowed_clients)"},
	{AccessDenied, "SELinux or AppArmor keeps the gateway or PHP from what it needs"},

	{FPMDown, "no PHP-FPM master runs that serves the site's pool"},
	{FPMConfig, "PHP-FPM does not run and cannot start, since its configuration is broken"},
	{FPMOOMKilled, "systemd stopped PHP-FPM as a whole because the kernel killed one of its processes for want of memory"},
	{FPMStartLimit, "systemd refuses to start PHP-FPM because it was started too often"},
	{PoolExhausted, "every worker of the pool is busy and requests queue up"},
	{WorkersStuck, "workers of the pool stand still in requests that do not end"},
	{WorkerCrash, "PHP's worker processes die while they answer"},
	{OPcachePoisoned, "PHP's workers fail on what they keep in memory; the same code is well in fresh ones"},

	{ExecutionTimeout, "PHP ends requests that compute longer than max_execution_time"},
	{TerminateTimeout, "PHP-FPM ends requests that run longer than request_terminate_timeout"},
	{GatewayTimeout, "the gateway gives up before PHP answers"},

	{ResponseHeaderTooBig, "PHP answers with a header that is larger than the gateway's buffer"},
	{InvalidHeader, "PHP answers with a header that the gateway cannot read"},
	{HtaccessBroken, "Apache cannot read an .htaccess file of the site"},

	{Overload, "the host has more work than it can do in time"},
	{TrafficSpike, "far more requests come than usual, most of them from few clients or to few URLs"},
	{MemoryExhausted, "the host or the pool's unit has no memory left"},
	{PHPMemoryLimit, "PHP ends requests that need more memory than memory_limit"},
	{DiskFull, "a file system that the site needs has no space or no inodes left"},
	{FileDescriptors, "the gateway or the host may not open any more files"},

	{DBDown, "WordPress cannot reach its database"},
	{DBConnections, "the database takes no more connections"},
	{DBCredentials, "the database does not let WordPress in, or does not have the database that wp-config.php names"},
	{DBTableCrashed, "tables of the site's database are damaged or missing"},
	{DBDiskFull, "the database has no room left on its disk"},

	{Maintenance, "WordPress is in maintenance mode"},
	{UpdateBroken, "an update of WordPress, a plugin or a theme broke off half-way"},
	{CoreDamaged, "files of WordPress itself are missing, empty or changed, as after an update that broke off"},
	{ConfigBroken, "wp-config.php, or a file that it includes, cannot be parsed or read"},
	{CodeUnparsable, "code of the site that was changed lately does not parse"},
	{PrependMissing, "the file that PHP is told to load first (auto_prepend_file) is not there"},
	{ThemeMissing, "the active theme is not installed"},
	{ObjectCacheDown, "WordPress cannot reach its object cache (Redis, Memcached)"},
	{ComponentFault, "a plugin, theme or other component of the site breaks it"},
}

// Names are all causes.
func Names() []string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.name
	}
	return names
}

// Meaning says in words what a cause's name stands for, "" for an unknown name.
func Meaning(cause string) string {
	i := slices.IndexFunc(list[:], func(c struct{ name, meaning string }) bool { return c.name == cause })
	if i < 0 {
		return ""
	}
	return list[i].meaning
}
