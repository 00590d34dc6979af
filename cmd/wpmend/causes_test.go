package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/packaging/lab"
)

// How an incident may end.
const (
	healed = "resolved"  // by wpmend, and the lab's own request is answered well
	left   = "escalated" // to a person, with everything as it was found
	either = ""          // one of them
	seen   = "healthy"   // on this host all is well, so heal does nothing
)

// A cause that is brought about for real.
type causeRow struct {
	cause   string
	faults  []lab.Fault // those of plugins in the second one
	sure    float64     // the least confidence
	advises []string    // what the advice must name, see stage.filled
	ends    string
	on      string        // one gateway only, "" for both
	also    string        // another cause may stand first, and this one among the rest
	settles time.Duration // how long the fault must last to be told from a passing one
	slow    bool          // at Apache, where it is the same, only in the long run
	late    bool          // only heal's own copy of the pool tells it
}

// rows are the causes that a pool on a unix socket can have.
var rows = []causeRow{
	// name and edge
	{cause: diagnose.DNSMismatch, faults: []lab.Fault{lab.NameElsewhere}, sure: 0.5, ends: seen},
	{cause: diagnose.CDNOnly, faults: []lab.Fault{lab.EdgeFails}, sure: 0.5, ends: seen},
	{cause: diagnose.OuterTimeout, faults: []lab.Fault{lab.Slow, lab.EdgeImpatient}, sure: 0.5, ends: seen},
	{cause: diagnose.CachedError, faults: []lab.Fault{lab.CachedFatal}, sure: 0.8, ends: healed, on: lab.Nginx},
	// What nginx itself answered it keeps in its memory, where nobody can purge it.
	{cause: diagnose.CachedError, faults: []lab.Fault{lab.CachedBadGateway}, sure: 0.8, ends: left, on: lab.Nginx, advises: []string{"fastcgi_cache_valid"}},
	{cause: diagnose.StaleCache, faults: []lab.Fault{lab.StaleCache}, sure: 0.2, ends: healed, on: lab.Nginx, also: diagnose.FPMDown},

	// connection
	{cause: diagnose.GatewayDown, faults: []lab.Fault{lab.GatewayStopped}, sure: 0.9, ends: left},
	{cause: diagnose.GatewayConfig, faults: []lab.Fault{lab.GatewayBroken}, sure: 0.9, ends: left, advises: []string{"VHOST:"}},
	{cause: diagnose.GatewayExhausted, faults: []lab.Fault{lab.GatewayFull}, sure: 0.5, ends: left, on: lab.Nginx, advises: []string{"worker_connections"}},
	{cause: diagnose.FileDescriptors, faults: []lab.Fault{lab.GatewayFiles}, sure: 0.8, ends: left, on: lab.Nginx, advises: []string{"worker_rlimit_nofile"}},
	{cause: diagnose.SocketPermission, faults: []lab.Fault{lab.SocketMode}, sure: 0.9, ends: left, advises: []string{"SOCKET"}},
	{cause: diagnose.SocketPermission, faults: []lab.Fault{lab.SocketFolder}, sure: 0.9, ends: left},
	{cause: diagnose.SocketMissing, faults: []lab.Fault{lab.SocketDeleted}, sure: 0.8},
	{cause: diagnose.StaleSocket, faults: []lab.Fault{lab.SocketStale}, sure: 0.8},
	{cause: diagnose.WrongSocket, faults: []lab.Fault{lab.OtherSocket}, sure: 0.8, ends: left, advises: []string{"SOCKET", "php8.1-"}},
	{cause: diagnose.WrongProtocol, faults: []lab.Fault{lab.HTTPOnSocket}, sure: 0.8, ends: left},

	// pool
	{cause: diagnose.FPMDown, faults: []lab.Fault{lab.FPMStopped}, sure: 0.9, ends: healed},
	{cause: diagnose.FPMConfig, faults: []lab.Fault{lab.FPMBroken}, sure: 0.9, ends: left, advises: []string{"POOL", "pm.max_childs"}},
	{cause: diagnose.FPMConfig, faults: []lab.Fault{lab.FPMUserMissing}, sure: 0.9, ends: left, advises: []string{"gone-"}},
	{cause: diagnose.WorkersStuck, faults: []lab.Fault{lab.WorkersStuck}, sure: 0.9, ends: healed, settles: 10 * time.Second, slow: true},
	{cause: diagnose.WorkerCrash, faults: []lab.Fault{lab.Segfault}, sure: 0.7, ends: healed},
	{cause: diagnose.OPcachePoisoned, faults: []lab.Fault{lab.OPcachePoisoned}, sure: 0.8, ends: healed, late: true},

	// time
	{cause: diagnose.ExecutionTimeout, faults: []lab.Fault{lab.Work, lab.ExecuteSoon}, sure: 0.7, slow: true},
	{cause: diagnose.TerminateTimeout, faults: []lab.Fault{lab.Slow, lab.TerminateSoon}, sure: 0.7, slow: true},
	{cause: diagnose.GatewayTimeout, faults: []lab.Fault{lab.Slow, lab.ImpatientGateway}, sure: 0.7, slow: true},

	// answer
	{cause: diagnose.ResponseHeaderTooBig, faults: []lab.Fault{lab.Header9k}, sure: 0.9, ends: healed, on: lab.Nginx, advises: []string{"fastcgi_buffer_size"}},
	{cause: diagnose.InvalidHeader, faults: []lab.Fault{lab.BadHeader}, sure: 0.7},
	{cause: diagnose.HtaccessBroken, faults: []lab.Fault{lab.ForeignHtaccess}, sure: 0.8, ends: left, on: lab.Apache, advises: []string{".htaccess", "php_value"}},

	// host
	{cause: diagnose.PHPMemoryLimit, faults: []lab.Fault{lab.Greedy, lab.LittleMemory}, sure: 0.7, slow: true},
	{cause: diagnose.DiskFull, faults: []lab.Fault{lab.Scribbler, lab.SessionsFull}, sure: 0.7, ends: left, advises: []string{"sessions"}},
	{cause: diagnose.DiskFull, faults: []lab.Fault{lab.Scribbler, lab.SessionInodes}, sure: 0.7, ends: left, advises: []string{"sessions"}},

	// database
	{cause: diagnose.DBDown, faults: []lab.Fault{lab.DatabaseDown}, sure: 0.9, ends: left},
	{cause: diagnose.DBConnections, faults: []lab.Fault{lab.DatabaseBusy}, sure: 0.9, ends: left, advises: []string{"max_connections"}},
	{cause: diagnose.DBCredentials, faults: []lab.Fault{lab.DatabasePassword}, sure: 0.9, ends: left, advises: []string{"wp-config.php"}},
	{cause: diagnose.DBCredentials, faults: []lab.Fault{lab.DatabaseMissing}, sure: 0.9, ends: left, advises: []string{"wp-config.php"}},
	{cause: diagnose.DBTableCrashed, faults: []lab.Fault{lab.TableCrashed}, sure: 0.8, ends: left, advises: []string{"wp_options"}},
	{cause: diagnose.DBTableCrashed, faults: []lab.Fault{lab.TableMissing}, sure: 0.8, ends: left, advises: []string{"wp_options"}},

	// WordPress
	{cause: diagnose.Maintenance, faults: []lab.Fault{lab.Maintenance}, sure: 0.9, ends: left},
	{cause: diagnose.Maintenance, faults: []lab.Fault{lab.MaintenanceForgotten}, sure: 0.9, ends: healed},
	{cause: diagnose.Maintenance, faults: []lab.Fault{lab.MaintenanceMeant}, sure: 0.9, ends: left, advises: []string{".maintenance"}},
	{cause: diagnose.UpdateBroken, faults: []lab.Fault{lab.HalfUpdated, lab.UpgradeTrace}, sure: 0.5, ends: left, advises: []string{"upgrade"}},
	{cause: diagnose.CoreDamaged, faults: []lab.Fault{lab.CoreTruncated}, sure: 0.4, ends: left, advises: []string{"wp-settings.php"}},
	{cause: diagnose.ConfigBroken, faults: []lab.Fault{lab.ConfigUnparsable}, sure: 0.9, ends: left, advises: []string{"wp-config.php"}},
	{cause: diagnose.ConfigBroken, faults: []lab.Fault{lab.ConfigUnreadable}, sure: 0.8, ends: left, advises: []string{"wp-config.php"}},
	{cause: diagnose.CodeUnparsable, faults: []lab.Fault{lab.Unparsable}, sure: 0.7, ends: healed},
	{cause: diagnose.CodeUnparsable, faults: []lab.Fault{lab.ThemeUnparsable}, sure: 0.7},
	{cause: diagnose.CodeUnparsable, faults: []lab.Fault{lab.MustUnparsable}, sure: 0.7, ends: healed},
	{cause: diagnose.PrependMissing, faults: []lab.Fault{lab.PrependGone}, sure: 0.8, ends: left, advises: []string{".user.ini"}},
	{cause: diagnose.ThemeMissing, faults: []lab.Fault{lab.ThemeGone}, sure: 0.9},
	{cause: diagnose.ObjectCacheDown, faults: []lab.Fault{lab.RedisDown}, sure: 0.7},
	{cause: diagnose.ComponentFault, faults: []lab.Fault{lab.Fatal}, sure: 0.5, ends: healed},

	// Last, since its clients fill the access log: what follows would look like a part of their spike.
	{cause: diagnose.PoolExhausted, faults: []lab.Fault{lab.PoolBusy}, sure: 0.5, also: diagnose.TrafficSpike},
}

// overTCP are those that only a pool with a port can have.
var overTCP = []causeRow{
	{cause: diagnose.Firewall, faults: []lab.Fault{lab.FirewallReject}, sure: 0.85, ends: left},
	{cause: diagnose.Firewall, faults: []lab.Fault{lab.FirewallDrop}, sure: 0.85, ends: left},
	{cause: diagnose.ClientDisallowed, faults: []lab.Fault{lab.ClientsDisallowed}, sure: 0.8, ends: left, advises: []string{"listen.allowed_clients"}},
}

// elsewhere are the causes that other tests bring about, or none, and why.
var elsewhere = map[string]string{
	diagnose.UpstreamUnresolved: "a vhost that asks at a name counts as asking another machine, so its site is not listed: parsed only; packaging/lab shows both servers' symptom",
	diagnose.FPMOOMKilled:       "needs a unit with a memory limit under a real systemd: agent/remedy's and php/fpm's tests in a machine of their own",
	diagnose.FPMStartLimit:      "needs systemd: php/fpm's tests in a machine of their own",
	diagnose.Overload:           "a machine that others use cannot be overloaded on purpose: parsed only",
	diagnose.TrafficSpike:       "TestOverload names it or pool-exhausted; an ordinary hour to compare with cannot be had in a test: parsed only",
	diagnose.MemoryExhausted:    "the kernel's own record of a killed process is written on another machine's log only: parsed only",
	diagnose.AccessDenied:       "this kernel has neither SELinux nor AppArmor: parsed only",
	diagnose.DBDiskFull:         "MariaDB waits for room instead of failing where it writes in place: parsed only",
}

// behind are the causes that lie behind the gateway, whichever it is: at Apache they are brought about in the long run.
var behind = []string{
	diagnose.DNSMismatch, diagnose.CDNOnly, diagnose.DiskFull, diagnose.DBConnections, diagnose.DBCredentials, diagnose.DBTableCrashed,
	diagnose.UpdateBroken, diagnose.CoreDamaged, diagnose.CodeUnparsable, diagnose.PrependMissing, diagnose.ThemeMissing, diagnose.ObjectCacheDown,
}

// Every cause is brought about, or the list says why not.
func TestCausesAreAll(t *testing.T) {
	t.Parallel()
	names := diagnose.Names()
	brought := map[string]bool{}
	for _, r := range slices.Concat(rows, overTCP) {
		brought[r.cause] = true
		if !slices.Contains(names, r.cause) {
			t.Errorf("no cause is called %s", r.cause)
		}
	}
	for _, name := range names {
		if why := elsewhere[name]; brought[name] == (why != "") {
			t.Errorf("%s: brought about %v, left out because %q; want one of the two", name, brought[name], why)
		}
	}
	if n := len(brought); n < 30 {
		t.Errorf("%d causes are brought about, want at least 30", n)
	}
}

// Each cause at each gateway: check names it first, heal mends it or leaves all as
// found, and what was changed can be taken back.
func TestCauses(t *testing.T) {
	t.Parallel()
	for _, gateway := range []string{lab.Nginx, lab.Apache} {
		for part, table := range slices.Concat(shared(rows), [][]causeRow{overTCP}) {
			tcp, name := part == parts, fmt.Sprintf("%s-%d", gateway, part+1)
			if tcp {
				name = gateway + "-tcp"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, lab.Options{Plugins: 3, MaxChildren: 3, Gateway: gateway, TCP: tcp},
					`probe.timeout = "6s"`, "probe.verify = 3", "gateway.tune = true", "budget.master = 1000", "budget.requests = 100")
				dns, err := s.Resolver()
				s.must(err)
				text, err := os.ReadFile(s.config)
				s.must(err)
				s.write(s.config, fmt.Sprintf("%sedge.resolver = %q\n", text, dns.Address()))
				s.json("sites").exits(0) // what is well is remembered
				var said strings.Builder
				for _, r := range table {
					if r.on != "" && r.on != gateway || gateway == lab.Apache && !long && (r.slow || slices.Contains(behind, r.cause)) {
						continue
					}
					t.Run(r.cause+" by "+string(r.faults[len(r.faults)-1]), func(t *testing.T) {
						start := time.Now()
						on(t, s).cause(r, &said)
						fmt.Fprintf(&said, ", %.1f s\n", time.Since(start).Seconds())
					})
				}
				t.Logf("%s:\n%s", name, said.String())
			})
		}
	}
}

// parts is how many labs share the table of one gateway: a row after the other in one lab alone takes minutes.
const parts = 3

// shared deals rows out to the parts, each in its order.
func shared(rows []causeRow) [][]causeRow {
	dealt := make([][]causeRow, parts)
	for i, r := range rows {
		dealt[i%parts] = append(dealt[i%parts], r)
	}
	return dealt
}

// filled puts the lab's own names into what an advice must name.
func (s *stage) filled(want string) string {
	return strings.NewReplacer("VHOST", s.VhostConfig(0), "SOCKET", s.Site(0).Socket, "POOL", s.PoolConfig(0)).Replace(want)
}

// standing is what must be as it was where wpmend could not help.
func (s *stage) standing() (site, host lab.Snapshot) {
	s.t.Helper()
	host, err := s.HostSnapshot(0)
	s.must(err)
	site, err = s.Snapshot(0)
	if err != nil { // no database: the table compares it once it is back
		return lab.Snapshot{}, host
	}
	return site, host
}

func (s *stage) cause(r causeRow, said *strings.Builder) {
	s.t.Helper()
	before := s.snapshot()
	files := s.files()
	mended := false
	s.t.Cleanup(func() {
		if !mended {
			s.Mend(0) // the next row begins well
		}
	})
	for _, f := range r.faults {
		plugin := ""
		if f.InPlugin() {
			plugin = lab.Slug(2)
		}
		s.breakBy(f, plugin)
	}
	site, host := s.standing()

	time.Sleep(r.settles)

	var c checkJSON
	result := s.json("check", s.domain())
	result.into(&c)
	first := !r.late && s.names(r, c.Causes, result)

	var h healJSON
	result = s.json("heal", s.domain())
	result.into(&h)
	if r.late {
		first = s.names(r, h.Causes, result)
	}
	fmt.Fprintf(said, "%-24s by %-22s named first: %v, %s", r.cause, r.faults[len(r.faults)-1], first, h.State)
	if r.ends != either && h.State != r.ends {
		s.t.Errorf("heal ends %s, want %s: %s", h.State, r.ends, result)
	}
	switch h.State {
	case healed:
		if !s.healthy() {
			status, body := s.page()
			s.t.Errorf("resolved, but the front answers %d with %d bytes: %s", status, len(body), result)
		}
		// 1 where all that was done has no way back, as the start of a process.
		if undo := s.json("incidents", "undo", h.Incident); undo.code > 1 {
			s.t.Errorf("undo: %s", undo)
		}
	case left:
		nowSite, nowHost := s.standing()
		d := host.Diff(nowHost)
		if site.Options != nil {
			d += site.Diff(nowSite)
		}
		if d != "" {
			s.t.Errorf("escalated, but not as found:\n%s%s", d, result)
		}
	case seen:
	default:
		s.t.Errorf("heal ends %q: %s", h.State, result)
	}
	s.mend()
	mended = true
	s.wantSnapshot(before)
	if d := files.Diff(s.files()); d != "" {
		s.t.Errorf("the mended host is not as it was:\n%s", d)
	}
}

// names looks at what check says; first: the cause stands before all others.
func (s *stage) names(r causeRow, causes []causeJSON, checked result) (first bool) {
	s.t.Helper()
	i := slices.IndexFunc(causes, func(c causeJSON) bool { return c.Cause == r.cause })
	switch {
	case i < 0, i > 0 && causes[0].Cause != r.also:
		s.t.Errorf("want %s first: %s", r.cause, checked)
		return false
	case causes[i].Confidence < r.sure:
		s.t.Errorf("%s with a confidence of %.2f, want %.2f: %s", r.cause, causes[i].Confidence, r.sure, checked)
	}
	all := causes[i].Advice
	for _, e := range causes[i].Evidence {
		all += "\n" + e.Text
	}
	for _, want := range r.advises {
		if want = s.filled(want); !strings.Contains(all, want) {
			s.t.Errorf("advice and evidence of %s do not name %q: %s", r.cause, want, checked)
		}
	}
	return i == 0
}

// files is the host without what a mended fault starts anew: processes and sockets.
func (s *stage) files() lab.Snapshot {
	s.t.Helper()
	snap, err := s.HostSnapshot(0)
	s.must(err)
	for name, text := range snap.Files {
		if filepath.Ext(name) == ".sock" {
			snap.Files[name] = strings.Fields(text)[0]
		}
	}
	snap.Options = nil
	return snap
}
