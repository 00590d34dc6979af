package diagnose

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/php/errlog"
	"wpmend/wp"
)

// scene is what is known of one failing site, and what must come of it.
type scene struct {
	name   string
	with   []func(*Facts)
	cause  string
	remedy string   // "": none, a person must act
	why    string   // why there is none
	says   []string // within its evidence or advice
}

func is(o probe.Outcome, status int) func(*Facts) {
	return func(f *Facts) { f.Front.Outcome, f.Front.Status, f.Front.Signature = o, status, fmt.Sprint(status) }
}

func record(r gateway.LogRecord) func(*Facts) {
	r.Time = at
	return func(f *Facts) { f.Gateway = append(f.Gateway, Line[gateway.LogRecord]{File: "error.log", Record: r}) }
}

// message is a record of nginx'.
func message(text, action string, errno syscall.Errno) func(*Facts) {
	return record(gateway.LogRecord{Message: text, Action: action, Errno: int(errno), Upstream: "fastcgi://unix:/run/php/fpm.sock:"})
}

func apache(code, text string, errno int) func(*Facts) {
	return record(gateway.LogRecord{Code: code, Module: "proxy_fcgi", Message: text, Errno: errno})
}

func master(r errlog.FPMRecord) func(*Facts) {
	r.Time = at
	return func(f *Facts) { f.FPM = append(f.FPM, Line[errlog.FPMRecord]{File: "fpm.log", Record: r}) }
}

func dies(file, text string) func(*Facts) {
	return func(f *Facts) {
		f.PHP = append(f.PHP, Line[errlog.PHPError]{File: "error.log", Record: errlog.PHPError{Time: at, Kind: "Fatal error", Message: text, File: file, Line: 3}})
	}
}

func kernelSays(kind, text string, pid int) func(*Facts) {
	return func(f *Facts) {
		f.Host.Kernel = append(f.Host.Kernel, KernelRecord{Source: "kernel", Time: at, Kind: kind, PID: pid, Text: text})
	}
}

func slowlog(file string) func(*Facts) {
	return func(f *Facts) {
		f.Traces = append(f.Traces, Line[errlog.SlowTrace]{File: "slow.log", Record: errlog.SlowTrace{Time: at, Frames: []errlog.Frame{{Func: "sleep", File: file, Line: 9}}}})
	}
}

// workers are n busy ones; more of a state comes from set.
func workers(n int, set func(*Worker)) func(*Facts) {
	return func(f *Facts) {
		f.Pool.MaxChildren, f.Host.Memory, f.Host.MemoryAvailable = n, 4<<30, 2<<30
		for i := range n {
			w := Worker{PID: 100 + i, Age: time.Minute, Busy: true, RSS: 50 << 20}
			if set != nil {
				set(&w)
			}
			f.Pool.Workers = append(f.Pool.Workers, w)
		}
	}
}

func stuck(w *Worker) { w.Stuck, w.Asleep, w.Since = true, true, 40*time.Second }

func queue(n, backlog int) func(*Facts) {
	return func(f *Facts) { f.Socket.Queue, f.Socket.Backlog = n, backlog }
}

func pressedHost(f *Facts) {
	f.Host.CPUs, f.Host.Load, f.Host.CPUStall = 2, 11, 0.8
}

func well(f *Facts) { f.Front = probe.Result{Outcome: probe.Healthy, Status: 200, Start: at} }

func inPlugin(slug string) string { return "/s/wp-content/plugins/" + slug + "/a.php" }

// scenes has one for every cause, of both gateways where these differ.
func scenes() []scene {
	down := func(f *Facts) { f.Pool.PID, f.Socket.Dial = 0, syscall.ECONNREFUSED }
	front, url := func(f *Facts) { f.Front.URL = "https://shop.example/" }, func(u string) func(*Facts) {
		return func(f *Facts) { f.Front.URL = "https://shop.example" + u }
	}
	database := func(err error) func(*Facts) { return func(f *Facts) { f.Database = fmt.Errorf("ask: %w", err) } }
	disk := func(d Disk) func(*Facts) { return func(f *Facts) { f.Host.Disks = append(f.Host.Disks, d) } }
	tunable := func(f *Facts) { f.Allowed.TuneGateway = true }
	maintained := func(age time.Duration) func(*Facts) {
		return func(f *Facts) { f.Maintenance = at.Add(-age) }
	}
	terminated := master(errlog.FPMRecord{Text: "child 7, script '/s/index.php' execution timed out (6.15 sec), terminating", Slow: &errlog.Slow{Terminated: true}})
	segfault := master(errlog.FPMRecord{Text: "child 7 exited on signal 11 (SIGSEGV)", Exit: &errlog.Exit{PID: 7, Signal: 11}})
	tooBig := message("upstream sent too big header", "reading response header from upstream", 0)
	timedOut := message("upstream timed out (110: Connection timed out)", "reading response header from upstream", syscall.ETIMEDOUT)
	out := func(f *Facts) { f.Lint = append(f.Lint, LintFault{"wp-content/uploads/x.php", 4, "syntax error", at}) }
	return []scene{
		{"no address", []func(*Facts){well, func(f *Facts) {
			f.Edge = Edge{Resolver: "1.1.1.1:53", Missing: true, Lookup: errors.New("no such host")}
		}},
			DNSMismatch, "", "records are at the DNS provider", []string{"A (and AAAA) record", "no such host"}},
		{"another host", []func(*Facts){well, func(f *Facts) {
			f.Edge = Edge{Resolver: "1.1.1.1:53", Elsewhere: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")}, Public: probe.Result{Outcome: probe.Fatal, Status: 500}}
		}}, DNSMismatch, "", "records are at the DNS provider", []string{"192.0.2.9", "Point the name's A and AAAA records"}},
		{"Cloudflare cannot connect", []func(*Facts){well, func(f *Facts) {
			f.Edge = Edge{CDN: "Cloudflare", Public: probe.Result{Outcome: probe.Fatal, Status: 521}}
		}},
			CDNOnly, "", "the CDN is not ours", []string{"refuses the CDN's connections", "curl -sI --resolve"}},
		{"Cloudflare gave up", []func(*Facts){well, func(f *Facts) {
			f.Edge = Edge{CDN: "Cloudflare", Public: probe.Result{Outcome: probe.Fatal, Status: 524}}
		}},
			OuterTimeout, "", "the CDN is not ours", []string{"100 s"}},
		{"nginx in front of Apache", []func(*Facts){is(probe.GatewayTimeout, 504), record(gateway.LogRecord{Message: "upstream timed out (110: Connection timed out)",
			Action: "reading response header from upstream", Errno: 110, Upstream: "http://127.0.0.1:8080/"})}, OuterTimeout, "", "the outer proxy's file is a person's", []string{"proxy_read_timeout"}},
		{"a cached 502", []func(*Facts){well, func(f *Facts) {
			f.Visitor = probe.Result{Outcome: probe.BadGateway, Status: 502, Cached: "X-Cache: HIT"}
		}},
			CachedError, RemedyPurge, "", []string{"X-Cache: HIT", "fastcgi_cache_valid 200"}},
		{"a cache hides it", []func(*Facts){func(f *Facts) {
			f.Visitor = probe.Result{Outcome: probe.Healthy, Status: 200, Cached: "X-Cache: STALE"}
		}},
			ComponentFault, RemedyDisable, "", []string{"nothing surer is known"}},

		{"the gateway is gone", []func(*Facts){is(probe.Unreachable, 0), func(f *Facts) {
			f.Server = Server{Kind: "nginx", Unit: "nginx.service", Listen: "10.0.0.1:443", Dial: syscall.ECONNREFUSED}
		}}, GatewayDown, "", "wpmend starts no web servers", []string{"nginx -t && systemctl start nginx.service", "10.0.0.1:443"}},
		{"its configuration is broken", []func(*Facts){is(probe.Unreachable, 0), func(f *Facts) {
			f.Server = Server{Kind: "apache", Dial: syscall.ECONNREFUSED, Test: errors.New("AH00526: Syntax error on line 7"), TestFile: "/etc/apache2/sites-enabled/shop.conf", TestLine: 7}
		}}, GatewayConfig, "", "the file is a person's", []string{"/etc/apache2/sites-enabled/shop.conf:7", "apachectl configtest", "AH00526"}},
		{"nginx has no connections", []func(*Facts){is(probe.Unreachable, 0), message("512 worker_connections are not enough", "", 0)},
			GatewayExhausted, "", "capacity is a person's choice", []string{"worker_connections"}},
		{"Apache has no workers", []func(*Facts){is(probe.GatewayTimeout, 0), apache("AH00484", "server reached MaxRequestWorkers setting, consider raising it", 0)},
			GatewayExhausted, "", "capacity is a person's choice", []string{"MaxRequestWorkers"}},
		{"a rule drops what goes to the pool", []func(*Facts){is(probe.GatewayTimeout, 504), func(f *Facts) {
			f.Socket = Socket{Address: "127.0.0.1:9000", Dial: context.DeadlineExceeded, Queue: 0, Backlog: 511}
			f.Host.Filters = []string{"tcp dport 9000 drop"}
		}}, Firewall, "", "firewalls are not changed", []string{"tcp dport 9000 drop", "nft -a list ruleset"}},

		{"nobody answers at the public address", []func(*Facts){well, func(f *Facts) {
			f.Edge = Edge{Here: true, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Public: probe.Result{Outcome: probe.GatewayTimeout}}
			f.Host.Filters = []string{"tcp dport 443 drop"}
		}}, Firewall, "", "firewalls are not changed", []string{"192.0.2.1", "tcp dport 443 drop"}},
		{"the mode", []func(*Facts){func(f *Facts) { f.Socket.Refused, f.Socket.Mode = true, "Srw-------" }}, SocketPermission, "", "owners are a person's choice", []string{"chown www-data:www-data /run/php/fpm.sock"}},
		{"Apache and the mode", []func(*Facts){is(probe.Unavailable, 503), apache("AH02454", "FCGI: attempt to connect to Unix domain socket /run/php/fpm.sock (localhost:80) failed", 13)},
			SocketPermission, "", "owners are a person's choice", []string{"AH02454", "listen.owner"}},
		{"no socket file", []func(*Facts){func(f *Facts) { f.Socket.Exists, f.Socket.Dial = false, syscall.ENOENT }}, SocketMissing, RemedyRestartFPM, "", []string{"/run/php/fpm.sock does not exist"}},
		{"nobody behind the file", []func(*Facts){is(probe.Unavailable, 503), func(f *Facts) { f.Socket.Dial = syscall.ECONNREFUSED }}, StaleSocket, RemedyRestartFPM, "", []string{"does not listen there"}},
		{"the old version's socket", []func(*Facts){func(f *Facts) {
			f.Socket = Socket{Address: "/run/php/php8.2-fpm.sock", Asked: "/run/php/php7.4-fpm.sock", Unix: true, Dial: syscall.ENOENT}
			f.Pool.Elsewhere, f.Pool.Candidate, f.Location.File = []string{"/run/php/php8.2-fpm.sock"}, "/run/php/php8.2-fpm.sock", "/etc/nginx/sites-enabled/shop"
		}}, WrongSocket, "", "which pool is meant is a person's to say", []string{"fastcgi_pass unix:/run/php/php8.2-fpm.sock;", "proxy:unix:/run/php/php8.2-fpm.sock|fcgi://localhost/", "/etc/nginx/sites-enabled/shop"}},
		{"a name that is none", []func(*Facts){record(gateway.LogRecord{Message: "php.internal could not be resolved (3: Host not found)"})}, UpstreamUnresolved, "", "DNS is a person's", []string{"getent hosts"}},
		{"Apache and a name", []func(*Facts){is(probe.Fatal, 500), apache("AH00898", "DNS lookup failure for: php.internal returned by /", 0)}, UpstreamUnresolved, "", "DNS is a person's", []string{"AH00898"}},
		{"HTTP at the pool's port", []func(*Facts){func(f *Facts) { f.Socket.HTTP = true }}, WrongProtocol, "", "the address is a person's", []string{"an HTTP server answers", "fastcgi_pass"}},
		{"Apache and another protocol", []func(*Facts){is(probe.Unavailable, 503), apache("AH01068", "Got bogus version 72", 0)}, WrongProtocol, "", "the address is a person's", []string{"AH01068"}},
		{"an address that may not", []func(*Facts){func(f *Facts) { f.Socket.Disallowed, f.Socket.Allowed = true, "10.0.0.7" }}, ClientDisallowed, "", "who may is a person's choice", []string{"listen.allowed_clients = 10.0.0.7"}},
		{"SELinux", []func(*Facts){message("connect() to unix:/run/php/fpm.sock failed (13: Permission denied)", "connecting to upstream", syscall.EACCES),
			kernelSays(KernelDenial, `avc: denied { connectto } comm="nginx"`, 0)}, AccessDenied, "", "policies are a person's", []string{"audit2why", "avc: denied"}},

		{"no master", []func(*Facts){func(f *Facts) { f.Pool.PID, f.Socket.Dial = 0, syscall.ENOENT }}, FPMDown, RemedyStartFPM, "", []string{"no PHP-FPM master with /etc/php/8.2/fpm/php-fpm.conf runs", "journalctl -u"}},
		{"no pool is known at all", []func(*Facts){func(f *Facts) {
			f.Pool, f.Socket = Pool{}, Socket{Asked: "/run/php/php8.2-fpm.sock", Unix: true, Dial: syscall.ENOENT}
		}}, FPMDown, "", "which is to be started is not known", []string{"listen = /run/php/php8.2-fpm.sock"}},
		{"LiteSpeed finds nobody", []func(*Facts){is(probe.Unavailable, 503), func(f *Facts) { f.Pool, f.Socket = Pool{}, Socket{} },
			message("[uds://tmp/lshttpd/shop.sock]: Connection refused", "connecting to upstream", syscall.ECONNREFUSED)}, FPMDown, "", "which is to be started is not known", []string{".lsphp_restart.txt"}},
		{"a broken pool file", []func(*Facts){down, func(f *Facts) {
			f.Pool.Test = errors.New("/usr/sbin/php-fpm8.2 -t: exit status 78: [/etc/php/8.2/fpm/pool.d/www.conf:12] unknown entry 'pm.max_childs'; failed to load configuration file")
		}}, FPMConfig, "", "the file is a person's", []string{"Mend /etc/php/8.2/fpm/pool.d/www.conf:12", "unknown entry 'pm.max_childs'", "wpmend heal"}},
		{"killed as a whole", []func(*Facts){down, func(f *Facts) { f.Pool.State.Result = "oom-kill" }, kernelSays(KernelOOM, "Out of memory: Killed process 7 (php-fpm8.2)", 7)},
			FPMOOMKilled, RemedyStartFPM, "", []string{"OOMPolicy=continue", "Killed process 7"}},
		{"started too often", []func(*Facts){down, func(f *Facts) { f.Pool.State = UnitState{Result: "start-limit-hit", Restarts: 5} }}, FPMStartLimit, RemedyStartFPM, "", []string{"reset-failed"}},
		{"full, and memory is there", []func(*Facts){workers(5, nil), queue(9, 100), is(probe.GatewayTimeout, 504), timedOut}, PoolExhausted, RemedyAddWorkers, "", []string{"5 of 5 workers are busy", "9 connections wait", "pm.max_children = 5"}},
		{"full, and no memory is left", []func(*Facts){workers(5, nil), queue(9, 100), func(f *Facts) { f.Host.MemoryAvailable = 420 << 20 }}, PoolExhausted, "", "no memory for more", []string{"no memory for more workers"}},
		{"the gateway is turned away", []func(*Facts){message("connect() to unix:/run/php/fpm.sock failed (11: Resource temporarily unavailable)", "connecting to upstream", syscall.EAGAIN)},
			PoolExhausted, "", "its workers' size is not known", []string{"Resource temporarily unavailable"}},
		{"all stand still", []func(*Facts){workers(4, stuck), queue(3, 100), is(probe.GatewayTimeout, 504)}, WorkersStuck, RemedyEndWorkers, "", []string{"4 of 4 busy workers stand still", "request_terminate_timeout = 60s"}},
		{"all stand still again, in a plugin", []func(*Facts){workers(4, stuck), queue(3, 100), slowlog(inPlugin("slow")), func(f *Facts) { f.Lately = []string{RemedyEndWorkers} }}, WorkersStuck, RemedyDisable, "", []string{"plugin:slow"}},
		{"others' workers stand still", []func(*Facts){workers(4, func(w *Worker) { stuck(w); w.Script = "/other/index.php" }), queue(3, 100), func(f *Facts) {
			f.Owns = func(script string) bool { return strings.HasPrefix(script, "/s/") }
		}}, WorkersStuck, "", "they are another site's", []string{"another site of the same pool"}},
		{"a segfault", []func(*Facts){segfault}, WorkerCrash, RemedyDisable, "", []string{"SIGSEGV"}},
		{"Apache without a word of FPM's", []func(*Facts){is(probe.Unavailable, 503), apache("AH01067", "Failed to read FastCGI header", 0), apache("AH01075", "Error dispatching request to localhost:80:", int(syscall.ECONNRESET))},
			WorkerCrash, RemedyDisable, "", []string{"AH01067"}},
		{"Caddy", []func(*Facts){record(gateway.LogRecord{Message: "EOF", Action: "reading response header from upstream"})}, WorkerCrash, RemedyDisable, "", []string{"EOF"}},
		{"a fresh copy is well", []func(*Facts){is(probe.Fatal, 500), func(f *Facts) { f.Fresh = probe.Result{Outcome: probe.Healthy, Status: 200} }}, OPcachePoisoned, RemedyRestartFPM, "", []string{"fresh copy", "opcache.validate_timestamps"}},
		{"all sites of the pool crash", []func(*Facts){segfault, func(f *Facts) { f.Next = Neighbours{3, 3} }}, OPcachePoisoned, RemedyRestartFPM, "", []string{"3 of 3 other sites"}},

		{"an import computes", []func(*Facts){is(probe.Fatal, 500), url("/wp-admin/admin.php?import=csv"), dies(inPlugin("import"), "Maximum execution time of 30 seconds exceeded")},
			ExecutionTimeout, RemedyRaiseLimit, "", []string{"max_execution_time (30s", "processor time"}},
		{"the front page computes", []func(*Facts){is(probe.Fatal, 500), front, dies(inPlugin("bad"), "Maximum execution time of 30 seconds exceeded")}, ExecutionTimeout, RemedyDisable, "", []string{"30 seconds exceeded"}},
		{"an import is at the ceiling", []func(*Facts){is(probe.Fatal, 500), url("/wp-admin/admin.php"), dies(inPlugin("import"), "Maximum execution time of 300 seconds exceeded"), func(f *Facts) { f.Allowed.Time = 5 * time.Minute }},
			ExecutionTimeout, "", "the ceiling is reached", []string{"ceiling"}},
		{"the front page is ended", []func(*Facts){front, terminated, slowlog(inPlugin("slow"))}, TerminateTimeout, RemedyDisable, "", []string{"it stood in sleep()", "request_terminate_timeout"}},
		{"an export is ended", []func(*Facts){url("/wp-admin/export.php"), terminated, func(f *Facts) { f.Limits.Terminate = 60 * time.Second }}, TerminateTimeout, RemedyRaiseLimit, "", []string{"at least 86s"}},
		{"the front page never answers", []func(*Facts){is(probe.GatewayTimeout, 504), front, timedOut, func(f *Facts) { f.Limits.Gateway = time.Minute }}, GatewayTimeout, RemedyDisable, "", []string{"request_terminate_timeout = 40s", "below the gateway's 60s"}},
		{"an import is given up", []func(*Facts){is(probe.GatewayTimeout, 504), url("/wp-admin/admin-ajax.php"), timedOut, tunable}, GatewayTimeout, RemedyTuneGateway, "", []string{"fastcgi_read_timeout 60s;"}},
		{"an import is given up, and tuning is not allowed", []func(*Facts){is(probe.GatewayTimeout, 504), url("/wp-cron.php"), apache("AH01075", "Error dispatching request to :80: (polling)", gateway.APRTimeout), func(f *Facts) {
			f.Server.Kind, f.Limits.Gateway = "apache", 300*time.Second
		}}, GatewayTimeout, "", "tuning is not allowed", []string{"ProxyTimeout 600", "apachectl configtest"}},

		{"a large header", []func(*Facts){tooBig, func(f *Facts) { f.Location = Location{Buffer: 4096, File: "/etc/nginx/shop.conf"} }}, ResponseHeaderTooBig, "", "tuning is not allowed", []string{"fastcgi_buffer_size 16k;", "/etc/nginx/shop.conf"}},
		{"a large header, and tuning is allowed", []func(*Facts){tooBig, tunable, func(f *Facts) { f.Direct.Header, f.Location.Buffer = 30000, 4096 }}, ResponseHeaderTooBig, RemedyTuneGateway, "", []string{"fastcgi_buffer_size 64k;"}},
		{"no header", []func(*Facts){message(`upstream sent invalid status "lab"`, "reading response header from upstream", 0)}, InvalidHeader, RemedyDisable, "", []string{"invalid status"}},
		{"Apache and no header", []func(*Facts){is(probe.Fatal, 500), apache("AH01070", "Error parsing script headers", 0)}, InvalidHeader, RemedyDisable, "", []string{"AH01070"}},
		{"php_value under FPM", []func(*Facts){is(probe.Fatal, 500), record(gateway.LogRecord{Module: "core", Message: "/var/www/shop/.htaccess: Invalid command 'php_value', perhaps misspelled or defined by a module not included in the server configuration"})},
			HtaccessBroken, "", "the file is a person's", []string{"/var/www/shop/.htaccess", ".user.ini"}},

		{"too much work", []func(*Facts){workers(5, nil), queue(9, 100), pressedHost, is(probe.GatewayTimeout, 504), timedOut}, Overload, "", "no remedy makes processors", []string{"load 11.0 on 2 processors", "limit_req_zone"}},
		{"LiteSpeed's limit", []func(*Facts){is(probe.Fatal, 508)}, Overload, "", "no remedy makes processors", []string{"lveinfo"}},
		{"a crowd", []func(*Facts){workers(5, nil), queue(9, 100), func(f *Facts) {
			f.Visits = Visits{Requests: 900, Rate: 15, Ordinary: 1, Clients: []Tally{{"192.0.2.1", 800}}, URLs: []Tally{{"/xmlrpc.php", 850}}}
		}}, TrafficSpike, "", "turning visitors away is a person's choice", []string{"800 of 900 requests came from 192.0.2.1", "/xmlrpc.php", "deny 192.0.2.1;"}},
		{"many new visitors", []func(*Facts){workers(5, nil), queue(9, 100), func(f *Facts) {
			f.Visits = Visits{Requests: 900, Rate: 15, Ordinary: 1, Clients: []Tally{{"192.0.2.1", 8}}}
		}},
			TrafficSpike, RemedyAddWorkers, "", []string{"15 times as many"}},
		{"the kernel killed a worker", []func(*Facts){kernelSays(KernelOOM, "Memory cgroup out of memory: Killed process 7 (php-fpm8.2)", 7), master(errlog.FPMRecord{Text: "child 7 exited on signal 9 (SIGKILL)", Exit: &errlog.Exit{PID: 7, Signal: 9}})},
			MemoryExhausted, "", "memory cannot be made", []string{"Killed process 7", "pm.max_children"}},
		{"a small memory_limit", []func(*Facts){is(probe.Fatal, 500), dies(inPlugin("shop"), "Allowed memory size of 50331648 bytes exhausted (tried to allocate 20480 bytes)")}, PHPMemoryLimit, RemedyRaiseLimit, "", []string{"memory_limit is 48 MB", ".user.ini"}},
		{"a runaway", []func(*Facts){is(probe.Fatal, 500), dies(inPlugin("shop"), "Allowed memory size of 536870912 bytes exhausted (tried to allocate 20480 bytes)")}, PHPMemoryLimit, RemedyDisable, "", []string{"runs away"}},
		{"a full disk", []func(*Facts){is(probe.Fatal, 500), disk(Disk{For: "site", Path: "/var/www", Total: 10 << 30, Free: 4096})}, DiskFull, "", "nothing is deleted", []string{"/var/www", "df -h /var/www"}},
		{"no inodes", []func(*Facts){is(probe.Fatal, 500), disk(Disk{For: "sessions", Path: "/var/lib/php/sessions", Total: 10 << 30, Free: 5 << 30, Inodes: 1000})}, DiskFull, "", "nothing is deleted", []string{"no inode left of 1000", "df -i"}},
		{"no descriptors", []func(*Facts){func(f *Facts) { f.Server = Server{Kind: "nginx", PID: 3, Files: 1023, MaxFiles: 1024} }}, FileDescriptors, "", "limits of the unit are a person's", []string{"worker_rlimit_nofile", "1023 of 1024"}},

		{"no database", []func(*Facts){is(probe.DBError, 500), database(wp.ErrDatabaseDown)}, DBDown, "", "wpmend starts no databases", []string{"systemctl start mariadb"}},
		{"no connections", []func(*Facts){is(probe.DBError, 500), database(wp.ErrDatabaseBusy)}, DBConnections, "", "capacity is a person's choice", []string{"SET GLOBAL max_connections"}},
		{"a wrong password", []func(*Facts){is(probe.DBError, 500), database(wp.ErrCredentials)}, DBCredentials, "", "passwords are a person's", []string{"DB_PASSWORD", "ALTER USER"}},
		{"another database", []func(*Facts){is(probe.DBError, 500), database(wp.ErrNoDatabase)}, DBCredentials, "", "passwords are a person's", []string{"SHOW DATABASES"}},
		{"a damaged table", []func(*Facts){is(probe.DBError, 500), database(wp.ErrTableCrashed)}, DBTableCrashed, "", "data is not touched", []string{"wp db repair"}},
		{"the database's disk", []func(*Facts){is(probe.DBError, 500), database(wp.ErrDatabaseFull), disk(Disk{For: "database", Path: "/var/lib/mysql", Total: 1 << 30})}, DBDiskFull, "", "nothing is deleted", []string{"PURGE BINARY LOGS", "/var/lib/mysql"}},

		{"a forgotten file", []func(*Facts){is(probe.Maintenance, 503), maintained(time.Hour)}, Maintenance, RemedyMaintenance, "", []string{"remove .maintenance", "1h0m0s old"}},
		{"an update just now", []func(*Facts){is(probe.Maintenance, 503), maintained(time.Minute)}, Maintenance, "", "an update may be under way", []string{"10m0s after the file was written"}},
		{"an update that lasts", []func(*Facts){is(probe.Maintenance, 503), maintained(time.Hour), func(f *Facts) { f.Updating = "wp-content/upgrade/akismet" }}, Maintenance, "", "an update is under way", []string{"wp-content/upgrade/akismet"}},
		{"closed on purpose", []func(*Facts){is(probe.Maintenance, 503)}, Maintenance, "", "somebody wants it so", []string{"on purpose"}},
		{"files are being replaced", []func(*Facts){is(probe.Fatal, 500), dies(inPlugin("half"), "Uncaught Error: x"), func(f *Facts) { f.Updating = "wp-content/upgrade/half" }}, UpdateBroken, "", "an update may be under way", []string{"wp plugin install NAME --force"}},
		{"a core update broke off", []func(*Facts){is(probe.Fatal, 500), maintained(time.Hour), func(f *Facts) { f.CoreDamaged = []wp.CoreFault{{File: "wp-load.php", What: wp.CoreEmpty}} }}, UpdateBroken, "", "code is not made up", []string{"wp core update --force", "wp-load.php"}},
		{"core files are gone", []func(*Facts){is(probe.Fatal, 500), func(f *Facts) { f.CoreDamaged = []wp.CoreFault{{File: "wp-includes/kses.php", What: wp.CoreMissing}} }}, CoreDamaged, "", "code is not made up", []string{"wp core download --force"}},
		{"wp-config.php does not parse", []func(*Facts){is(probe.Fatal, 500), func(f *Facts) {
			f.Lint = []LintFault{{"wp-config.php", 31, `syntax error, unexpected identifier "define"`, at}}
		}}, ConfigBroken, "", "the file is a person's", []string{"wp-config.php:31", "unexpected identifier"}},
		{"wp-config.php cannot be read", []func(*Facts){is(probe.Fatal, 500), func(f *Facts) { f.Unread = errors.New("open wp-config.php: permission denied") }}, ConfigBroken, "", "the file is a person's", []string{"permission denied", "chmod 0640"}},
		{"a plugin does not parse", []func(*Facts){is(probe.Fatal, 500), func(f *Facts) {
			f.Root, f.Lint = "/s", []LintFault{{"wp-content/plugins/edited/a.php", 8, "syntax error", at}}
		}}, CodeUnparsable, RemedyDisable, "", []string{"wp-content/plugins/edited/a.php:8", "plugin:edited"}},
		{"other code does not parse", []func(*Facts){is(probe.Fatal, 500), out}, CodeUnparsable, "", "it is no component", []string{"wp-content/uploads/x.php:4", "no component"}},
		{"the firewall's file is gone", []func(*Facts){is(probe.Fatal, 500), dies("Unknown", "Failed opening required '/s/wordfence-waf.php' (include_path='.:/usr/share/php')")}, PrependMissing, "", "the setting is a person's", []string{"/s/wordfence-waf.php", "grep -rs auto_prepend_file"}},
		{"the theme is gone", []func(*Facts){is(probe.Blank, 200), func(f *Facts) { f.ThemeMissing = "wp-content/themes/astra" }}, ThemeMissing, "", "a theme is chosen by a person", []string{"wp theme install astra"}},
		{"Redis is gone", []func(*Facts){is(probe.DBError, 500), func(f *Facts) { f.ObjectCache = true }}, ObjectCacheDown, RemedyDisable, "", []string{"redis-cli ping"}},
		{"a fatal in a plugin", []func(*Facts){is(probe.Fatal, 500), dies(inPlugin("bad"), "Uncaught Error: x")}, ComponentFault, RemedyDisable, "", []string{"plugins/bad/a.php:3"}},
	}
}
