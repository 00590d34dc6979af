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

// The names of the causes: stable, since panels and scripts rely on them.
const (
	ComponentFault       = "component-fault"
	FPMDown              = "fpm-down"
	PoolExhausted        = "pool-exhausted"
	WorkerCrash          = "worker-crash"
	TerminateTimeout     = "terminate-timeout"
	GatewayTimeout       = "gateway-timeout"
	ResponseHeaderTooBig = "response-header-too-big"
	SocketPermission     = "socket-permission"
	SocketMissing        = "socket-missing"
	WrongSocket          = "wrong-socket"
	DBDown               = "db-down"
	DiskFull             = "disk-full"
	MemoryExhausted      = "memory-exhausted"
	Overload             = "overload"
	Maintenance          = "maintenance"
	DNSMismatch          = "dns-mismatch"
	CDNOnly              = "cdn-only"
	CoreDamaged          = "core-damaged"
)

// The names of the remedies.
const (
	RemedyDisable  = "disable"   // search for the component at fault and switch it off
	RemedyStartFPM = "start-fpm" // start the pool's master process again
)

// list is the one list of causes, each with its meaning.
var list = [...]struct{ name, meaning string }{
	{ComponentFault, "a plugin, theme or other component of the site breaks it"},
	{FPMDown, "no PHP-FPM master runs that serves the site's pool"},
	{PoolExhausted, "every worker of the pool is busy and the queue is full"},
	{WorkerCrash, "PHP's worker processes die while they answer"},
	{TerminateTimeout, "PHP-FPM ends requests that run longer than request_terminate_timeout"},
	{GatewayTimeout, "the gateway gives up before PHP answers"},
	{ResponseHeaderTooBig, "PHP answers with a header that is larger than the gateway's buffer"},
	{SocketPermission, "the gateway may not connect to the pool's socket"},
	{SocketMissing, "the pool's socket does not exist although its master runs"},
	{WrongSocket, "the gateway asks at an address where no pool listens"},
	{DBDown, "WordPress cannot reach its database"},
	{DiskFull, "a file system that the site needs has no space or no inodes left"},
	{MemoryExhausted, "the host or the pool's unit has no memory left"},
	{Overload, "the host has more work than it can do in time"},
	{Maintenance, "WordPress is in maintenance mode"},
	{DNSMismatch, "the site's name does not lead to this host"},
	{CoreDamaged, "files of WordPress itself are missing, empty or changed, as after an update that broke off"},
	{CDNOnly, "the site is well here and fails only through the CDN in front of it"},
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
