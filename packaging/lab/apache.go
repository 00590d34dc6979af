package lab

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	apacheBinary  = "/usr/sbin/apache2"
	apacheModules = "/usr/lib/apache2/modules/"
	modPHP        = apacheModules + "libphp8.2.so"
	modPHPINI     = "/etc/php/8.2/apache2/php.ini"
)

// The values of Options.Gateway and Options.Handler.
const (
	Nginx  = "nginx"
	Apache = "apache"

	FPM    = "fpm"
	ModPHP = "mod_php"
)

// apachePrograms are what a lab with Apache runs besides the rest.
var apachePrograms = [][2]string{
	{apacheBinary, "apache2-bin"},
	{modPHP, "libapache2-mod-php8.2"},
	{modPHPINI, "libapache2-mod-php8.2"},
}

// setGateway fills in the defaults of the gateway and what follows from it.
func (o *Options) setGateway() error {
	if o.Gateway == "" {
		o.Gateway = Nginx
	}
	if o.Handler == "" {
		o.Handler = FPM
	}
	switch {
	case o.Gateway != Nginx && o.Gateway != Apache:
		return fmt.Errorf("no gateway %q: there are %s and %s", o.Gateway, Nginx, Apache)
	case o.Handler != FPM && o.Handler != ModPHP:
		return fmt.Errorf("no handler %q: there are %s and %s", o.Handler, FPM, ModPHP)
	case o.Handler == ModPHP && o.Gateway != Apache:
		return errors.New("mod_php lives in Apache: Gateway must be Apache")
	case o.Handler == ModPHP && (o.Masters > 0 || o.TCP || o.TerminateTimeout > 0 || o.SlowlogTimeout > 0):
		return errors.New("mod_php has no pools: Masters, TCP, TerminateTimeout and SlowlogTimeout mean nothing to it")
	}
	if o.Handler == ModPHP && o.UID != 0 {
		// Apache's children stay root where getpwuid finds nobody (AH02155, seen with
		// 2.4.71), and a site's code must never run as root.
		if _, err := user.LookupId(strconv.FormatUint(uint64(o.UID), 10)); err != nil {
			return fmt.Errorf("mod_php needs a user with a name: %w", err)
		}
	}
	return nil
}

// startGateway starts the web server in front of PHP.
func (l *Lab) startGateway() error {
	if l.o.Gateway == Apache {
		return l.StartApache()
	}
	return l.startNginx()
}

// ApacheConfig is the path of Apache's configuration.
func (l *Lab) ApacheConfig() string { return filepath.Join(l.Dir, "apache", "apache2.conf") }

// ApacheErrorLog is the path of a site's error log.
func (l *Lab) ApacheErrorLog(site int) string {
	return filepath.Join(l.Dir, "logs", l.sites[site].Domain+".error.log")
}

// ApacheServerLog is the path of the error log of the server as a whole, in which
// it says how its children ended.
func (l *Lab) ApacheServerLog() string { return filepath.Join(l.Dir, "logs", "apache.error.log") }

// ApacheAccessLog is the path of a site's access log: vhost_combined, the combined
// format behind "%v:%p".
func (l *Lab) ApacheAccessLog(site int) string {
	return filepath.Join(l.Dir, "logs", l.sites[site].Domain+".access.log")
}

// ApacheMaster returns the pid of Apache's master; 0: it does not run.
func (l *Lab) ApacheMaster() int {
	if d := l.daemon(Apache); d.alive() {
		return d.pid
	}
	return 0
}

// StartApache writes Apache's configuration anew, starts it unless it runs and
// waits until it accepts.
func (l *Lab) StartApache() error {
	if l.ApacheMaster() != 0 {
		return nil
	}
	if err := l.configureApache(); err != nil {
		return fmt.Errorf("cannot configure Apache: %w", err)
	}
	return l.StartGateway()
}

// StopApache ends Apache at once, with its children.
func (l *Lab) StopApache() error { return l.StopGateway() }

func (l *Lab) configureApache() error {
	dir := filepath.Dir(l.ApacheConfig())
	if err := os.MkdirAll(filepath.Join(dir, "sites"), 0o755); err != nil {
		return err
	}
	if l.o.TLS {
		if err := l.writeCertificate(dir); err != nil {
			return fmt.Errorf("make the lab's certificate: %w", err)
		}
	}
	files := map[string]string{l.ApacheConfig(): l.apacheMain()}
	for i, s := range l.sites {
		files[filepath.Join(dir, "sites", s.Domain+".conf")] = l.apacheSite(i)
		if err := l.writeHtaccess(s); err != nil {
			return err
		}
	}
	if l.o.Handler == ModPHP {
		ini, err := os.ReadFile(modPHPINI)
		if err != nil {
			return err
		}
		files[filepath.Join(dir, "php.ini")] = string(ini) + l.modPHPSettings()
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// modPHPSettings end the php.ini of mod_php: OPcache reads what matters only there,
// before the first request.
func (l *Lab) modPHPSettings() string {
	var b strings.Builder
	b.WriteString("\n[lab]\nsendmail_path = /bin/true\nopcache.enable = 1\nopcache.revalidate_freq = 0\n")
	if l.o.OPcacheKeepsOld {
		b.WriteString("opcache.validate_timestamps = 0\n")
	}
	if l.o.OPcacheFileOverride {
		b.WriteString("opcache.enable_file_override = 1\n")
	}
	return b.String()
}

// writeHtaccess writes WordPress' own rules for pretty permalinks (got_mod_rewrite,
// WP_Rewrite::mod_rewrite_rules).
func (l *Lab) writeHtaccess(s Site) error {
	base := strings.TrimSuffix("/"+l.o.Subfolder, "/") + "/"
	file := filepath.Join(s.Root, ".htaccess")
	if _, err := os.Lstat(file); err == nil {
		return nil // a test's own
	}
	text := `# BEGIN WordPress
<IfModule mod_rewrite.c>
RewriteEngine On
RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]
RewriteBase ` + base + `
RewriteRule ^index\.php$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . ` + base + `index.php [L]
</IfModule>
# END WordPress
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Lchown(file, int(l.uid), int(l.gid))
}
