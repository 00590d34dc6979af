package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wpmend/agent/evidence"
	"wpmend/agent/gateway"
	"wpmend/php/errlog"
)

const (
	// unrotated is how large a log grows where nothing rotates it.
	unrotated = 2 << 30
	// lastLines is how much of a log's end is read for its clock.
	lastLines = 64 << 10
)

// logs looks at those from which visitors' failures are noticed.
func (h *host) logs(ctx context.Context) []Finding {
	s := &sheet{area: "logs"}
	seen := map[string]bool{}
	for _, l := range evidence.Logs(h.found.Sites) {
		if !seen[l.File] {
			seen[l.File] = true
			h.files = append(h.files, l.File)
		}
	}
	slices.Sort(h.files)
	if len(h.found.Sites) > 0 {
		judgeLogs(s, h.files, examineLog)
	}
	h.journal(ctx, s)
	return s.findings
}

// logFile is what is known of a log.
type logFile struct {
	err     error
	size    int64
	rotated bool // there is an older one beside it
}

// examineLog opens a log with the care that the service takes: a customer may have put
// anything there.
func examineLog(path string) logFile {
	f, _, err := errlog.Open(path)
	if err != nil {
		return logFile{err: err}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return logFile{err: err}
	}
	l := logFile{size: info.Size()}
	if l.size > unrotated {
		// A name that Glob takes for a pattern finds nothing.
		older, _ := filepath.Glob(path + "[.-]*")
		l.rotated = len(older) > 0
	}
	return l
}

func judgeLogs(s *sheet, files []string, examine func(string) logFile) {
	var missing, unread, large []string
	for _, f := range files {
		switch l := examine(f); {
		case errors.Is(l.err, fs.ErrNotExist):
			missing = append(missing, f)
		case l.err != nil:
			unread = append(unread, l.err.Error()) // it names the file
		case l.size > unrotated && !l.rotated:
			large = append(large, fmt.Sprintf("%s (%s)", f, size(uint64(l.size))))
		}
	}
	switch n := len(files) - len(missing) - len(unread); {
	case len(files) == 0:
		s.warn("logs", "give the vhosts an access_log and an error_log that are files", "no log tells of the sites' failures: they are noticed by scheduled probes only")
	case n > 0:
		s.ok("logs", "%s that tell of visitors' failures can be read", count(n, "log"))
	}
	if len(unread) > 0 {
		s.warn("logs, unreadable", "a log is read only where it is a file, in folders that nobody but its owner and root can change", "%s", few(unread, 3))
	}
	if len(missing) > 0 {
		s.ok("logs, yet to come", "not there yet, and followed once they are: %s", few(missing, 3))
	}
	if len(large) > 0 {
		s.warn("logs, rotation", "a file in /etc/logrotate.d, or the panel's own setting", "nothing seems to rotate %s", few(large, 3))
	}
}

// journal tries whether the kernel's messages can be read: they name workers that it killed.
func (h *host) journal(ctx context.Context, s *sheet) {
	if !exists("/run/systemd/journal/socket") {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askBound)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "journalctl", "--quiet", "--no-pager", "--lines=1", "--output=short-iso").CombinedOutput(); err != nil {
		s.warn("journald", "journalctl --verify; systemctl restart systemd-journald", "the journal cannot be read: %v %s", err, strings.TrimSpace(string(out)))
		return
	}
	if !exists("/var/log/journal") {
		s.ok("journald", "it is read; it lies in memory, so what happened before a reboot is lost (mkdir /var/log/journal keeps it)")
		return
	}
	s.ok("journald", "it is read, and kept over reboots")
}

// lastRecord is the time of the last record of a gateway's error log, as this host's zone
// reads it, and when the file was written last.
func lastRecord(kind, path string) (said, written time.Time, err error) {
	f, _, err := errlog.Open(path)
	if err != nil {
		return said, written, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return said, written, err
	}
	from := max(0, info.Size()-lastLines)
	err = gateway.ScanLog(kind, io.NewSectionReader(f, from, info.Size()-from), nil, func(r gateway.LogRecord) bool {
		said = r.Time
		return true
	})
	return said, info.ModTime(), err
}
