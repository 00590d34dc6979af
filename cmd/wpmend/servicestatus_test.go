package main

import (
	"strings"
	"testing"
	"time"
)

// What systemd says of a unit is told so that it helps at 3 a.m.
func TestServiceStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		known map[string]string
		want  serviceStatus
		says  string
	}{
		{"not installed", map[string]string{"LoadState": "not-found", "ActiveState": "inactive", "MainPID": "0", "Result": "success"},
			serviceStatus{State: "inactive", Result: "success"}, "wpmend service install --now"},
		{"running", map[string]string{"LoadState": "loaded", "FragmentPath": ownUnit, "UnitFileState": "enabled", "ActiveState": "active", "MainPID": "7", "NRestarts": "2",
			"StateChangeTimestamp": "Mon 2026-11-23 10:11:23 UTC", "StatusText": "watching 1200 sites, 1 incident at work", "Result": "success"},
			serviceStatus{Installed: true, Unit: ownUnit, Enabled: true, Running: true, State: "active", Since: time.Date(2026, 11, 23, 10, 11, 23, 0, time.UTC),
				PID: 7, Restarts: 2, Result: "success", Sites: 1200, Doing: "watching 1200 sites, 1 incident at work"}, "restarted it 2 times"},
		{"starting", map[string]string{"LoadState": "loaded", "ActiveState": "activating", "StatusText": "watching 3 sites", "Result": "watchdog"},
			serviceStatus{Installed: true, State: "activating", Result: "watchdog", Doing: "watching 3 sites"}, "It said last: watching 3 sites."},
		{"failed", map[string]string{"LoadState": "loaded", "ActiveState": "failed", "Result": "exit-code"},
			serviceStatus{Installed: true, State: "failed", Result: "exit-code"}, "FAILED (exit-code)"},
		{"stopped", map[string]string{"LoadState": "loaded", "ActiveState": "inactive", "Result": "success"},
			serviceStatus{Installed: true, State: "inactive", Result: "success"}, "wpmend service start"},
		{"of another kind", map[string]string{"StatusText": "watching\nmany", "MainPID": "x"}, serviceStatus{Installed: true, Doing: "watching\nmany"}, "does not start at boot"},
	} {
		got := statusOf(c.known)
		p := &page{}
		p.status(got)
		if !strings.Contains(p.text.String(), c.says) {
			t.Errorf("%s: %q does not say %q", c.name, p.text.String(), c.says)
		}
		if got.Incidents == nil || got.Notes == nil || got.Changes == nil {
			t.Errorf("%s: a list is null", c.name)
		}
		got.Incidents, got.stillSo = nil, stillSo{}
		if got.State != c.want.State || got.Running != c.want.Running || got.Sites != c.want.Sites || !got.Since.Equal(c.want.Since) || got.PID != c.want.PID ||
			got.Restarts != c.want.Restarts || got.Installed != c.want.Installed || got.Enabled != c.want.Enabled || got.Unit != c.want.Unit || got.Result != c.want.Result || got.Doing != c.want.Doing {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// A word of a command line is one word for systemd, whatever is in it.
func TestUnitWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"/usr/local/sbin/wpmend": "/usr/local/sbin/wpmend",
		"":                       `""`,
		"/srv/a b":               `"/srv/a\x20b"`,
		"100%$x":                 `"100%%$$x"`,
		"{{Path}}\n\"\\":         `"\x7b\x7bPath\x7d\x7d\x0a\x22\x5c"`,
		"ü":                      `"\xc3\xbc"`,
	} {
		if got := unitWord(word); got != want {
			t.Errorf("%q is written %s, want %s", word, got, want)
		}
	}
}
