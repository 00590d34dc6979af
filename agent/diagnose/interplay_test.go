package diagnose

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/php/errlog"
	"wpmend/wp"
)

// Of several causes at once the deepest comes first, and what it brings along behind it with less confidence.
func TestInterplay(t *testing.T) {
	t.Parallel()
	down := func(f *Facts) { f.Pool.PID, f.Socket.Dial = 0, syscall.ENOENT }
	full := func(f *Facts) {
		f.Host.Disks = []Disk{{For: "site", Path: "/var/www", Total: 1 << 30}}
	}
	dead := func(f *Facts) { f.Database = wp.ErrDatabaseDown }
	timedOut := message("upstream timed out (110: Connection timed out)", "reading response header from upstream", syscall.ETIMEDOUT)
	crash := master(errlog.FPMRecord{Text: "child 7 exited on signal 11 (SIGSEGV)", Exit: &errlog.Exit{Signal: 11}})
	killed := master(errlog.FPMRecord{Text: "child 7 exited on signal 9 (SIGKILL)", Exit: &errlog.Exit{PID: 7, Signal: 9}})
	oom := kernelSays(KernelOOM, "Out of memory: Killed process 7 (php-fpm8.2)", 7)
	busy := []func(*Facts){workers(5, nil), queue(9, 100), is(probe.GatewayTimeout, 504), timedOut}
	for name, tc := range map[string]struct {
		with []func(*Facts)
		want []string // these, in this order; others may stand among them
	}{
		"FPM is down, and connects fail": {[]func(*Facts){down, message("connect() to unix:/run/php/fpm.sock failed (2: No such file or directory)", "connecting to upstream", syscall.ENOENT), crash},
			[]string{FPMDown, WorkerCrash}},
		"a broken file keeps FPM down": {[]func(*Facts){down, func(f *Facts) {
			f.Pool.Test = errText("x: exit status 78: no pool")
			f.Pool.State.Result = "start-limit-hit"
		}},
			[]string{FPMConfig, FPMStartLimit, FPMDown}},
		"the kernel took FPM down":           {[]func(*Facts){down, oom, killed, func(f *Facts) { f.Pool.State.Result = "oom-kill" }}, []string{FPMOOMKilled, MemoryExhausted, WorkerCrash}},
		"the kernel killed a worker":         {[]func(*Facts){oom, killed}, []string{MemoryExhausted, WorkerCrash}},
		"a full disk took the database down": {[]func(*Facts){full, dead, is(probe.DBError, 500)}, []string{DiskFull, DBDown}},
		"a full disk makes plugins fail":     {[]func(*Facts){full, is(probe.Fatal, 500), dies(inPlugin("shop"), "Uncaught Error: x")}, []string{DiskFull, ComponentFault}},
		"no memory took the database down":   {[]func(*Facts){kernelSays(KernelOOM, "Out of memory: Killed process 9 (mariadbd)", 9), dead, is(probe.DBError, 500)}, []string{MemoryExhausted, DBDown}},
		"a silent database fills the pool":   {append(slices.Clone(busy), dead), []string{DBDown, PoolExhausted, GatewayTimeout}},
		"a firewall makes the gateway wait": {[]func(*Facts){is(probe.GatewayTimeout, 504), timedOut, func(f *Facts) {
			f.Socket = Socket{Address: "127.0.0.1:9000", Dial: syscall.ETIMEDOUT}
			f.Host.Filters = []string{"dport 9000 drop"}
		}}, []string{Firewall, GatewayTimeout}},
		"too much work fills the pool": {append(slices.Clone(busy), pressedHost), []string{Overload, PoolExhausted, GatewayTimeout}},
		"a crowd overloads the host": {append(slices.Clone(busy), pressedHost, func(f *Facts) { f.Visits = Visits{Requests: 900, Rate: 15, Ordinary: 1} }),
			[]string{TrafficSpike, Overload, PoolExhausted, GatewayTimeout}},
		"stuck workers fill the pool": {[]func(*Facts){workers(5, stuck), queue(9, 100), is(probe.GatewayTimeout, 504), timedOut, slowlog(inPlugin("slow"))},
			[]string{WorkersStuck, PoolExhausted, GatewayTimeout, ComponentFault}},
		"a pool with room has one request that hangs": {[]func(*Facts){workers(5, nil), is(probe.GatewayTimeout, 504), func(f *Facts) {
			f.Pool.MaxChildren = 9
			stuck(&f.Pool.Workers[0])
		}}, []string{GatewayTimeout, WorkersStuck}},
		"sleeping workers fill the pool of a busy host": {append(slices.Clone(busy), pressedHost, func(f *Facts) {
			for i := range f.Pool.Workers {
				f.Pool.Workers[i].Asleep = true
			}
		}), []string{PoolExhausted, GatewayTimeout}},
		"an update left its core half done": {[]func(*Facts){is(probe.Fatal, 500), dies(inPlugin("shop"), "Uncaught Error: x"), func(f *Facts) {
			f.Maintenance, f.CoreDamaged = at.Add(-time.Hour), []wp.CoreFault{{File: "wp-load.php", What: wp.CoreMissing}}
		}}, []string{UpdateBroken, CoreDamaged, ComponentFault}},
		"a parse error is that, and not any fault": {[]func(*Facts){is(probe.Fatal, 500), func(f *Facts) {
			f.PHP = append(f.PHP, Line[errlog.PHPError]{File: "error.log", Record: errlog.PHPError{Kind: "Parse error", Message: "syntax error", File: inPlugin("bad"), Line: 2}})
		}}, []string{CodeUnparsable, ComponentFault}},
		"PHP ended a request for its time": {[]func(*Facts){master(errlog.FPMRecord{Text: "execution timed out", Slow: &errlog.Slow{Terminated: true}}),
			message("recv() failed (104: Connection reset by peer)", "reading response header from upstream", syscall.ECONNRESET)}, []string{TerminateTimeout, WorkerCrash}},
		"a name elsewhere is another matter":       {[]func(*Facts){down, func(f *Facts) { f.Edge = Edge{Missing: true} }}, []string{FPMDown, DNSMismatch}},
		"two that are proven: the outermost first": {[]func(*Facts){down, is(probe.Unreachable, 0), func(f *Facts) { f.Server.Dial = syscall.ECONNREFUSED }}, []string{GatewayDown, FPMDown}},
		"a gateway that runs with its old file":    {[]func(*Facts){down, func(f *Facts) { f.Server = Server{Kind: "nginx", PID: 3, Test: errText("emerg")} }}, []string{FPMDown, GatewayConfig}},
		"neighbours fail too":                      {[]func(*Facts){is(probe.Fatal, 500), dies(inPlugin("shop"), "Uncaught Error: x"), dead, func(f *Facts) { f.Next = Neighbours{3, 3} }}, []string{DBDown, ComponentFault}},
	} {
		f := scene{with: tc.with}.facts()
		causes := Causes(f)
		got := []string{}
		for _, c := range causes {
			if slices.Contains(tc.want, c.Cause) {
				got = append(got, c.Cause)
			}
		}
		if !slices.Equal(got, tc.want) || causes[0].Cause != tc.want[0] {
			t.Errorf("%s: %v, want %v", name, order(causes), tc.want)
			continue
		}
		if len(causes) > 1 && causes[1].Confidence >= proven && name != "two that are proven: the outermost first" {
			t.Errorf("%s: %s is as sure (%v) as what explains it", name, causes[1].Cause, causes[1].Confidence)
		}
		if bad := unsound(causes); bad != "" {
			t.Errorf("%s: %s", name, bad)
		}
	}
}

type errText string

func (e errText) Error() string { return string(e) }

func order(causes []Cause) (names []string) {
	for _, c := range causes {
		names = append(names, c.Cause)
	}
	return names
}

// What explains what is a relation between causes that there are, and nothing explains itself.
func TestExplains(t *testing.T) {
	t.Parallel()
	var reaches func(from string, path []string) []string
	reaches = func(from string, path []string) []string {
		if slices.Contains(path, from) {
			return append(path, from)
		}
		for _, to := range explains[from] {
			if circle := reaches(to, append(slices.Clone(path), from)); circle != nil {
				return circle
			}
		}
		return nil
	}
	for from, all := range explains {
		for _, name := range append([]string{from}, all...) {
			if !slices.Contains(Names(), name) {
				t.Errorf("%q is no cause", name)
			}
		}
		if circle := reaches(from, nil); circle != nil {
			t.Errorf("a circle: %v", circle)
		}
	}
	for name := range unrest {
		if !slices.Contains(Names(), name) {
			t.Errorf("%q is no cause", name)
		}
	}
}

// Under these no component is searched, however loudly one is accused.
func TestCalm(t *testing.T) {
	t.Parallel()
	restless := []string{GatewayExhausted, PoolExhausted, Overload, TrafficSpike, MemoryExhausted, DiskFull, FileDescriptors, DBDown, DBConnections, DBCredentials,
		DBTableCrashed, DBDiskFull, Maintenance, UpdateBroken}
	for _, s := range scenes() {
		f := s.facts()
		f.PHP = append(f.PHP, Line[errlog.PHPError]{File: "error.log", Record: errlog.PHPError{Kind: "Fatal error", Message: "x", File: inPlugin("innocent")}})
		by, why := Calm(Causes(f))
		if forbids := slices.Contains(restless, s.cause); forbids != (why != "") || forbids && by.Cause == "" {
			t.Errorf("%s: %s forbids a search (%q), want %v", s.name, by.Cause, why, forbids)
		}
	}
	if by, why := Calm(nil); why != "" || by.Cause != "" {
		t.Errorf("nothing forbids: %s %q", by.Cause, why)
	}
}

// What is written in a log, and nothing else shows, is worth no more than a half, and proves nothing of a component.
func TestTextAlone(t *testing.T) {
	t.Parallel()
	words := func(f *Facts) {
		for _, r := range []gateway.LogRecord{
			{Message: "connect() failed (13: Permission denied)", Action: "connecting to upstream", Errno: 13}, {Message: "connect() failed", Action: "connecting to upstream", Errno: 11},
			{Message: "upstream sent too big header"}, {Message: "upstream sent invalid header"}, {Message: "upstream timed out", Action: "reading response header from upstream", Errno: 110},
			{Message: "9 worker_connections are not enough"}, {Message: "x could not be resolved (3: Host not found)"}, {Message: "upstream sent unsupported FastCGI protocol version: 72"},
			{Message: "open() failed (24: Too many open files)", Errno: 24}, {Code: "AH00484"}, {Code: "AH01067"}, {Module: "core", Message: "/s/.htaccess: Invalid command 'x'"},
		} {
			f.Gateway = append(f.Gateway, Line[gateway.LogRecord]{File: "error.log", Record: r, Own: true})
		}
		for _, r := range []errlog.FPMRecord{{Text: "x", Exit: &errlog.Exit{Signal: 11}}, {Text: "x", Slow: &errlog.Slow{Terminated: true}}, {Text: "x", MaxChildren: 5},
			{Text: "Connection disallowed: IP address '1' has been dropped."}} {
			f.FPM = append(f.FPM, Line[errlog.FPMRecord]{File: "fpm.log", Record: r, Own: true})
		}
		for _, m := range []string{"Uncaught Error", "Allowed memory size of 1000 bytes exhausted", "Maximum execution time of 30 seconds exceeded", "Failed opening required 'x'"} {
			for _, file := range []string{inPlugin("innocent"), "Unknown", "/s/wp-config.php", "/s/wp-content/object-cache.php"} {
				for _, kind := range []string{"Fatal error", "Parse error"} {
					f.PHP = append(f.PHP, Line[errlog.PHPError]{File: "php.log", Record: errlog.PHPError{Kind: kind, Message: m, File: file}, Own: true})
				}
			}
		}
	}
	f := scene{with: []func(*Facts){well, words}}.facts()
	if causes := Causes(f); len(causes) != 0 {
		t.Errorf("a site that is well has causes: %v", order(causes))
	}
	for outcome, status := range map[probe.Outcome]int{probe.Fatal: 0, probe.Blank: 200, probe.Maintenance: 503} {
		for _, c := range Causes(scene{with: []func(*Facts){is(outcome, status), words}}.facts()) {
			if c.Confidence > textOnly && c.Cause != Maintenance && c.Cause != HtaccessBroken {
				t.Errorf("%s: %s has %v by text alone: %s", outcome, c.Cause, c.Confidence, text(c))
			}
			if c.Proven {
				t.Errorf("%s: %s is proven", outcome, c.Cause)
			}
		}
	}
	// An answer that was lost bears out that something broke, and not what: nothing of it is proven.
	for _, c := range Causes(scene{with: []func(*Facts){words}}.facts()) {
		if c.Confidence >= proven || c.Cause == ComponentFault && c.Confidence > textOnly {
			t.Errorf("%s has %v by text alone", c.Cause, c.Confidence)
		}
	}
}

// Each remedy of the common guides to "502 Bad Gateway" has the causes that it is for.
func TestGuides(t *testing.T) {
	t.Parallel()
	first := map[string]bool{}
	for _, s := range scenes() {
		first[s.cause] = true
	}
	for guide, causes := range map[string][]string{
		"refresh the page, clear the browser's cache": {CachedError, TrafficSpike},
		"flush the DNS cache, check DNS":              {DNSMismatch, UpstreamUnresolved},
		"check or pause the CDN":                      {CDNOnly, OuterTimeout},
		"restart PHP":                                 {FPMDown, FPMOOMKilled, FPMStartLimit, OPcachePoisoned, StaleSocket, SocketMissing, WorkersStuck},
		"check the PHP version and its socket":        {WrongSocket, SocketPermission, WrongProtocol, ClientDisallowed},
		"restart the web server, check its config":    {GatewayDown, GatewayConfig, GatewayExhausted, FPMConfig},
		"check the error logs":                        {WorkerCrash, ComponentFault, InvalidHeader, PrependMissing},
		"raise timeouts, max_execution_time":          {ExecutionTimeout, TerminateTimeout, GatewayTimeout, OuterTimeout},
		"raise buffers":                               {ResponseHeaderTooBig},
		"raise pm.max_children":                       {PoolExhausted},
		"disable plugins and the theme":               {ComponentFault, WorkerCrash, ThemeMissing, CodeUnparsable},
		"raise the memory limit, check memory":        {PHPMemoryLimit, MemoryExhausted},
		"check the disk and file limits":              {DiskFull, DBDiskFull, FileDescriptors},
		"check or repair the database":                {DBDown, DBConnections, DBCredentials, DBTableCrashed},
		"check the firewall, SELinux":                 {Firewall, AccessDenied},
		"check .htaccess and wp-config.php":           {HtaccessBroken, ConfigBroken},
		"reinstall WordPress, finish the update":      {CoreDamaged, UpdateBroken, Maintenance},
		"flush the object cache":                      {ObjectCacheDown},
		"contact the host, upgrade the plan":          {Overload, GatewayDown},
	} {
		for _, c := range causes {
			if !first[c] || Meaning(c) == "" || Prevention(c) == "" {
				t.Errorf("%s: %s never comes first", guide, c)
			}
		}
	}
}

// The component that a search is to begin with is whom FPM's own trace names, not whom a message accuses.
func TestTraceNamesSuspect(t *testing.T) {
	t.Parallel()
	f := scene{with: []func(*Facts){is(probe.GatewayTimeout, 504), slowlog(inPlugin("slow"))}}.facts()
	f.PHP = append(f.PHP, Line[errlog.PHPError]{File: "php.log", Own: true, Record: errlog.PHPError{Kind: "Fatal error", Message: "x", File: inPlugin("innocent")}})
	causes := Causes(f)
	if causes[0].Cause != GatewayTimeout || causes[0].Component != "plugin:slow" || !strings.Contains(text(causes[0]), "it stood in sleep()") {
		t.Errorf("%+v", causes)
	}
}
