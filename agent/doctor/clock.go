package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// ahead is how far in the future a file may be before a clock is doubted.
	ahead = 2 * time.Minute
	// quarter: zones differ by whole quarters of an hour.
	quarter = 15 * time.Minute
)

// clocks looks at what tells the time here: evidence is ordered by it.
func (h *host) clocks(context.Context) []Finding {
	s := &sheet{area: "clocks"}
	var t unix.Timex
	state, err := unix.Adjtimex(&t) // without a mode it only reads
	judgeSync(s, state, t.Status, err)
	var future []string
	now := time.Now()
	watched := append([]string{}, h.files...)
	for _, below := range []string{"history", "journal"} {
		// The names are our own.
		records, _ := filepath.Glob(filepath.Join(h.State, below, "*.json"))
		watched = append(watched, records...)
	}
	for _, f := range watched {
		if info, err := os.Lstat(f); err == nil && info.ModTime().After(now.Add(ahead)) {
			future = append(future, fmt.Sprintf("%s (%s)", f, info.ModTime().Local().Format("2006-01-02 15:04:05")))
		}
	}
	if len(future) > 0 {
		s.warn("clock, jumps", "date; timedatectl. If the clock is right now, these files stop to matter once it has passed their times", "it is %s here, and these were written later than that: the clock was set back, so evidence may be put in the wrong order: %s",
			now.Format("2006-01-02 15:04:05"), few(future, 3))
	} else {
		s.ok("clock, jumps", "no log and no record of wpmend's is from the future")
	}
	h.zones(s)
	return s.findings
}

// judgeSync reads adjtimex(2): TIME_ERROR is 5, STA_UNSYNC 0x40.
func judgeSync(s *sheet, state int, status int32, err error) {
	switch {
	case err != nil:
		s.unknown("clock, kept", "", "whether the clock is kept right cannot be asked: %v", err)
	case state == unix.TIME_ERROR || status&unix.STA_UNSYNC != 0:
		s.warn("clock, kept", "timedatectl set-ntp true, or install chrony", "nothing keeps the clock right (no NTP): over months it drifts apart from those who write you about a failure")
	default:
		s.ok("clock, kept", "it is kept right (NTP)")
	}
}

// zones finds logs whose times are in another zone than this host's.
func (h *host) zones(s *sheet) {
	var other []string
	read := 0
	for _, g := range h.gateways {
		logs := append([]string{}, g.ErrorLogs...)
		for _, v := range g.Vhosts {
			logs = append(logs, v.ErrorLogs...)
		}
		seen := map[string]bool{}
		for _, file := range logs {
			if seen[file] || read == 64 {
				continue
			}
			seen[file] = true
			said, written, err := lastRecord(g.Kind, file)
			if err != nil || said.IsZero() {
				continue
			}
			read++
			if d := zone(said, written); d != 0 {
				other = append(other, fmt.Sprintf("%s (%s)", file, offset(d)))
			}
		}
	}
	switch {
	case len(other) > 0:
		s.warn("clock, zone of the logs", "restart the server if this host's zone was changed (timedatectl); TZ in its unit or environment sets another", "times in these logs are not in this host's zone, so failures of visitors are taken for old ones: %s", few(other, 3))
	case read > 0:
		s.ok("clock, zone of the logs", "%s carry this host's times", count(read, "error log"))
	}
}

// zone is by how much a log's zone differs from this host's: by whole quarters of an hour,
// within a day. A last record that is merely older than the file's last change by chance
// by about as much is rare, and said with the numbers.
func zone(said, written time.Time) time.Duration {
	d := said.Sub(written)
	rounded := d.Round(quarter)
	if rounded == 0 || rounded.Abs() > 26*time.Hour || (d-rounded).Abs() > 5*time.Second {
		return 0
	}
	return rounded
}

func offset(d time.Duration) string {
	word := "ahead"
	if d < 0 {
		word = "behind"
	}
	return strings.TrimSuffix(strings.TrimSuffix(d.Abs().String(), "0s"), "0m") + " " + word
}
