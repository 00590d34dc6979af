// Package evidence gathers the facts of one site at one moment: log records,
// sockets, processes, the database. It decides nothing and changes nothing.
//
// Its invariant: log records are taken only from behind the marks that were set
// when the incident began, and only those of this site's vhost and pool.
package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/php/errlog"
	"wpmend/wp"
)

// maxWindow bounds what is read of one log, in bytes.
const maxWindow = 4 << 20

// Marks are the ends of a site's logs at one moment.
type Marks struct {
	since time.Time
	files map[string]errlog.Mark
	once  *once
	pool  sighting
	ask   Ask
}

// Mark notes where the site's logs end now. A log that cannot be opened is left
// out; the error says why.
func Mark(s site.Site) (Marks, error) {
	m := Marks{since: time.Now(), files: map[string]errlog.Mark{}, once: &once{}, pool: look(s)}
	var problems []error
	for _, file := range slices.Concat(gatewayLogs(s), masterLogs(s), slowLogs(s), phpLogs(s)) {
		mark, err := errlog.MarkFile(file)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		m.files[file] = mark
	}
	return m, errors.Join(problems...)
}

// Gather reads what happened since the marks were set, and looks at everything that
// the failure can come from; see [Ask]. What could not be read is in the error; the
// facts hold the rest.
func (m Marks) Gather(ctx context.Context, s site.Site, w site.WordPress, front probe.Result) (diagnose.Facts, error) {
	f := diagnose.Facts{
		Front:    front,
		Location: diagnose.Location{Buffer: probe.BufferSize(s.Location), ReadTimeout: s.Location.ReadTimeout, File: s.Vhosts[0].File},
		Blame:    func(file string) (string, bool) { return w.Blame(s, file) },
		Root:     s.Root,
		Owns:     s.Owns,
		Unread:   m.ask.Unread,
	}
	_, off, there := w.Component(wp.KindDropIn + ":object-cache.php")
	f.ObjectCache = there && !off
	err := m.sense(ctx, &f, s, w)
	return f, err
}

// logs reads what the site's logs say since the marks.
func (m Marks) logs(f *diagnose.Facts, s site.Site) error {
	m.once.Do(func() { m.once.look(s, time.Now()) })
	f.FirstFailure, f.CoreDamaged = m.once.first, m.once.core
	problems := []error{m.once.err}
	for _, read := range []func(*diagnose.Facts, site.Site) error{m.gateway, m.master, m.slow, m.php} {
		problems = append(problems, read(f, s))
	}
	return errors.Join(problems...)
}

func maintenance(s site.Site) time.Time {
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return time.Time{}
	}
	defer t.Close()
	info, err := t.Lstat(path.Join(s.Core, ".maintenance"))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// window is what a log says since its mark.
func (m Marks) window(file string) (*bytes.Reader, error) {
	mark, marked := m.files[file]
	if !marked {
		return bytes.NewReader(nil), nil
	}
	text, err := errlog.ReadSince(file, mark, maxWindow)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return bytes.NewReader(text), nil
}

// fresh: logs carry whole seconds.
func (m Marks) fresh(t time.Time) bool { return !t.Before(m.since.Truncate(time.Second)) }

func (m Marks) gateway(f *diagnose.Facts, s site.Site) error {
	scan := gateway.ScanNginxLog
	if s.Gateway.Kind == apache {
		scan = gateway.ScanApacheLog
	}
	for _, file := range gatewayLogs(s) {
		r, err := m.window(file)
		if err != nil {
			return err
		}
		err = scan(r, time.Local, func(l gateway.LogRecord) bool {
			if !m.fresh(l.Time) {
				return true
			}
			of := ofSite(l, s, file)
			if of {
				f.Gateway = append(f.Gateway, diagnose.Line[gateway.LogRecord]{File: file, Record: l})
			}
			for _, text := range errlog.SplitMessages(l.Stderr) {
				if e, ok := errlog.ParsePHPError(text); ok && (of || s.Gateway.Kind == apache && s.Owns(e.File)) {
					e.Time = l.Time
					f.PHP = append(f.PHP, diagnose.Line[errlog.PHPError]{File: file, Record: e})
				}
			}
			return true
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
	return nil
}

// apache is the Kind of that gateway.
const apache = "apache"

// ofSite: nginx writes its own name of the vhost, which no visitor can choose.
// Apache's records are known by the file that they are in, by the pool that they
// name, and where Apache runs PHP itself a child's end concerns whoever it serves.
func ofSite(l gateway.LogRecord, s site.Site, file string) bool {
	if s.Gateway.Kind != apache {
		return slices.ContainsFunc(s.Vhosts, func(v gateway.Vhost) bool { return v.LogName() == l.Server })
	}
	_, _, died := l.Died()
	return died && s.Handler == site.ModPHP || ownLog(s, file) || l.UpstreamAddr.Addr != "" && l.UpstreamAddr == s.Address()
}

func (m Marks) master(f *diagnose.Facts, s site.Site) error {
	for _, file := range masterLogs(s) {
		r, err := m.window(file)
		if err != nil {
			return err
		}
		err = errlog.ScanFPM(r, time.Local, func(l errlog.FPMRecord) bool {
			if m.fresh(l.Time) && l.Pool == s.Pool.Name && (l.Slow == nil || s.Owns(l.Slow.Script)) {
				f.FPM = append(f.FPM, diagnose.Line[errlog.FPMRecord]{File: file, Record: l})
			}
			return true
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
	return nil
}

func (m Marks) slow(f *diagnose.Facts, s site.Site) error {
	for _, file := range slowLogs(s) {
		r, err := m.window(file)
		if err != nil {
			return err
		}
		err = errlog.ScanSlow(r, time.Local, func(l errlog.SlowTrace) bool {
			if m.fresh(l.Time) && l.Pool == s.Pool.Name && s.Owns(l.Script) {
				f.Traces = append(f.Traces, diagnose.Line[errlog.SlowTrace]{File: file, Record: l})
			}
			return true
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
	return nil
}

func (m Marks) php(f *diagnose.Facts, s site.Site) error {
	for _, file := range phpLogs(s) {
		r, err := m.window(file)
		if err != nil {
			return err
		}
		err = errlog.ScanPHP(r, func(e errlog.PHPError) bool {
			if e.Time.IsZero() || m.fresh(e.Time) {
				// PHP writes this log as the pool's user, so whatever runs as that user can.
				f.PHP = append(f.PHP, diagnose.Line[errlog.PHPError]{File: file, Record: e, Own: true})
			}
			return true
		})
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
	return nil
}

// gatewayLogs are the error logs of the site's vhosts and PHP location.
func gatewayLogs(s site.Site) []string {
	files := slices.Clone(s.Location.ErrorLogs)
	if s.Gateway.Kind == apache { // where its master writes
		files = append(files, s.Gateway.ErrorLogs...)
	}
	for _, v := range s.Vhosts {
		files = append(files, v.ErrorLogs...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func masterLogs(s site.Site) []string { return nonEmpty(s.Master.ErrorLog) }

func slowLogs(s site.Site) []string {
	file, _ := s.Pool.Get("slowlog")
	return nonEmpty(absolute(file))
}

func phpLogs(s site.Site) []string {
	file, ok := s.Pool.Get("php_admin_value[error_log]")
	if !ok {
		file, _ = s.Pool.Get("php_value[error_log]")
	}
	return nonEmpty(absolute(file))
}

// absolute drops what is relative to a prefix that only FPM knows, and "syslog".
func absolute(file string) string {
	if !strings.HasPrefix(file, "/") {
		return ""
	}
	return file
}

func nonEmpty(file string) []string {
	if file == "" {
		return nil
	}
	return []string{file}
}
