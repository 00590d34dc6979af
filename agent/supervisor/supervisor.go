// Package supervisor tells systemd how the service is (sd_notify(3)): ready, at what,
// alive, ending. Without systemd, or in a unit that does not listen, it says nothing.
//
// Its invariant: it never fails the service; a supervisor that cannot be reached is
// what the supervisor finds out by itself.
package supervisor

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Supervisor is systemd, if it started us.
type Supervisor struct {
	log *slog.Logger

	mu     sync.Mutex
	ready  bool // it was said
	doing  string
	notice string
}

// New makes a Supervisor that says to log what it cannot say to systemd.
func New(log *slog.Logger) *Supervisor { return &Supervisor{log: log} }

func (s *Supervisor) say(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		s.log.Warn("cannot tell systemd", "state", state, "err", err)
	}
}

// Ready says that the service does its work.
func (s *Supervisor) Ready() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	s.say(daemon.SdNotifyReady)
}

// Reloading says that the configuration is being read again; [Supervisor.Reloaded] ends
// it. Since systemd 253 (Type=notify-reload) it carries the time. Neither says anything
// before Ready, for which systemd would take them.
func (s *Supervisor) Reloading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return
	}
	var now unix.Timespec
	// It fails for unknown clocks only.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	s.say(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// Reloaded says that a configuration is in force, the new one or the earlier one.
func (s *Supervisor) Reloaded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready {
		s.say(daemon.SdNotifyReady)
	}
}

// Stopping says that the service ends.
func (s *Supervisor) Stopping() { s.say(daemon.SdNotifyStopping) }

// Alive feeds the watchdog.
func (s *Supervisor) Alive() { s.say(daemon.SdNotifyWatchdog) }

// Every is how often Alive must be called at least; 0 without a watchdog. It is a third
// of what the unit allows (WatchdogSec=).
func (s *Supervisor) Every() time.Duration {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("the watchdog's time in WATCHDOG_USEC cannot be read", "err", err)
		return 0
	}
	return within / 3
}

// Doing is what `systemctl status` shows, in one line.
func (s *Supervisor) Doing(what string) { s.set(&s.doing, what) }

// Notice is shown behind what it does until another one, or "", takes its place.
func (s *Supervisor) Notice(what string) { s.set(&s.notice, what) }

func (s *Supervisor) set(part *string, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *part == what {
		return
	}
	*part = what
	status := s.doing
	if s.notice != "" {
		status += "; " + s.notice
	}
	s.say("STATUS=" + strings.ReplaceAll(status, "\n", " ")) // a line break would begin another message
}
