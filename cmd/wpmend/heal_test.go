package main

import (
	"database/sql"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/packaging/lab"
)

const culprit = 17 // the plugin that most tests break

var (
	culpritSlug = lab.Slug(culprit)
	culpritID   = "plugin:" + culpritSlug
)

// off is the hidden name of a plugin that is switched off.
func off(slug string) string { return "." + slug + ".off-by-wpmend" }

// without is a snapshot with a plugin switched off and nothing else changed.
func without(before lab.Snapshot, slug string) lab.Snapshot {
	after := lab.Snapshot{Files: map[string]string{}, Options: maps.Clone(before.Options)}
	plugins := "wp-content/plugins/"
	for path, text := range before.Files {
		if rest, ok := strings.CutPrefix(path, plugins+slug); ok && (rest == "" || rest[0] == '/') {
			path = plugins + off(slug) + rest
		}
		after.Files[path] = text
	}
	return after
}

// database is everything that a site's tables hold, as far as it may not change.
type database struct {
	sums    map[string]string // of all tables but the options
	options map[string]string // every row, raw; WordPress' own scratch rows left out
}

// scratch rows are written by visitors' requests at any time.
func scratch(option string) bool {
	return option == "cron" || strings.HasPrefix(option, "_transient_") || strings.HasPrefix(option, "_site_transient_")
}

func (s *stage) database() database {
	s.t.Helper()
	sums, err := s.TableChecksums(0)
	s.must(err)
	table := s.Site(0).TablePrefix + "options"
	if _, ok := sums[table]; !ok || len(sums) < 12 {
		s.t.Fatalf("tables %v, want the 12 of WordPress", slices.Sorted(maps.Keys(sums)))
	}
	delete(sums, table)
	d := database{sums, map[string]string{}}
	rows, err := s.DB().Query(fmt.Sprintf("SELECT option_id, option_name, option_value, autoload FROM `%s`", table))
	s.must(err)
	defer rows.Close()
	for rows.Next() {
		var id, name, autoload string
		var value sql.RawBytes
		s.must(rows.Scan(&id, &name, &value, &autoload))
		if !scratch(name) {
			d.options[name] = fmt.Sprintf("row %s, autoload %s: %s", id, autoload, value)
		}
	}
	s.must(rows.Err())
	return d
}

func (s *stage) wantDatabase(want database) {
	s.t.Helper()
	got := s.database()
	if !maps.Equal(want.sums, got.sums) {
		s.t.Errorf("tables changed:\n was %v\n is  %v", want.sums, got.sums)
	}
	for _, name := range slices.Sorted(maps.Keys(want.options)) {
		if got.options[name] != want.options[name] {
			s.t.Errorf("option %s changed:\n was %s\n is  %s", name, want.options[name], got.options[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got.options)) {
		if _, had := want.options[name]; !had {
			s.t.Errorf("option %s is new: %s", name, got.options[name])
		}
	}
}

// journal returns the text of every record of the journal.
func (s *stage) journal() string {
	s.t.Helper()
	var all strings.Builder
	s.must(filepath.WalkDir(filepath.Join(s.state, "journal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}))
	return all.String()
}

// wantConvicted wants one culprit: the broken plugin, completely described.
func wantConvicted(t testing.TB, culprits []culpritJSON) {
	t.Helper()
	if len(culprits) != 1 || culprits[0].Component != culpritID {
		t.Fatalf("culprits %+v, want %s alone", culprits, culpritID)
	}
	c := culprits[0]
	if want := fmt.Sprintf("1.%d", culprit); c.Version != want || c.Signature == "" || len(c.With) != 0 {
		t.Errorf("culprit %+v, want version %s, a signature and no accomplices", c, want)
	}
}

func wantCause(t testing.TB, causes []causeJSON, name string) causeJSON {
	t.Helper()
	if len(causes) == 0 || causes[0].Cause != name {
		t.Fatalf("causes %+v, want %s first", causes, name)
	}
	c := causes[0]
	if c.Confidence <= 0 || c.Confidence > 1 || len(c.Evidence) == 0 {
		t.Errorf("cause %+v, want a confidence above 0 and up to 1, and evidence", c)
	}
	for _, e := range c.Evidence {
		if e.Source == "" || e.Text == "" || time.Since(e.Time) > time.Hour {
			t.Errorf("evidence %+v, want a source, a text and a recent time", e)
		}
	}
	return c
}

// wantHealed wants what every healing of the broken plugin leaves, and its undo.
func (s *stage) wantHealed(h healJSON, before lab.Snapshot, rows database) {
	s.t.Helper()
	if h.State != "resolved" {
		s.t.Fatalf("state %q, want resolved: %+v", h.State, h)
	}
	wantConvicted(s.t, h.Culprits)
	if h.Site.Domain != s.domain() || h.Site.Root != s.Site(0).Root || h.Site.Owner != "www-data" || h.Site.Pool != s.Site(0).Pool || h.Site.ID == "" {
		s.t.Errorf("site %+v, want %+v", h.Site, s.Site(0))
	}
	from, to := "wp-content/plugins/"+culpritSlug, "wp-content/plugins/"+off(culpritSlug)
	undo := "wpmend incidents undo " + h.Incident
	if len(h.Changes) != 1 || h.Changes[0].From != from || h.Changes[0].To != to || h.Changes[0].Undo != undo {
		s.t.Errorf("changes %+v, want one from %s to %s with %q", h.Changes, from, to, undo)
	}
	s.wantSnapshot(without(before, culpritSlug))
	s.wantPlugins(30, culpritSlug)
	s.wantDatabase(rows)

	var inc incidentJSON
	s.json("incidents", "show", h.Incident).exits(0).into(&inc)
	if inc.ID != h.Incident || inc.State != "resolved" || inc.Site != h.Site || len(inc.Timeline) < 3 {
		s.t.Errorf("incident %+v, want the resolved one of %+v with its story", inc, h.Site)
	}
	if inc.Probes != h.Probes || inc.Rounds == 0 {
		s.t.Errorf("the incident tells of %d probes in %d rounds, want %d in some", inc.Probes, inc.Rounds, h.Probes)
	}
	wantConvicted(s.t, inc.Culprits)
	var list incidentsJSON
	s.json("incidents").exits(0).into(&list)
	if len(list.Incidents) != 1 || list.Incidents[0].ID != h.Incident {
		s.t.Errorf("incidents %+v, want the one", list.Incidents)
	}
}

func TestHeal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  lab.Fault
		cause  string
		status int
	}{
		{lab.Segfault, "worker-crash", 502},
		{lab.Kill9, "worker-crash", 502},
		{lab.Fatal, "component-fault", 500},
		{lab.Blank200, "component-fault", 200},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 30})
			s.breakBy(c.fault, culpritSlug)
			if status, body := s.page(); status != c.status {
				t.Fatalf("broken by %s the front answers %d: %s", c.fault, status, body)
			}
			before, rows := s.snapshot(), s.database()
			h, r := s.heal(0)
			r.limit(5 * time.Second)
			t.Logf("probes %d, seconds %.2f", h.Probes, h.Seconds)
			wantCauseAmong(t, h.Causes, c.cause)
			s.wantHealed(h, before, rows)

			var undone switchJSON
			s.json("incidents", "undo", h.Incident).exits(0).into(&undone)
			if len(undone.Changes) != 1 {
				t.Errorf("undone %+v, want the one change", undone)
			}
			s.wantSnapshot(before)
			s.wantDatabase(rows)
			if status, body := s.page(); status != c.status || strings.Contains(body, lab.Slug(30)+" saw") {
				t.Errorf("after the undo the front answers %d, want %d as before", status, c.status)
			}
			var inc incidentJSON
			s.json("incidents", "show", h.Incident).exits(0).into(&inc)
			if inc.State != "undone" {
				t.Errorf("state %q after the undo, want undone", inc.State)
			}
		})
	}
}

// wantCauseAmong: once a probe has convicted, component-fault stands first and what
// led there beside it.
func wantCauseAmong(t testing.TB, causes []causeJSON, name string) {
	t.Helper()
	first := wantCause(t, causes, "component-fault")
	if first.Component != culpritID {
		t.Errorf("component-fault names %q, want %s", first.Component, culpritID)
	}
	if !slices.ContainsFunc(causes, func(c causeJSON) bool { return c.Cause == name }) {
		t.Errorf("causes %+v, want %s among them", causes, name)
	}
}

// A hang shows only when FPM's own limit has passed; the shadow's trace names the
// culprit meanwhile.
func TestHealHang(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault lab.Fault
		trace *regexp.Regexp
	}{
		{lab.Hang, regexp.MustCompile(`standing in sleep\(\), called at \S+/plugin-17\.php:\d+`)},
		// Between two calls of functions the innermost frame is the plugin's own.
		{lab.Compute, regexp.MustCompile(`standing in (md5\(\), called at \S+/plugin-17\.php:\d+|plugin_17_compute\(\), )`)},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 30, TerminateTimeout: 5 * time.Second})
			s.breakBy(c.fault, culpritSlug)
			before, rows := s.snapshot(), s.database()
			h, r := s.heal(0)
			r.limit(12 * time.Second)
			t.Logf("probes %d, seconds %.2f", h.Probes, h.Seconds)
			wantCauseAmong(t, h.Causes, "terminate-timeout")
			s.wantHealed(h, before, rows)

			shown := s.json("incidents", "show", h.Incident).exits(0).stdout
			for where, text := range map[string]string{"incident": shown, "journal": s.journal()} {
				if !c.trace.MatchString(text) {
					t.Errorf("the %s does not mention the trace (%s): %s", where, c.trace, text)
				}
			}
		})
	}
}

// Where nothing ends a hanging request, wpmend does not wait for it either.
func TestHealHangWithoutAnyTimeout(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30})
	s.breakBy(lab.Hang, culpritSlug)
	before, rows := s.snapshot(), s.database()
	h, r := s.heal(0)
	r.limit(15 * time.Second)
	s.wantHealed(h, before, rows)
}

func TestHealStartsFPM(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30})
	var seen sitesJSON
	s.json("sites").exits(0).into(&seen) // while things are well: it is remembered
	if len(seen.Sites) != 1 || !seen.Sites[0].Running {
		t.Fatalf("sites %+v, want one that runs", seen.Sites)
	}
	old := s.FPMMaster()
	s.breakBy(lab.FPMStopped, "")
	before, rows := s.snapshot(), s.database()
	h, r := s.heal(0)
	r.limit(5 * time.Second)
	wantCause(t, h.Causes, "fpm-down")
	if h.State != "resolved" || len(h.Culprits) != 0 || len(h.Changes) != 1 {
		t.Errorf("state %q, culprits %v, changes %+v; want resolved, none, one start", h.State, h.Culprits, h.Changes)
	}
	master := s.FPMMaster()
	if master == 0 || master == old {
		t.Fatalf("FPM master %d, before %d; want a new one", master, old)
	}
	session, err := unix.Getsid(master)
	s.must(err)
	group, err := unix.Getpgid(master)
	s.must(err)
	if session == r.session || group == r.session {
		t.Errorf("FPM runs in session %d and group %d, those of wpmend (%d), whose end could be its own", session, group, r.session)
	}
	s.wantSnapshot(before)
	s.wantDatabase(rows)
	s.wantPlugins(30)
	// Nothing to take back, and it says why.
	var undone switchJSON
	s.json("incidents", "undo", h.Incident).exits(1).into(&undone)
	if len(undone.Changes) != 0 || s.FPMMaster() != master {
		t.Errorf("undo changed %+v, FPM master %d; want nothing, %d", undone.Changes, s.FPMMaster(), master)
	}
}

// Whoever has never seen FPM running cannot start it, and says at once which it is.
func TestHealFPMNeverSeen(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	s.breakBy(lab.FPMStopped, "")
	before := s.snapshot()
	var h healJSON
	s.json("heal", s.domain()).exits(4).into(&h)
	// With other labs' pools on this host, of the same name, the socket may as well be the wrong one.
	if len(h.Causes) == 0 || h.Causes[0].Cause != "fpm-down" && h.Causes[0].Cause != "wrong-socket" || h.Causes[0].Remedy != nil || len(h.Changes) != 0 {
		t.Errorf("%+v: want fpm-down without a remedy", h)
	}
	if r := s.run("heal", s.domain()); r.code != 4 || !strings.Contains(r.stdout, s.Site(0).Socket) {
		t.Errorf("want advice that names the pool's socket %s: %s", s.Site(0).Socket, r)
	}
	s.wantSnapshot(before)
	if s.FPMMaster() != 0 {
		t.Error("FPM runs, though nobody could know how")
	}
}

// What wpmend cannot mend, it names; it touches nothing.
func TestHealLeavesAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  lab.Fault
		plugin string
		cause  string
		advice string // a part of the command that mends it
	}{
		{lab.SocketMode, "", "socket-permission", "chmod 0660 "},
		{lab.DatabaseDown, "", "db-down", "systemctl status mariadb"},
		{lab.Header9k, culpritSlug, "response-header-too-big", "fastcgi_buffer_size"},
		{lab.Maintenance, "", "maintenance", "remove .maintenance"},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 30})
			before := s.snapshot()
			if c.plugin != "" {
				s.breakBy(c.fault, c.plugin)
				before = s.snapshot()
			} else {
				s.breakBy(c.fault, c.plugin)
			}
			var mode os.FileMode
			if info, err := os.Lstat(s.Site(0).Socket); err == nil {
				mode = info.Mode()
			}
			var check checkJSON
			s.json("check", s.domain()).exits(3).into(&check)
			wantCause(t, check.Causes, c.cause)
			if check.Healthy || check.Outcome == "healthy" {
				t.Errorf("check %+v, want it unhealthy", check)
			}

			h, r := s.heal(4)
			t.Logf("took %.2f s, probes %d", r.took.Seconds(), h.Probes)
			first := wantCause(t, h.Causes, c.cause)
			if h.State != "escalated" || len(h.Changes) != 0 || first.Remedy != nil {
				t.Errorf("state %q, changes %+v, remedy %v; want escalated, none, none", h.State, h.Changes, first.Remedy)
			}
			if !strings.Contains(first.Advice, c.advice) {
				t.Errorf("advice %q, want %q in it", first.Advice, c.advice)
			}
			if c.plugin != "" {
				wantConvicted(t, h.Culprits)
			} else if len(h.Culprits) != 0 {
				t.Errorf("culprits %+v, want none", h.Culprits)
			}
			if info, err := os.Lstat(s.Site(0).Socket); err != nil || info.Mode() != mode {
				t.Errorf("the socket is %v, %v; want it untouched (%v)", info, err, mode)
			}
			if record := s.journal(); strings.Contains(record, "{") {
				t.Errorf("the journal holds a change: %s", record)
			}
			if c.fault == lab.DatabaseDown {
				s.must(s.Mend(0)) // a snapshot asks the database
			}
			s.wantSnapshot(before)
		})
	}
}

// A dry run says what would be done and leaves no trace on the site.
func TestHealDryRun(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30})
	s.breakBy(lab.Fatal, culpritSlug)
	s.page()
	before, rows := s.snapshot(), s.database()
	var h healJSON
	s.json("heal", s.domain(), "--dry-run").exits(3).into(&h)
	if h.State != "planned" || len(h.Changes) != 1 || h.Changes[0].From != "wp-content/plugins/"+culpritSlug {
		t.Errorf("state %q, changes %+v; want planned and the one renaming", h.State, h.Changes)
	}
	wantConvicted(t, h.Culprits)
	s.wantSnapshot(before)
	s.wantDatabase(rows)
	if record := s.journal(); strings.Contains(record, "{") {
		t.Errorf("the journal holds a change: %s", record)
	}
}

// Healing what is well does nothing.
func TestHealHealthy(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	before := s.snapshot()
	h, _ := s.heal(0)
	if h.State != "healthy" || h.Incident != "" || len(h.Changes) != 0 || len(h.Causes) != 0 {
		t.Errorf("%+v, want healthy and no incident", h)
	}
	s.wantSnapshot(before)
}

// A protected component is convicted, named and left on.
func TestHealProtected(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 5}, fmt.Sprintf("protected = [%q]", "plugin:"+lab.Slug(2)))
	s.breakBy(lab.Fatal, lab.Slug(2))
	before := s.snapshot()
	h, _ := s.heal(4)
	if h.State != "escalated" || len(h.Changes) != 0 || len(h.Culprits) != 1 || !strings.Contains(strings.Join(h.Advice, "\n"), "protects it") {
		t.Errorf("%+v, want it escalated since the configuration protects the culprit", h)
	}
	s.wantSnapshot(before)
}
