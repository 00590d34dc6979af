// Package lab brings up a throw-away WordPress host for tests and for
// packaging/try: a real nginx or Apache, PHP-FPM or mod_php, MariaDB and
// WordPress, all from Debian's packages, and ways to break it.
//
// It knows Debian's programs and where their packages put things. It refuses to
// know anything of wpmend: what is tested must not help to build the stage.
//
// Its invariant: everything a lab makes lies in one folder below /tmp and every
// process it starts names that folder, so that Close, and the guard when the
// test is killed, find and end exactly these and nothing of the host's.
package lab

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// startTimeout bounds Up as a whole: generous, since a machine's first lab also
// builds the template and CI machines are slow.
const startTimeout = 3 * time.Minute

// Options describe a lab. The zero value is one site without plugins on one pool.
type Options struct {
	Plugins          int           // small active plugins of each site: plugin-01, plugin-02, …
	TerminateTimeout time.Duration // request_terminate_timeout, whole seconds; 0: none
	SlowlogTimeout   time.Duration // request_slowlog_timeout, whole seconds; 0: no slow log
	MaxChildren      int           // pm.max_children; 0 means 4
	TCP              bool          // pools listen on the lab's address, port 9000 and up, instead of unix sockets
	Upstream         bool          // nginx reaches the pools through upstream{} blocks
	Sites            int           // sites, each with its own vhost, root, pool and table prefix; 0 means 1
	Masters          int           // FPM masters over which the pools are spread; 0 means 1
	Subfolder        string        // WordPress lies in this folder of the document root
	Layout           Layout        // how the files of all sites are laid out
	Layouts          []Layout      // of site 0, 1, … where they differ; Sites may then be 0
	Multisite        string        // every site is a network with two blogs: Subfolders or Subdomains
	Networks         []string      // the same of site 0, 1, … where they differ; Sites may then be 0
	NetworkPlugins   int           // network-active plugins of each network: network-01, …
	BlogPlugins      int           // plugins active on blog 2 of each network only: blog-01, …
	SinglePlugins    int           // active plugins of one file: single-01.php, …
	MUPlugins        int           // must-use plugins: must-01.php, …; with Bedrock every second is a folder
	ChildTheme       bool          // the active theme is lab-child, a child of twentytwentythree
	TLS              bool          // vhosts also listen on port 443 with a self-signed certificate
	UID              uint32        // pool user, also the owner of the site's files; 0 means www-data
	Gateway          string        // Nginx ("" means it) or Apache
	Handler          string        // FPM ("" means it) or ModPHP: PHP within Apache's children, as the sites' user, and no pools

	// For ModPHP: opcache.validate_timestamps = 0, opcache.enable_file_override = 1.
	OPcacheKeepsOld, OPcacheFileOverride bool
}

// Site is one WordPress of a lab.
type Site struct {
	Domain      string // shop.lab.test, shop2.lab.test, …; nothing resolves it
	Layout      Layout
	Network     string // Subfolders, Subdomains or "": one blog
	DocRoot     string // nginx's root
	Root        string // the folder with the site's index.php, below which all of its code lies
	Core        string // WordPress' own folder (ABSPATH without its last slash): Root, or below it
	Content     string // WordPress' wp-content, whatever its name
	Config      string // wp-config.php, without links
	Socket      string // the pool's unix socket, or its host:port
	Pool        string // the pool's name
	TablePrefix string
	URL         string // WordPress' home, without a last slash

	base    string // the folder of all its files
	coreURL string // WordPress' siteurl
}

// Lab is one running host; several run side by side. Methods that look at it may be
// called from many goroutines, those that change it (Break, Mend, Stop…, Start…)
// from one at a time.
type Lab struct {
	Dir     string // the lab's folder; all else lies in it
	Address string // the loopback address of the gateway (:80, :443) and of TCP pools

	o        Options
	uid, gid uint32
	sites    []Site
	db       *sql.DB
	client   *http.Client
	guard    *guard
	faults   map[int][]func() error // what Mend runs, newest last
	dns      *Resolver              // once it was asked for

	mu       sync.Mutex
	lastTime time.Time // newest mtime given to a plugin's file, see stamp
	closed   bool
	waiters  sync.WaitGroup // one a started process, until it is reaped
	daemons  map[string]*daemon
}

// Up starts a lab and returns when its first site answers a page. It needs root.
func Up(ctx context.Context, o Options) (*Lab, error) {
	if err := checkHost(); err != nil {
		return nil, err
	}
	if err := o.setGateway(); err != nil {
		return nil, err
	}
	o.MaxChildren = orElse(o.MaxChildren, 4)
	o.Sites = orElse(o.Sites, max(1, len(o.Layouts), len(o.Networks)))
	if err := o.checkLayouts(); err != nil {
		return nil, err
	}
	if o.Handler == FPM {
		o.Masters = orElse(o.Masters, 1)
	}
	if o.Masters > o.Sites {
		return nil, fmt.Errorf("a lab of %d sites has no pools for %d FPM masters: FPM refuses to run without a pool", o.Sites, o.Masters)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	template, err := prepareTemplate(ctx)
	if err != nil {
		return nil, err
	}
	l := &Lab{o: o, faults: map[int][]func() error{}, daemons: map[string]*daemon{}}
	if err := l.up(ctx, template); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func orElse(n, fallback int) int {
	if n <= 0 {
		return fallback
	}
	return n
}

func (l *Lab) up(ctx context.Context, template string) (err error) {
	// Not t.TempDir() and not $TMPDIR: a socket's path holds 107 bytes at most,
	// and the pool's user must be able to walk down to it.
	if l.Dir, err = os.MkdirTemp("/tmp", "wpmend-lab-"); err != nil {
		return fmt.Errorf("cannot make the lab's folder: %w", err)
	}
	if err := os.Chmod(l.Dir, 0o755); err != nil {
		return fmt.Errorf("cannot open the lab's folder to the pool's user: %w", err)
	}
	if l.guard, err = startGuard(l.Dir); err != nil {
		return err
	}
	if l.uid, l.gid, err = poolUser(l.o.UID); err != nil {
		return err
	}
	if l.Address, err = freeAddress(); err != nil {
		return err
	}
	for _, d := range []string{"logs", "run", "www", "tmp"} {
		if err := os.Mkdir(filepath.Join(l.Dir, d), 0o755); err != nil {
			return fmt.Errorf("cannot make the lab's folders: %w", err)
		}
	}
	for i := range l.o.Sites {
		l.sites = append(l.sites, l.planSite(i))
	}
	l.client = l.newClient()

	// The database is the slowest to start, so the rest is laid out meanwhile.
	if err := l.prepareDB(ctx, template); err != nil {
		return err
	}
	if err := l.launchDB(); err != nil {
		return err
	}
	for _, s := range l.sites {
		if err := l.layOutSite(ctx, s, template); err != nil {
			return err
		}
	}
	if err := l.configureFPM(); err != nil {
		return err
	}
	if err := l.StartFPM(); err != nil {
		return err
	}
	if err := l.startGateway(); err != nil {
		return err
	}
	if err := l.waitDB(ctx); err != nil {
		return err
	}
	if err := l.fillSites(ctx); err != nil {
		return err
	}
	return l.warm(ctx)
}

// warm asks for the first page until it comes whole. On a busy machine the pages
// that find OPcache empty can run into a short request_terminate_timeout; each
// leaves more in OPcache for the next.
func (l *Lab) warm(ctx context.Context) error {
	for try := 1; ; try++ {
		status, body, err := l.GetFrom(ctx, 0, "/")
		if err != nil {
			return fmt.Errorf("the new lab does not answer: %w", err)
		}
		if status == http.StatusOK && Complete(body) {
			return nil
		}
		if try == 10 {
			return fmt.Errorf("the new lab answers %d, not a whole page with 200:\n%s\n%s", status, clip(body, 500), l.Logs())
		}
	}
}

// New is Up for a test: it fails the test where no lab can be had, never skips
// it, and ends the lab with the test.
func New(t testing.TB, o Options) *Lab {
	t.Helper()
	l, err := Up(context.Background(), o)
	if err != nil {
		t.Fatalf("cannot bring a lab up: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs of the lab %s:\n%s", l.Dir, l.Logs())
		}
		if err := l.Close(); err != nil {
			t.Errorf("cannot end the lab: %v", err)
		}
	})
	return l
}

// Close ends every process of the lab, those that somebody else started with
// the lab's configuration included, and removes its folder. It may be called again.
func (l *Lab) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	if l.db != nil {
		l.db.Close()
	}
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
	if l.dns != nil {
		l.dns.conn.Close()
	}
	if l.guard == nil {
		if l.Dir == "" {
			return nil
		}
		return os.RemoveAll(l.Dir)
	}
	err := l.guard.end()
	l.waiters.Wait()
	if _, statErr := os.Lstat(l.Dir); statErr == nil {
		err = errors.Join(err, fmt.Errorf("the guard left %s behind", l.Dir))
	}
	return err
}

// Site returns the lab's site i, counted from 0.
func (l *Lab) Site(i int) Site { return l.sites[i] }

// Sites returns all sites of the lab.
func (l *Lab) Sites() []Site { return slices.Clone(l.sites) }

// programs are what a lab runs, with the Debian package that has each.
var programs = [][2]string{
	{"/usr/sbin/nginx", "nginx-light"},
	{"/usr/sbin/nft", "nftables"},
	{fpmBinary, "php8.2-fpm"},
	{phpBinary, "php8.2-cli"},
	{mariadbBinary, "mariadb-server"},
	{wordpressDir + "/wp-load.php", "wordpress"},
	{wordpressDir + "/wp-content/themes/twentytwentythree/style.css", "wordpress-theme-twentytwentythree"},
	{wordpressDir + "/wp-content/themes/twentytwentytwo/style.css", "wordpress-theme-twentytwentytwo"},
}

func checkHost() error {
	if os.Geteuid() != 0 {
		return errors.New("a lab needs root (port 80, workers of other users): run sudo packaging/test")
	}
	var missing string
	for _, p := range slices.Concat(programs, apachePrograms) {
		if _, err := os.Stat(p[0]); err != nil {
			missing += " " + p[1]
		}
	}
	if missing != "" {
		return fmt.Errorf("a lab needs the packages%s: run sudo packaging/test, which installs them", missing)
	}
	if _, err := exec.LookPath("bash"); err != nil {
		return errors.New("a lab needs bash: run apt-get install bash")
	}
	return nil
}
