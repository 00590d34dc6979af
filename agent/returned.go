package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"syscall"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/policy"
	"wpmend/agent/remedy"
	"wpmend/php/account"
	"wpmend/wp"
)

// returned refuses to switch off by itself, again and again, what somebody brings back
// each time. A person who asks for it is not refused.
func (h *healing) returned(ids []string) error {
	if h.attempt == nil {
		return nil
	}
	now := time.Now()
	changes, err := h.agent.journal.Since(now.Add(-policy.Day))
	if err != nil {
		h.agent.log.Warn("some records of the journal cannot be read", "err", err)
	}
	var past []policy.SwitchOff
	for _, id := range ids {
		c, _, ok := h.wp.Component(id)
		if !ok {
			continue
		}
		for _, change := range changes {
			at := proven(change)
			if change.SiteRoot != h.site.Root || change.Actor != remedy.Actor || at.IsZero() ||
				!slices.ContainsFunc(change.Steps, func(s journal.Step) bool { return tookOff(s, c) }) {
				continue
			}
			past = append(past, policy.SwitchOff{At: at, Component: id, Back: h.broughtBack(change, c)})
		}
	}
	if v := policy.Returned(past, ids, now); !v.Allowed {
		return &deniedError{v}
	}
	return nil
}

// proven is when the site was proven well with a change in effect; zero: it never was.
func proven(c journal.Change) time.Time {
	for _, e := range c.Log {
		if e.State == journal.Verified {
			return e.Time
		}
	}
	return time.Time{}
}

// broughtBack says who or what brought back the component that a change had switched
// off, as far as the journal and the files tell.
func (h *healing) broughtBack(change journal.Change, c wp.Component) string {
	if change.State == journal.Undone {
		last := change.Log[len(change.Log)-1]
		return fmt.Sprintf("it was switched on again at %s (%s)", last.Time.Local().Format("15:04:05"), last.Note)
	}
	now, err := remedy.Readmit(h.site, h.wp, change)
	if err != nil {
		h.note(err.Error())
		return ""
	}
	switch now.Standing {
	case remedy.Reinstalled:
		return h.installedAnew(c)
	case remedy.Back:
		return now.What + ", which was not wpmend's doing"
	}
	return ""
}

// installedAnew says whose the new files are: what runs as PHP's user is WordPress.
func (h *healing) installedAnew(c wp.Component) string {
	t, err := wp.OpenTree(h.site.Root, h.site.Owner)
	if err != nil {
		return ""
	}
	defer t.Close()
	info, err := t.Lstat(c.Path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			h.note(err.Error())
		}
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	at := time.Unix(stat.Ctim.Sec, stat.Ctim.Nsec).Local().Format("2006-01-02 15:04:05")
	what := fmt.Sprintf("%s was installed anew at %s", c.ID(), at)
	if c.Version != "" {
		what += ", version " + c.Version
	}
	if stat.Uid == h.site.Owner {
		return what + fmt.Sprintf(", by %s, whom PHP runs as: an automatic update, somebody in wp-admin, or the owner himself", h.site.OwnerName())
	}
	name := strconv.FormatUint(uint64(stat.Uid), 10)
	if u, err := account.LookupID(name); err == nil {
		name = u.Username
	}
	return what + ", by " + name
}
