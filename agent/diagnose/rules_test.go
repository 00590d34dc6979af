package diagnose

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/php/errlog"
	"wpmend/wp"
)

var at = time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)

// failing are the facts of a site that answers 502 for reasons yet unknown.
func failing() Facts {
	return Facts{
		Front:  probe.Result{Outcome: probe.BadGateway, Signature: "502", Start: at},
		Pool:   Pool{Name: "www", Config: "/etc/php/8.2/fpm/php-fpm.conf", PID: 7, File: "/etc/php/8.2/fpm/pool.d/www.conf"},
		Socket: Socket{Address: "/run/php/fpm.sock", Unix: true, Exists: true, Mode: "Srw-rw----", Owner: "www-data:www-data", Gateway: "www-data"},
		Blame: func(file string) (string, bool) {
			_, rest, ok := strings.Cut(file, "/plugins/")
			slug, _, _ := strings.Cut(rest, "/")
			return "plugin:" + slug, ok
		},
	}
}

func TestCauses(t *testing.T) {
	t.Parallel()
	nginx := func(message, action string, errno syscall.Errno) func(*Facts) {
		return func(f *Facts) {
			f.Gateway = append(f.Gateway, Line[gateway.LogRecord]{File: "error.log", Record: gateway.LogRecord{Time: at, Message: message, Action: action, Errno: int(errno)}})
		}
	}
	master := func(r errlog.FPMRecord) func(*Facts) {
		return func(f *Facts) { f.FPM = append(f.FPM, Line[errlog.FPMRecord]{File: "fpm.log", Record: r}) }
	}
	outcome := func(o probe.Outcome) func(*Facts) { return func(f *Facts) { f.Front.Outcome = o } }
	for name, tc := range map[string]struct {
		with   []func(*Facts)
		want   string // the first cause
		remedy string
		says   string // within its evidence or advice
	}{
		"nobody listens and no master runs": {[]func(*Facts){func(f *Facts) {
			f.Pool.PID, f.Socket.Dial = 0, syscall.ENOENT
		}}, FPMDown, RemedyStartFPM, "no PHP-FPM master with /etc/php/8.2/fpm/php-fpm.conf runs"},
		"the gateway may not connect": {[]func(*Facts){
			nginx("connect() to unix:/run/php/fpm.sock failed (13: Permission denied)", "connecting to upstream", syscall.EACCES)},
			SocketPermission, "", "chown www-data:www-data /run/php/fpm.sock && chmod 0660 /run/php/fpm.sock"},
		"the mode alone shows it": {[]func(*Facts){func(f *Facts) { f.Socket.Refused, f.Socket.Mode = true, "Srw-------" }},
			SocketPermission, "", "Srw-------"},
		"the pool itself is well": {[]func(*Facts){func(f *Facts) {
			f.Socket.Refused, f.Direct = true, probe.Result{Outcome: probe.Healthy, Status: 200}
		}}, SocketPermission, "", "asked past the gateway, PHP answers well (200)"},
		"no database":                             {[]func(*Facts){outcome(probe.DBError), func(f *Facts) { f.Database = errors.New("refused") }}, DBDown, "", "refused"},
		"WordPress says so only":                  {[]func(*Facts){outcome(probe.DBError)}, DBDown, "", "has no database"},
		"the database is silent":                  {[]func(*Facts){outcome(probe.Fatal), func(f *Facts) { f.Database = fmt.Errorf("ask: %w", wp.ErrDatabaseDown) }}, DBDown, "", "does not answer"},
		"we may not ask, and PHP fails otherwise": {[]func(*Facts){outcome(probe.Fatal), func(f *Facts) { f.Database = wp.ErrCredentials }}, ComponentFault, RemedyDisable, "fatal error"},
		"the pool says so past a barred front": {[]func(*Facts){outcome(probe.Barred), func(f *Facts) {
			f.Direct = probe.Result{Outcome: probe.DBError, Signature: "db-error"}
		}}, DBDown, "", "has no database"},
		"an update that broke off": {[]func(*Facts){outcome(probe.Fatal), func(f *Facts) {
			f.CoreDamaged = []wp.CoreFault{{File: "wp-includes/kses.php", What: wp.CoreMissing}}
		}}, CoreDamaged, "", "wp-includes/kses.php is missing"},
		"a core that somebody patched": {[]func(*Facts){outcome(probe.Fatal), func(f *Facts) {
			f.CoreDamaged = []wp.CoreFault{{File: "wp-includes/kses.php", What: wp.CoreChanged}}
		}}, ComponentFault, RemedyDisable, "fatal error"},
		"maintenance": {[]func(*Facts){outcome(probe.Maintenance)}, Maintenance, "", "remove .maintenance"},
		"a large header": {[]func(*Facts){nginx("upstream sent too big header while reading response header from upstream", "reading response header from upstream", 0)},
			ResponseHeaderTooBig, "", "fastcgi_buffer_size"},
		"a worker that was ended for its time": {[]func(*Facts){
			master(errlog.FPMRecord{Text: "execution timed out", Slow: &errlog.Slow{Terminated: true}}),
			master(errlog.FPMRecord{Text: "exited on signal 15", Exit: &errlog.Exit{Signal: 15, SignalName: "SIGTERM"}})},
			TerminateTimeout, RemedyDisable, "execution timed out"},
		"a worker that crashed": {[]func(*Facts){master(errlog.FPMRecord{Text: "exited on signal 11 (SIGSEGV)", Exit: &errlog.Exit{Signal: 11, SignalName: "SIGSEGV"}})},
			WorkerCrash, RemedyDisable, "SIGSEGV"},
		"a fatal in a plugin": {[]func(*Facts){outcome(probe.Fatal), func(f *Facts) {
			f.PHP = append(f.PHP, Line[errlog.PHPError]{File: "error.log", Record: errlog.PHPError{Kind: "Fatal error", Message: "Uncaught Error: x", File: "/s/wp-content/plugins/bad/a.php", Line: 3}})
		}}, ComponentFault, RemedyDisable, "plugins/bad/a.php:3"},
		"an empty page": {[]func(*Facts){outcome(probe.Blank)}, ComponentFault, RemedyDisable, "empty"},
	} {
		f := failing()
		for _, set := range tc.with {
			set(&f)
		}
		causes := Causes(f)
		if len(causes) == 0 || causes[0].Cause != tc.want {
			t.Errorf("%s: got %+v, want %s first", name, causes, tc.want)
			continue
		}
		c := causes[0]
		if got := c.Remedy; (got == nil) != (tc.remedy == "") || (got != nil && *got != tc.remedy) {
			t.Errorf("%s: remedy %v, want %q", name, got, tc.remedy)
		}
		text := c.Advice
		for _, e := range c.Evidence {
			text += "\n" + e.Text
		}
		if !strings.Contains(text, tc.says) {
			t.Errorf("%s: %q does not say %q", name, text, tc.says)
		}
		if Meaning(c.Cause) == "" {
			t.Errorf("%s has no meaning for people", c.Cause)
		}
	}
}

func TestNothingKnown(t *testing.T) {
	t.Parallel()
	f := failing()
	f.FPM = append(f.FPM, Line[errlog.FPMRecord]{Record: errlog.FPMRecord{Text: "child 1 exited with code 0", Exit: &errlog.Exit{}}})
	if causes := Causes(f); len(causes) != 0 || causes == nil {
		t.Errorf("a recycled worker explains nothing: %+v", causes)
	}
}

// A web server that runs PHP itself has no pool that could be down.
func TestNoPoolIsNotDown(t *testing.T) {
	t.Parallel()
	f := failing()
	f.Pool, f.Socket = Pool{}, Socket{}
	if causes := Causes(f); len(causes) != 0 {
		t.Errorf("%+v", causes)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	t.Parallel()
	if e := evidence("log", at, strings.Repeat("ä", 10_000)); len(e.Text) > maxEvidence+len("…") || !strings.HasSuffix(e.Text, "…") {
		t.Errorf("%d bytes", len(e.Text))
	}
}
