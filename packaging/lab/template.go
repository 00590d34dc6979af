package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// templateHome holds one prepared template for each set of package versions: an
// initialised database with WordPress installed, and a document root. It can be
// removed at any time; the next lab makes it anew.
const templateHome = "/var/cache/wpmend-lab"

const (
	phpBinary    = "/usr/bin/php8.2"
	wordpressDir = "/usr/share/wordpress"
)

//go:embed install.php
var installScript []byte

// templatePackages are those whose versions shape a template.
var templatePackages = []string{"mariadb-server", "php8.2-cli", "wordpress",
	"wordpress-theme-twentytwentythree", "wordpress-theme-twentytwentytwo"}

// prepareTemplate returns the folder of this machine's template. The first caller
// makes it, under a lock for which the others wait; later ones find it.
func prepareTemplate(ctx context.Context) (string, error) {
	key, err := templateKey(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(templateHome, key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(templateHome, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the lab's cache: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(templateHome, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("cannot lock the lab's cache: %w", err)
	}
	defer lock.Close() // this lets go of the lock, too
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("cannot lock the lab's cache: %w", err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := buildTemplate(ctx, dir); err != nil {
		return "", fmt.Errorf("cannot make the lab's template: %w", err)
	}
	return dir, nil
}

// templateKey names the template after everything that goes into it.
func templateKey(ctx context.Context) (string, error) {
	args := append([]string{"-W", "-f", "${Package} ${Version}\n"}, templatePackages...)
	versions, err := exec.CommandContext(ctx, "dpkg-query", args...).Output()
	if err != nil {
		return "", fmt.Errorf("cannot ask dpkg for the lab's package versions: %w", err)
	}
	h := sha256.New()
	h.Write(versions)
	h.Write(installScript)
	fmt.Fprint(h, mariadbArgs("", ""), dbName, dbUser, dbPassword, wpConfig(Site{}, "", ""))
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// buildTemplate makes the template in a lab without FPM, nginx and sites, whose
// guard clears up whatever happens, and moves the result to its place as one.
func buildTemplate(ctx context.Context, dir string) (err error) {
	l := &Lab{daemons: map[string]*daemon{}}
	if l.Dir, err = os.MkdirTemp("/tmp", "wpmend-lab-"); err != nil {
		return err
	}
	if err := os.Chmod(l.Dir, 0o755); err != nil {
		return err
	}
	if l.guard, err = startGuard(l.Dir); err != nil {
		return errors.Join(err, os.RemoveAll(l.Dir))
	}
	defer func() { err = errors.Join(err, l.Close()) }()

	mysql, err := mysqlCredential()
	if err != nil {
		return err
	}
	www, err := credentialOf("www-data")
	if err != nil {
		return err
	}
	for _, d := range []string{"logs", "db"} {
		if err := os.Mkdir(filepath.Join(l.Dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.Lchown(filepath.Join(l.Dir, "db"), int(mysql.Uid), int(mysql.Gid)); err != nil {
		return err
	}
	data, site := filepath.Join(l.Dir, "db", "data"), filepath.Join(l.Dir, "site")
	if err := initialiseDB(ctx, l.Dir, data, mysql); err != nil {
		return err
	}
	if l.db, err = sql.Open("mysql", dsn(l.dbSocket(), dbUser, dbPassword, dbName)); err != nil {
		return err
	}
	if err := l.launchDB(); err != nil {
		return err
	}
	if err := l.waitDB(ctx); err != nil {
		return err
	}
	if err := copyWordPress(ctx, site); err != nil {
		return err
	}
	if err := ownTree(site, www.Uid, www.Gid); err != nil {
		return err
	}
	if err := l.installWordPress(ctx, site, www); err != nil {
		return err
	}
	if err := l.StopDB(); err != nil { // in order: the files are kept
		return err
	}

	// The caller holds the lock, so what lies there is of a build that was killed.
	staging := dir + ".staging"
	if err := os.RemoveAll(staging); err != nil {
		return err
	}
	defer os.RemoveAll(staging)
	if err := os.Mkdir(staging, 0o755); err != nil {
		return err
	}
	for from, to := range map[string]string{data: "db", site: "site"} {
		if err := copyTree(ctx, from, filepath.Join(staging, to)); err != nil {
			return err
		}
	}
	return os.Rename(staging, dir)
}

// initialiseDB makes the system tables, WordPress' database and its user. The user
// is made by the bootstrap server that loads the system tables, for which nobody
// need log in as root.
func initialiseDB(ctx context.Context, dir, data string, cred *syscall.Credential) error {
	extra := filepath.Join(dir, "user.sql")
	// The bootstrap server skips the grant tables until it is told to read them.
	statements := fmt.Sprintf("FLUSH PRIVILEGES;\nCREATE DATABASE %[1]s CHARACTER SET utf8mb4;\n"+
		"CREATE USER '%[2]s'@'localhost' IDENTIFIED BY '%[3]s';\n"+
		"GRANT ALL ON %[1]s.* TO '%[2]s'@'localhost';\n", dbName, dbUser, sqlText(dbPassword))
	if err := os.WriteFile(extra, []byte(statements), 0o644); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+data,
		"--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=socket",
		"--innodb-log-file-size=4M", "--innodb-buffer-pool-size=16M", "--innodb-flush-method=nosync",
		"--innodb-use-native-aio=OFF", "--extra-file="+extra)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setpgid: true}
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: %s", err, clip(string(out), 2000))
	}
	return nil
}

// sqlText escapes a text for use between single quotes of a statement.
func sqlText(s string) string {
	var b []byte
	for i := range len(s) {
		if s[i] == '\'' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(b)
}

// installWordPress runs WordPress' own installer as the site's user, never as root.
func (l *Lab) installWordPress(ctx context.Context, site string, cred *syscall.Credential) error {
	s := Site{Domain: domain(0), TablePrefix: tablePrefix(0)}
	config := filepath.Join(site, "wp-config.php")
	if err := os.WriteFile(config, []byte(wpConfig(s, l.dbSocket(), "")), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, phpBinary, "-d", "sendmail_path=/bin/true", "-d", "display_errors=stderr",
		"--", site, s.Domain)
	cmd.Stdin = bytes.NewReader(installScript)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Setpgid: true}
	cmd.Dir = "/"
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "installed\n" {
		return fmt.Errorf("the installer of WordPress: %v: %s", err, clip(string(out), 2000))
	}
	return os.Remove(config)
}

// ownTree gives a folder and all in it to a user; links themselves, never what
// they point to.
func ownTree(dir string, uid, gid uint32) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(uid), int(gid))
	})
}
