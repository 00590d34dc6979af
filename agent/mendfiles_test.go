package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/diagnose"
	"wpmend/agent/gateway"
	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
)

// bench is a lab with an agent that knows nothing but it.
type bench struct {
	*lab.Lab
	t     *testing.T
	agent *Agent
}

func newBench(t *testing.T, o lab.Options) *bench {
	t.Helper()
	l := lab.New(t, o)
	c := config.Default()
	c.Only, c.Budget.Site, c.Budget.Pool, c.Budget.Host = []string{l.Dir}, 1000, 1000, 1000
	a, err := Open(Options{Config: c, State: filepath.Join(l.Dir, "state"), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{l, t, a}
}

// configure changes the configuration in force.
func (b *bench) configure(change func(c *config.Config)) {
	c := b.agent.conf()
	change(&c)
	b.agent.Reconfigure(c)
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) site() site.Site {
	b.t.Helper()
	host, err := b.agent.Discover(b.t.Context())
	b.must(err)
	s, err := site.Find(host.Sites, b.Site(0).Domain)
	b.must(err)
	return s
}

// heals takes one remedy against a cause, as an incident would.
func (b *bench) heals(cause string, take func(h *healing) (bool, error)) HealReport {
	b.t.Helper()
	l, release, err := b.agent.beginHeld(b.t.Context(), b.site(), Question{}, "heal", true)
	b.must(err)
	defer release()
	h := &healing{agent: b.agent, look: l}
	h.front = b.agent.askFront(b.t.Context(), l)
	h.explain(b.t.Context())
	h.causes = []diagnose.Cause{{Cause: cause}}
	h.report.Probes = 1 // no search for whom to name
	if _, err := take(h); err != nil {
		b.t.Fatal(err)
	}
	return h.report
}

func (b *bench) status(want int) {
	b.t.Helper()
	got, body, err := b.Get("/")
	for start := time.Now(); got != want && time.Since(start) < 10*time.Second; {
		got, body, err = b.Get("/") // old workers take connections until they have noticed
	}
	if err != nil || got != want {
		b.t.Fatalf("the front page answers %d, %v; want %d: %.300s", got, err, want, body)
	}
}

func (b *bench) advised(r HealReport, words ...string) {
	b.t.Helper()
	all := strings.Join(r.Advice, "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			b.t.Errorf("the advice does not say %q: %s", w, all)
		}
	}
	if r.State != StateEscalated || len(r.Changes) > 0 {
		b.t.Errorf("state %s, changes %+v", r.State, r.Changes)
	}
}

func (b *bench) resolved(r HealReport) {
	b.t.Helper()
	if r.State != StateResolved || len(r.Changes) != 1 {
		b.t.Fatalf("state %s, changes %+v, advice %q", r.State, r.Changes, r.Advice)
	}
}

func TestMendFilesOnNginx(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.Options{Plugins: 1})
	tune := func(h *healing) (bool, error) { return h.tuneGateway(t.Context()) }
	sites := filepath.Join(filepath.Dir(b.NginxConfig()), "sites")
	own := filepath.Join(sites, remedy.DropInName(b.site()))
	file := func() string { text, _ := os.ReadFile(own); return string(text) }

	// A header that is too big: only where the configuration allows it, and only through
	// the gateway's own test.
	b.must(b.Break(0, lab.Header9k, lab.Slug(1)))
	b.status(http.StatusBadGateway)
	b.advised(b.heals(diagnose.ResponseHeaderTooBig, tune), "tune = true", "fastcgi_buffer_size 16k;", "fastcgi_busy_buffers_size 32k;")
	b.configure(func(c *config.Config) { c.Gateway.Tune = true })
	broken := filepath.Join(sites, "broken.conf")
	b.must(os.WriteFile(broken, []byte("nonsense;\n"), 0o644))
	b.advised(b.heals(diagnose.ResponseHeaderTooBig, tune), "nonsense")
	b.must(os.Remove(broken))
	// The test refuses only what comes with the change.
	master := b.NginxMaster()
	wrong, err := remedy.TuneGateway(b.site(), []remedy.OwnFile{{DropIn: gateway.DropIn{File: own}}}, []string{"fastcgi_busy_buffers_size 1k;"}, "", "test")
	b.must(err)
	wrong, err = b.agent.journal.Plan(wrong)
	b.must(err)
	var refused *gateway.ConfigError
	if err := b.agent.journal.Apply(t.Context(), wrong.ID); !errors.As(err, &refused) || !strings.Contains(refused.Words, "busy_buffers_size") {
		t.Errorf("a wrong value gave %v", err)
	}
	if b.status(http.StatusBadGateway); file() != "" || b.NginxMaster() != master {
		t.Errorf("after a refusal: %q, master %d", file(), b.NginxMaster())
	}
	r := b.heals(diagnose.ResponseHeaderTooBig, tune)
	b.resolved(r)
	if b.status(http.StatusOK); !strings.Contains(file(), "\nfastcgi_buffer_size 16k;\n") || b.NginxMaster() != master {
		t.Errorf("the file is %q, master %d", file(), b.NginxMaster())
	}

	b.takesBack(r.Changes[0].ID)
	b.endsMaintenance()
	b.purges(sites)
}

// takesBack: a term that comes to its end takes the change back, unless the site needs it.
func (b *bench) takesBack(id string) {
	b.t.Helper()
	c, err := b.agent.journal.Get(id)
	b.must(err)
	b.must(b.agent.journal.Undo(b.t.Context(), c.ID, "test"))
	b.status(http.StatusBadGateway)
	now := time.Now()
	again := journal.Change{Site: c.Site, SiteRoot: c.SiteRoot, What: c.What, Why: "test", Actor: "test", Steps: c.Steps, Until: now.Add(-time.Second)}
	again, err = b.agent.journal.Plan(again)
	b.must(err)
	b.must(errors.Join(b.agent.journal.Apply(b.t.Context(), again.ID), b.agent.journal.Verified(again.ID)))
	b.status(http.StatusOK)
	// The service leaves it to a site for which it is only to look.
	conf := b.agent.conf()
	observing, err := config.Parse("test", fmt.Sprintf("[[site]]\nmatch = %q\nmode = \"observe\"\n", c.SiteRoot))
	b.must(err)
	b.agent.Reconfigure(observing)
	if taken, err := b.agent.takeBackOf(b.t.Context(), (&watching{agent: b.agent}).heals); err != nil || len(taken) != 0 {
		b.t.Fatalf("although it was to observe: %+v, %v", taken, err)
	}
	b.agent.Reconfigure(conf)
	taken, err := b.agent.TakeBack(b.t.Context())
	if err != nil || len(taken) != 1 || taken[0].Undone || !taken[0].Until.After(now.Add(30*time.Second)) || !strings.Contains(taken[0].Note, "in force again") {
		b.t.Fatalf("%+v, %v", taken, err)
	}
	b.status(http.StatusOK)
	// Healthy without it.
	b.must(b.Mend(0))
	b.takesBackInOrder(c)
	inForce, err := b.agent.journal.InForce(c.SiteRoot)
	if err != nil || len(inForce) != 1 {
		b.t.Fatalf("%+v, %v", inForce, err)
	}
	b.must(b.agent.journal.Undo(b.t.Context(), inForce[0].ID, "test"))
	again.Steps = c.Steps
	again, err = b.agent.journal.Plan(again)
	b.must(err)
	b.must(errors.Join(b.agent.journal.Apply(b.t.Context(), again.ID), b.agent.journal.Verified(again.ID)))
	if taken, err := b.agent.TakeBack(b.t.Context()); err != nil || len(taken) != 1 || !taken[0].Undone {
		b.t.Fatalf("%+v, %v", taken, err)
	}
	if taken, err := b.agent.TakeBack(b.t.Context()); err != nil || len(taken) != 0 {
		b.t.Fatalf("once more: %+v, %v", taken, err)
	}
	b.status(http.StatusOK)
}

// takesBackInOrder: what lies below a later change to the same file waits for that.
func (b *bench) takesBackInOrder(c journal.Change) {
	b.t.Helper()
	name := filepath.Join(b.Dir, "stacked.conf")
	var ids []string
	for n, until := range []time.Time{time.Now().Add(-time.Second), time.Now().Add(3 * time.Second)} {
		change, err := b.agent.journal.Plan(journal.Change{Site: c.Site, SiteRoot: c.SiteRoot, What: "test", Why: "test", Actor: "test", Until: until,
			Steps: []journal.Step{journal.ReplaceHostFile(name, []byte{'a' + byte(n)})}})
		b.must(err)
		b.must(errors.Join(b.agent.journal.Apply(b.t.Context(), change.ID), b.agent.journal.Verified(change.ID)))
		ids = append(ids, change.ID)
	}
	if taken, err := b.agent.TakeBack(b.t.Context()); err != nil || len(taken) != 0 {
		b.t.Fatalf("what lies below was taken back first: %+v, %v", taken, err)
	}
	time.Sleep(3 * time.Second)
	if taken, err := b.agent.TakeBack(b.t.Context()); err != nil || len(taken) != 2 || taken[0].ID != ids[1] || !taken[0].Undone || !taken[1].Undone {
		b.t.Fatalf("%+v, %v", taken, err)
	}
	if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
		b.t.Errorf("the file is left: %v", err)
	}
}

// A customer's folder that the gateway's configuration includes may hold anything under
// the name of wpmend's own file.
func TestOwnFileIsNoTrap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if text, err := readOwn(filepath.Join(dir, "none")); text != nil || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	name := func(n string) string { return filepath.Join(dir, n) }
	if err := errors.Join(os.WriteFile(name("own"), []byte("x\n"), 0o600), syscall.Mkfifo(name("fifo"), 0o600), os.Symlink("/dev/zero", name("link")),
		os.Mkdir(name("folder"), 0o700), os.WriteFile(name("large"), make([]byte, maxOwnFile+1), 0o600)); err != nil {
		t.Fatal(err)
	}
	if text, err := readOwn(name("own")); string(text) != "x\n" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	for _, trap := range []string{"fifo", "link", "folder", "large"} {
		if _, err := readOwn(name(trap)); err == nil {
			t.Errorf("a %s is read", trap)
		}
	}
}

func TestWPCLI(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"wp core update": true, "php /usr/local/bin/wp plugin update": true, "php8.2 -d memory_limit=1G -d x=y /usr/local/bin/wp core update": true,
		"/usr/bin/php -dmemory_limit=1G wp-cli.phar cron": true, "php -c /etc/x wp-cli-2.9.phar": true,
		"": false, "php": false, "php -d": false, "php -d wp=1 cron.php": false, "php-fpm: pool wp-x": false, "/usr/sbin/nginx": false,
	} {
		if got := wpCLI(strings.Fields(line)); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func (b *bench) endsMaintenance() {
	b.t.Helper()
	end := func(h *healing) (bool, error) { return h.endMaintenance(b.t.Context()) }
	b.must(b.Break(0, lab.Maintenance, ""))
	b.status(http.StatusServiceUnavailable)
	b.advised(b.heals(diagnose.Maintenance, end), "an update may be under way")
	name := filepath.Join(b.Site(0).Core, ".maintenance")
	was := time.Now().Add(-time.Hour)
	b.must(os.Chtimes(name, was, was))
	upgrade := filepath.Join(b.Site(0).Content, "upgrade", "akismet.5.0")
	b.must(os.MkdirAll(upgrade, 0o755))
	b.advised(b.heals(diagnose.Maintenance, end), "wp-content/upgrade/akismet.5.0")
	// An update that unpacks for long changes what lies there, and no longer the folder.
	b.must(os.Chtimes(filepath.Dir(upgrade), was, was))
	b.advised(b.heals(diagnose.Maintenance, end), "wp-content/upgrade/akismet.5.0 was changed at")
	b.must(os.Chtimes(upgrade, was, was))
	before, err := os.ReadFile(name)
	b.must(err)
	r := b.heals(diagnose.Maintenance, end)
	b.resolved(r)
	b.status(http.StatusOK)
	if status, body, err := b.Get("/.maintenance.off-by-wpmend/maintenance.php"); err != nil || strings.Contains(body, "upgrading") {
		b.t.Errorf("it is served: %d %q, %v", status, body, err)
	}
	b.must(b.agent.journal.Undo(b.t.Context(), r.Changes[0].ID, "test"))
	if after, err := os.ReadFile(name); err != nil || string(after) != string(before) {
		b.t.Errorf("after the undo: %q, %v", after, err)
	}
	b.must(b.Mend(0))
	b.status(http.StatusOK)
}

func (b *bench) purges(sites string) {
	b.t.Helper()
	purge := func(h *healing) (bool, error) { return h.purgeCache(b.t.Context()) }
	b.advised(b.heals(diagnose.CachedError, purge), "not known")
	b.must(os.WriteFile(filepath.Join(sites, "aa-cache.conf"), []byte(`fastcgi_cache_path `+b.Dir+`/cache levels=1:2 keys_zone=Z:1m;
fastcgi_cache Z; fastcgi_cache_key "$scheme$request_method$host$request_uri"; fastcgi_cache_valid any 1h;
fastcgi_ignore_headers Cache-Control Expires Set-Cookie;
`), 0o644))
	b.must(gateway.Reload(b.t.Context(), b.site().Gateway))
	b.must(b.Break(0, lab.Fatal, lab.Slug(1)))
	b.status(http.StatusInternalServerError)
	b.must(b.Mend(0))
	if status, _, err := b.Get("/"); err != nil || status != http.StatusInternalServerError {
		b.t.Fatalf("the error is not cached: %d, %v", status, err)
	}
	b.resolved(b.heals(diagnose.CachedError, purge))
	if status, _, err := b.Get("/"); err != nil || status != http.StatusOK {
		b.t.Errorf("after the purge: %d, %v", status, err)
	}
	b.advised(b.heals(diagnose.CachedError, purge), "hold no error")
}

func TestTuneApache(t *testing.T) {
	t.Parallel()
	b := newBench(t, lab.Options{Gateway: lab.Apache})
	b.configure(func(c *config.Config) { c.Gateway.Tune = true })
	tune := func(h *healing) (bool, error) { return h.tuneGateway(t.Context()) }
	edit := func(name, old, new string) {
		t.Helper()
		text, err := os.ReadFile(name)
		b.must(err)
		if !strings.Contains(string(text), old) {
			t.Fatalf("%s has no %q", name, old)
		}
		b.must(os.WriteFile(name, []byte(strings.Replace(string(text), old, new, 1)), 0o644))
	}
	edit(b.ApacheConfig(), "Timeout 300", "Timeout 300\nProxyTimeout 1")
	b.must(gateway.Reload(t.Context(), b.site().Gateway))
	mu := filepath.Join(b.Site(0).Content, "mu-plugins")
	b.must(os.MkdirAll(mu, 0o755))
	b.must(os.WriteFile(filepath.Join(mu, "slow.php"), []byte("<?php usleep(1600000);\n"), 0o644))
	b.status(http.StatusGatewayTimeout)
	b.advised(b.heals(diagnose.ResponseHeaderTooBig, tune), "cannot be set")
	vhost := filepath.Join(filepath.Dir(b.ApacheConfig()), "sites", b.Site(0).Domain+".conf")
	b.advised(b.heals(diagnose.GatewayTimeout, tune), "Paste at "+vhost+":1: ProxyTimeout ")
	dir := filepath.Join(filepath.Dir(b.ApacheConfig()), "own")
	b.must(os.Mkdir(dir, 0o755))
	edit(vhost, "</VirtualHost>", "IncludeOptional "+dir+"/*.conf\n</VirtualHost>")
	master := b.ApacheMaster()
	r := b.heals(diagnose.GatewayTimeout, tune)
	b.resolved(r)
	b.status(http.StatusOK)
	b.must(b.agent.journal.Undo(t.Context(), r.Changes[0].ID, "test"))
	b.status(http.StatusGatewayTimeout)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 || b.ApacheMaster() != master {
		t.Errorf("left %v, %v, master %d", left, err, b.ApacheMaster())
	}
}
