package fpm

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// PrivateOptions says how a private copy of a pool is to run.
type PrivateOptions struct {
	// Dir: for StartPrivate the folder in which each copy gets one of its own (/run/wpmend/shadow); for PrivateConfig the
	// copy's own folder.
	Dir     string
	Prepend []byte // PHP that runs before every script
	Workers int    // 1 to 8; 0 is 2
	// SlowlogTimeout is how long a request may take before its stack is traced; whole seconds, at least one.
	SlowlogTimeout time.Duration
	// OpenBasedir is the one of php.ini, for a pool that sets none; StartPrivate asks the binary.
	OpenBasedir string
	// Overlays keep the copy's writes out of the live files and hide some of them; ErrNoOverlay where that cannot be had.
	Overlays []Overlay
}

const (
	defaultWorkers, maxWorkers = 2, 8
	// terminateAfter is the end of any request, should its asker have forgotten it.
	terminateAfter = 60 * time.Second
	traceDepth     = 40
	// unopenable makes PHP hand its messages to FastCGI: php_log_err falls back to the SAPI when the file cannot be opened.
	// An empty value will not do, FPM turns it into its prefix. As an admin value no ini_set (WP_DEBUG_LOG) changes it.
	unopenable = "/dev/null/none"
)

// What a copy takes over from its pool. Everything else is left behind: how it listens, counts its workers, logs, and
// answers status requests would make it another live pool.
var copied = map[string]bool{
	"user": true, "group": true, "chdir": true, "clear_env": true, "security.limit_extensions": true, "rlimit_files": true,
	"rlimit_core": true, "process.priority": true, "process.dumpable": true,
}

var copiedArrays = map[string]bool{"env": true, "php_value": true, "php_flag": true, "php_admin_value": true, "php_admin_flag": true}

// What we set ourselves, in whatever way the pool set it.
var ownSettings = map[string]bool{
	"auto_prepend_file": true, "open_basedir": true, "error_log": true, "log_errors": true, "sendmail_path": true, "fastcgi.logging": true,
	"opcache.validate_timestamps": true, "opcache.revalidate_freq": true, "opcache.preload": true,
}

var (
	safeName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,127}$`)
	safeSub  = regexp.MustCompile(`^[A-Za-z0-9_.][A-Za-z0-9_. -]{0,127}$`)
	safePath = regexp.MustCompile(`^/[A-Za-z0-9_.@+/-]{1,200}$`)
)

// PrivateConfig is the php-fpm.conf of a private copy of p: its rights, environment and PHP settings, with our socket,
// workers, logs and prepend. It is pure; a value that could become another directive is an error.
func PrivateConfig(m Master, p Pool, o PrivateOptions) ([]byte, error) {
	b, err := privateConfig(m, p, o)
	if err != nil {
		return nil, fmt.Errorf("private copy of pool %s: %w", p.Name, err)
	}
	return b, nil
}

func privateConfig(m Master, p Pool, o PrivateOptions) ([]byte, error) {
	if !safeName.MatchString(p.Name) || strings.EqualFold(p.Name, "global") {
		return nil, errors.New("its name cannot be written safely")
	}
	if !safePath.MatchString(o.Dir) || filepath.Clean(o.Dir) != o.Dir {
		return nil, fmt.Errorf("its folder %q is not a plain absolute path", o.Dir)
	}
	if root, _ := p.Get("chroot"); root != "" {
		return nil, errors.New("it runs in a chroot, where our prepend cannot be seen")
	}
	seconds := max(1, int64(math.Ceil(o.SlowlogTimeout.Seconds())))
	if seconds >= int64(terminateAfter/time.Second) {
		return nil, fmt.Errorf("a slow-log timeout of %s is not below the %s that any request may take", o.SlowlogTimeout, terminateAfter)
	}
	c := conf{dir: o.Dir}
	c.line(privateMark + "Safe to remove with its folder when no wpmend runs.")
	c.line("[global]")
	c.own("error_log", c.path("fpm.log"))
	c.own("log_level", "notice")
	c.own("log_limit", "8192")
	c.line("daemonize = no")
	// The limits of the live master are what its workers inherit.
	for _, d := range m.Global {
		if d.Key == "rlimit_files" || d.Key == "rlimit_core" {
			c.copy(d)
		}
	}
	c.line("[" + p.Name + "]")
	for _, d := range p.Directives {
		c.pool(d)
	}
	c.own("listen", c.path("s/fpm.sock"))
	c.own("listen.owner", "root")
	c.own("listen.group", "root")
	c.own("listen.mode", "0600")
	c.own("pm", "static")
	c.own("pm.max_children", fmt.Sprint(workers(o.Workers)))
	c.own("slowlog", c.path("slow.log"))
	c.own("request_slowlog_timeout", fmt.Sprintf("%ds", seconds))
	c.own("request_slowlog_trace_depth", fmt.Sprint(traceDepth))
	c.own("request_terminate_timeout", fmt.Sprintf("%ds", int(terminateAfter/time.Second)))
	c.line("catch_workers_output = no")
	c.own("php_admin_value[auto_prepend_file]", c.path("p/prepend.php"))
	basedir, set := openBasedir(p, o)
	switch {
	case basedir != "":
		c.own("php_admin_value[open_basedir]", basedir+":"+c.path("p")+"/")
	case set:
		// The pool takes back what php.ini sets.
		c.line("php_admin_value[open_basedir] = none")
	}
	c.own("php_admin_value[error_log]", unopenable)
	c.own("php_admin_value[log_errors]", "1")
	c.own("php_admin_value[fastcgi.logging]", "1")
	// PHP's mail() asks nobody: what is tried here must not write to people.
	c.own("php_admin_value[sendmail_path]", "/bin/true")
	// A component that is put back or changed while the copy lives must be seen by the next request.
	c.own("php_admin_value[opcache.validate_timestamps]", "1")
	c.own("php_admin_value[opcache.revalidate_freq]", "0")
	if c.err != nil {
		return nil, c.err
	}
	return []byte(c.b.String()), nil
}

func workers(n int) int {
	if n == 0 {
		return defaultWorkers
	}
	return min(max(n, 1), maxWorkers)
}

// openBasedir is the one in force before any .user.ini: an admin value, a value, else that of php.ini. set says whether
// the pool sets it, be it to nothing.
func openBasedir(p Pool, o PrivateOptions) (value string, set bool) {
	for _, family := range []string{"php_admin_value", "php_admin_flag", "php_value", "php_flag"} {
		if v, ok := p.Get(family + "[open_basedir]"); ok {
			return strings.TrimRight(v, ":"), true
		}
	}
	return strings.TrimRight(o.OpenBasedir, ":"), false
}

// conf writes a configuration; the first value that cannot be written safely is kept as its error.
type conf struct {
	b   strings.Builder
	dir string
	err error
}

func (c *conf) line(text string) { c.b.WriteString(text + "\n") }

func (c *conf) path(name string) string { return c.dir + "/" + name }

func (c *conf) fail(key string, err error) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %w", key, err)
	}
}

func (c *conf) own(key, value string) {
	quoted, err := quote(value)
	if err != nil {
		c.fail(key, err)
		return
	}
	c.line(key + " = " + quoted)
}

func (c *conf) pool(d Directive) {
	base, sub, array := strings.Cut(d.Key, "[")
	sub, closed := strings.CutSuffix(sub, "]")
	switch {
	case !array && copied[base]:
		c.copy(d)
	case array && copiedArrays[base] && (base == "env" || !ownSettings[strings.ToLower(sub)]):
		if !closed || !safeSub.MatchString(sub) {
			c.fail(d.Key, errors.New("its name cannot be written safely"))
			return
		}
		c.copy(d)
	}
}

// copy writes a directive of the live configuration. As written it is taken only if it still says the same on its own.
func (c *conf) copy(d Directive) {
	if d.Key == "chdir" && d.Value != "" && !filepath.IsAbs(d.Value) {
		c.fail(d.Key, fmt.Errorf("%q is relative to what is not known here", d.Value))
		return
	}
	if d.Raw == "" {
		// As Value is as it was written, it goes back bare where it can: a constant in quotes is none any more.
		if _, raw, err := parseValue(d.Value); err == nil && raw == d.Value && !strings.ContainsAny(d.Value, "\x00\r\n") {
			c.line(d.Key + " = " + d.Value)
			return
		}
		c.own(d.Key, d.Value)
		return
	}
	if strings.ContainsAny(d.Raw, "\x00\r\n") {
		c.fail(d.Key, errors.New("a value may not hold a line break or a NUL"))
		return
	}
	if _, raw, err := parseValue(d.Raw); err != nil || raw != d.Raw {
		c.fail(d.Key, errors.New("its value is more than one value"))
		return
	}
	c.line(d.Key + " = " + d.Raw)
}
