package diagnose

import (
	"cmp"
	"strings"
	"syscall"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
)

func gatewayDown(f Facts) (Cause, bool) {
	if f.Server.Dial == nil && f.Front.Outcome != probe.Unreachable {
		return Cause{}, false
	}
	c := Cause{Cause: GatewayDown, Confidence: 0.8}
	name := cmp.Or(f.Server.Kind, "the gateway")
	switch {
	case f.Server.Dial != nil && f.Server.PID == 0:
		c.Confidence = 0.99
		c.say(f, "process list", "no %s master runs", name)
	case f.Server.Dial != nil:
		c.Confidence = told
		c.say(f, "process list", "%s runs (pid %d)", name, f.Server.PID)
	}
	if f.Server.Dial != nil {
		c.say(f, "connection", "%s: %v", f.Server.Listen, f.Server.Dial)
	} else {
		c.say(f, "answer", "nobody accepts connections where the site's vhost listens (%s)", f.Front.Detail)
	}
	u := unit(f.Server.Unit, unitOf(f.Server.Kind))
	if f.Server.PID == 0 {
		c.advise("Test and start it: %s && systemctl start %s; if it does not stay up: journalctl -u %s -n 50. If the port is taken: ss -lntp.", testOf(f.Server.Kind), u, u)
	} else {
		c.advise("It runs, and does not accept at %s: compare with its listen directives (ss -lntp), then %s; a change of listen from * to an address needs systemctl restart %s.", cmp.Or(f.Server.Listen, "the vhost's address"), f.testAndReload(), u)
	}
	return c, true
}

func gatewayConfig(f Facts) (Cause, bool) {
	if f.Server.Test == nil {
		return Cause{}, false
	}
	c := Cause{Cause: GatewayConfig, Confidence: beside} // it runs with what it read before
	if f.Server.PID == 0 {
		c.Confidence = 0.99
	} else if f.Server.Dial != nil {
		c.Confidence = sure
	}
	c.say(f, "configuration", "%v", f.Server.Test)
	where := "the place that it names"
	if f.Server.TestFile != "" {
		where = sentence("%s:%d", f.Server.TestFile, f.Server.TestLine)
	}
	c.advise("Mend %s, test it (%s), then systemctl start %s. Until then no reload takes effect either; what runs now runs with the old configuration.", where, testOf(f.Server.Kind), unit(f.Server.Unit, unitOf(f.Server.Kind)))
	return c, true
}

func testOf(kind string) string {
	switch kind {
	case "apache":
		return "apachectl configtest"
	case "nginx", "":
		return "nginx -t"
	}
	return kind + "'s own test"
}

func unitOf(kind string) string {
	if kind == "apache" {
		return "apache2" // RHEL: httpd
	}
	return cmp.Or(shell(cmp.Or(kind, "nginx")), "nginx")
}

func gatewayExhausted(f Facts) (Cause, bool) {
	c := Cause{Cause: GatewayExhausted, Confidence: textOnly}
	weak := true
	for _, l := range f.Gateway {
		r := l.Record
		switch {
		case strings.HasSuffix(r.Message, "worker_connections are not enough"), strings.Contains(r.Message, "worker_connections are not enough, reusing"),
			r.Code == "AH00161", r.Code == "AH00484", r.Code == "AH03490":
			weak = false
		case r.Code == "AH10159": // near it
		default:
			continue
		}
		c.Evidence = append(c.Evidence, evidence(l.File, r.Time, words(r)))
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	switch f.Front.Outcome {
	case probe.Unreachable, probe.GatewayTimeout, probe.Incomplete, probe.Unavailable:
		if !weak {
			c.Confidence = told
		}
	case probe.Fatal: // nginx answers 500 to whom it has no connection for
		if !weak && f.Front.Status == 500 && f.Direct.Answered() {
			c.Confidence = 0.85
		}
	}
	c.advise("nginx: raise worker_connections (events block of nginx.conf; worker_rlimit_nofile to twice as much). Apache: raise MaxRequestWorkers and ServerLimit of its MPM (event: ThreadsPerChild × ServerLimit), as memory allows. Then %s. Who holds the connections: ss -tn state established | awk '{print $4}' | cut -d: -f1 | sort | uniq -c | sort -rn | head", f.testAndReload())
	return c, true
}

func fileDescriptors(f Facts) (Cause, bool) {
	c := Cause{Cause: FileDescriptors, Confidence: textOnly, Evidence: f.records(func(r gateway.LogRecord) bool {
		return syscall.Errno(r.Errno) == syscall.EMFILE || syscall.Errno(r.Errno) == syscall.ENFILE
	})}
	if len(c.Evidence) > 0 && (f.lost() || f.late() || f.Front.Outcome == probe.Unreachable || f.Front.Status == 500) {
		c.Confidence = told
	}
	const nearly = 0.98
	if s := f.Server; s.MaxFiles > 0 && float64(s.Files) >= nearly*float64(s.MaxFiles) {
		c.Confidence = proven
		c.say(f, "process list", "a worker of %s holds %d of %d files", cmp.Or(s.Kind, "the gateway"), s.Files, s.MaxFiles)
	}
	if h := f.Host; h.MaxFiles > 0 && float64(h.Files) >= nearly*float64(h.MaxFiles) {
		c.Confidence = proven
		c.say(f, "host", "%d of %d files of the host are open", h.Files, h.MaxFiles)
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.advise("nginx: worker_rlimit_nofile 65535; in the main block, then nginx -t && nginx -s reload. Others: LimitNOFILE=65535 in a drop-in (systemctl edit %s), then systemctl restart. Host: sysctl -w fs.file-max=…. Who holds them: ls /proc/*/fd 2>/dev/null | awk '/^\\/proc/{p=$0;next} NF{n[p]++} END{for(p in n) print n[p],p}' | sort -rn | head -5",
		unit(f.Server.Unit, unitOf(f.Server.Kind)))
	return c, true
}
