package diagnose

import (
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
	Direct   probe.Result // of the pool itself; zero: not asked
	Pool     Pool
	Socket   Socket
	Location Location

	Gateway []Line[gateway.LogRecord]
	FPM     []Line[errlog.FPMRecord]
	Traces  []Line[errlog.SlowTrace]
	PHP     []Line[errlog.PHPError]

	Database      error     // nil: it answers
	NoCredentials error     // wp-config.php computes a value that is needed to ask the database
	Maintenance   time.Time // when .maintenance was written; zero: there is none
	CoreDamaged   []wp.CoreFault

	// FirstFailure is when the present trouble began, as far as the logs go back;
	// zero: unknown.
	FirstFailure time.Time

	// Blame names the component that a file belongs to.
	Blame func(file string) (id string, ok bool)
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
}

// Socket is the state of the pool's address.
type Socket struct {
	Address string
	Unix    bool
	Exists  bool
	Mode    string // as ls prints it
	Owner   string // "root:root"
	Dial    error  // of root; nil: somebody accepts
	// Gateway is the user as whom the gateway connects, "" unknown.
	Gateway string
	// Refused: that user may not write to the socket or not reach it.
	Refused bool
}

// Location holds the limits of the gateway's PHP location.
type Location struct {
	Buffer      int64
	ReadTimeout time.Duration
	File        string
}
