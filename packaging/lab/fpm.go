package lab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	fpmBinary     = "/usr/sbin/php-fpm8.2"
	firstPoolPort = 9000
	stopLimit     = 15 * time.Second
)

// poolUser finds the user and group of the pools. A user without a name gets the
// group of its own number, as useradd would.
func poolUser(uid uint32) (uint32, uint32, error) {
	if uid == 0 {
		www, err := credentialOf("www-data")
		if err != nil {
			return 0, 0, err
		}
		return www.Uid, www.Gid, nil
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10)); err == nil {
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("cannot use pool user %d: gid %q: %w", uid, u.Gid, err)
		}
		return uid, uint32(gid), nil
	}
	return uid, uid, nil
}

// FPMConfig is the path of the configuration of FPM master i, counted from 0; its
// process title is "php-fpm: master process (PATH)".
func (l *Lab) FPMConfig(i int) string {
	return filepath.Join(l.Dir, "fpm"+number(i), "php-fpm.conf")
}

// number tells the second of a kind and those after it from the first.
func number(i int) string {
	if i == 0 {
		return ""
	}
	return strconv.Itoa(i + 1)
}

// FPMLog is the path of the error log of FPM master i, counted from 0.
func (l *Lab) FPMLog(i int) string {
	return filepath.Join(l.Dir, "logs", "php-fpm"+number(i)+".log")
}

// SlowLog is the path of a site's slow log; empty without Options.SlowlogTimeout.
func (l *Lab) SlowLog(site int) string {
	if l.o.SlowlogTimeout == 0 {
		return ""
	}
	return filepath.Join(l.Dir, "logs", l.sites[site].Pool+".slow.log")
}

func (l *Lab) configureFPM() error {
	for m := range l.o.Masters {
		pools := filepath.Join(filepath.Dir(l.FPMConfig(m)), "pool.d")
		if err := os.MkdirAll(pools, 0o755); err != nil {
			return fmt.Errorf("cannot configure FPM: %w", err)
		}
		// rlimit_core: a worker that is made to crash must not leave its core in the site.
		config := "[global]\n" +
			"pid = " + filepath.Join(l.Dir, "run", "php-fpm"+number(m)+".pid") + "\n" +
			"error_log = " + l.FPMLog(m) + "\n" +
			"log_level = notice\n" +
			"rlimit_core = 0\n" +
			"include = " + pools + "/*.conf\n"
		if err := os.WriteFile(l.FPMConfig(m), []byte(config), 0o644); err != nil {
			return fmt.Errorf("cannot configure FPM: %w", err)
		}
		for i := m; i < len(l.sites); i += l.o.Masters {
			name := filepath.Join(pools, l.sites[i].Pool+".conf")
			if err := os.WriteFile(name, []byte(l.poolConfig(i)), 0o644); err != nil {
				return fmt.Errorf("cannot configure pool %s: %w", l.sites[i].Pool, err)
			}
		}
	}
	return nil
}

func (l *Lab) poolConfig(i int) string {
	s := l.sites[i]
	var b strings.Builder
	set := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, value) }
	fmt.Fprintf(&b, "[%s]\n", s.Pool)
	set("user", userName(l.uid))
	set("group", groupName(l.gid))
	set("listen", s.Socket)
	if !l.o.TCP {
		set("listen.owner", "www-data") // nginx's workers
		set("listen.group", "www-data")
		set("listen.mode", "0660")
	}
	if len(l.sites) > 8 { // idle workers of a hundred pools would fill the machine
		set("pm", "ondemand")
	} else {
		set("pm", "dynamic")
		set("pm.start_servers", "1")
		set("pm.min_spare_servers", "1")
		set("pm.max_spare_servers", strconv.Itoa(min(2, l.o.MaxChildren)))
	}
	set("pm.max_children", strconv.Itoa(l.o.MaxChildren))
	set("pm.status_path", "/fpm-status")
	if l.o.TerminateTimeout > 0 {
		set("request_terminate_timeout", seconds(l.o.TerminateTimeout))
	}
	if l.o.SlowlogTimeout > 0 {
		set("request_slowlog_timeout", seconds(l.o.SlowlogTimeout))
		set("slowlog", l.SlowLog(i))
	}
	for _, e := range s.environment(l.dbSocket()) {
		set("env["+e[0]+"]", iniText(e[1]))
	}
	// A mail of WordPress' fatal error handler must not leave the machine.
	set("php_admin_value[sendmail_path]", "/bin/true")
	// OPcache looks at a file again only after revalidate_freq seconds (2 by default).
	// With 0 a fault is seen by the next request, so a test need not sleep. It is set
	// here, not by -d, to hold for a master that somebody else starts from this file.
	set("php_admin_value[opcache.revalidate_freq]", "0")
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d/time.Second)) }

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id // FPM takes numbers
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

// FPMMasters returns the pids of the running masters of the lab, whoever started
// them: they are found by their titles.
func (l *Lab) FPMMasters() []int {
	var pids []int
	for m := range l.o.Masters {
		found := processes("php-fpm: master process (" + l.FPMConfig(m) + ")")
		for _, pid := range found {
			// A worker bears its master's title until it has set its own.
			if !slices.ContainsFunc(found, func(other int) bool { return slices.Contains(children(other), pid) }) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// FPMMaster returns the pid of the lab's first FPM master; 0: it does not run.
func (l *Lab) FPMMaster() int {
	if pids := processes("php-fpm: master process (" + l.FPMConfig(0) + ")"); len(pids) > 0 {
		return pids[0]
	}
	return 0
}

// StartFPM starts the masters that do not run and waits until all pools accept.
func (l *Lab) StartFPM() error {
	for m := range l.o.Masters {
		if len(processes("php-fpm: master process ("+l.FPMConfig(m)+")")) > 0 {
			continue
		}
		name := "php-fpm" + number(m)
		if err := l.launch(name, nil, fpmBinary, "--nodaemonize", "--fpm-config", l.FPMConfig(m)); err != nil {
			return err
		}
		for i := m; i < len(l.sites); i += l.o.Masters {
			if err := l.await(name, 30*time.Second, l.sites[i].accepts); err != nil {
				return err
			}
		}
	}
	return nil
}

// accepts says whether the site's pool takes connections.
func (s Site) accepts() bool {
	network := "unix"
	if !filepath.IsAbs(s.Socket) {
		network = "tcp"
	}
	return accepting(network, s.Socket)
}

func accepting(network, address string) bool {
	conn, err := net.Dial(network, address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// StopFPM ends the lab's FPM masters, whoever started them; their sockets go.
func (l *Lab) StopFPM() error { return terminate(l.FPMMasters(), stopLimit) }

// ReloadFPM makes all masters read their configuration again (SIGUSR2) and waits
// until each has said that it is ready.
func (l *Lab) ReloadFPM(ctx context.Context) error {
	for m := range l.o.Masters {
		pids := processes("php-fpm: master process (" + l.FPMConfig(m) + ")")
		if len(pids) == 0 {
			return fmt.Errorf("cannot reload the FPM master of %s: it does not run", l.FPMConfig(m))
		}
		ready := func() int {
			log, err := os.ReadFile(l.FPMLog(m))
			if err != nil {
				return 0
			}
			return bytes.Count(log, []byte("NOTICE: ready to handle connections"))
		}
		before := ready()
		if err := syscall.Kill(pids[0], syscall.SIGUSR2); err != nil {
			return fmt.Errorf("cannot reload FPM master %d: %w", pids[0], err)
		}
		for ready() == before {
			select {
			case <-ctx.Done():
				return fmt.Errorf("FPM master %d does not come back from its reload: %w", pids[0], ctx.Err())
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	return nil
}
