package lab

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver "mysql"
)

const (
	mariadbBinary = "/usr/sbin/mariadbd"
	dbName        = "wordpress"
	dbUser        = "wordpress"
	dbPassword    = `lab-pass'"word` // quotes, because real passwords have them
)

// mariadbArgs keep a server small and quick. What they give up is durability,
// which a database that lives for one test does not need.
func mariadbArgs(data, socket string) []string {
	return []string{mariadbBinary,
		"--no-defaults", // first by its own rule; the host's my.cnf is for the host's server
		"--datadir=" + data,
		"--socket=" + socket,
		"--pid-file=" + socket + ".pid",
		"--tmpdir=" + filepath.Dir(socket),
		"--skip-networking",
		"--skip-log-bin",
		"--character-set-server=utf8mb4",
		"--performance-schema=OFF",
		"--max-connections=100",
		"--key-buffer-size=1M",
		"--aria-pagecache-buffer-size=8M",
		"--innodb-buffer-pool-size=16M",
		"--innodb-log-file-size=4M",
		"--innodb-flush-log-at-trx-commit=0",
		"--innodb-flush-method=nosync",
		"--innodb-doublewrite=OFF",
		// Kernel AIO slots are few (fs.aio-max-nr) and labs run side by side.
		"--innodb-use-native-aio=OFF",
		"--innodb-buffer-pool-dump-at-shutdown=OFF",
		"--innodb-buffer-pool-load-at-startup=OFF",
	}
}

func mysqlCredential() (*syscall.Credential, error) { return credentialOf("mysql") }

func credentialOf(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("cannot run as %s: %w", name, err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("cannot run as %s: uid %q: %w", name, u.Uid, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("cannot run as %s: gid %q: %w", name, u.Gid, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// dsn is the driver's address of a database over a unix socket.
func dsn(socket, name, password, database string) string {
	return fmt.Sprintf("%s:%s@unix(%s)/%s?timeout=5s&charset=utf8mb4", name, password, socket, database)
}

func (l *Lab) dbSocket() string { return filepath.Join(l.Dir, "db", "mysql.sock") }

func (l *Lab) prepareDB(ctx context.Context, template string) error {
	cred, err := mysqlCredential()
	if err != nil {
		return err
	}
	dir := filepath.Join(l.Dir, "db")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the database's folder: %w", err)
	}
	if err := os.Lchown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
		return fmt.Errorf("cannot make the database's folder: %w", err)
	}
	if err := copyTree(ctx, filepath.Join(template, "db"), filepath.Join(dir, "data")); err != nil {
		return err
	}
	l.db, err = sql.Open("mysql", dsn(l.dbSocket(), dbUser, dbPassword, dbName))
	if err != nil {
		return fmt.Errorf("cannot prepare the lab's database connection: %w", err)
	}
	// A connection kept over StopDB would fail the first query after StartDB.
	l.db.SetMaxIdleConns(0)
	return nil
}

func (l *Lab) launchDB() error {
	cred, err := mysqlCredential()
	if err != nil {
		return err
	}
	return l.launch("mariadb", cred, mariadbArgs(filepath.Join(l.Dir, "db", "data"), l.dbSocket())...)
}

func (l *Lab) waitDB(ctx context.Context) error {
	return l.await("mariadb", 60*time.Second, func() bool { return l.db.PingContext(ctx) == nil })
}

// StartDB starts the database again after StopDB and waits until it answers.
func (l *Lab) StartDB() error {
	if l.daemon("mariadb").alive() {
		return nil
	}
	if err := l.launchDB(); err != nil {
		return err
	}
	return l.waitDB(context.Background())
}

// StopDB shuts the database down in order; its socket is gone afterwards.
func (l *Lab) StopDB() error {
	d := l.daemon("mariadb")
	if !d.alive() {
		return nil
	}
	return terminate([]int{d.pid}, 20*time.Second)
}

// DB returns the connections to the database that all sites of the lab share,
// with the rights of WordPress' own user. The lab closes it.
func (l *Lab) DB() *sql.DB { return l.db }

// copyTree copies a folder with owners, modes and times, sharing blocks where
// the file system can.
func copyTree(ctx context.Context, from, to string) error {
	out, err := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", "--", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot copy %s to %s: %w: %s", from, to, err, clip(string(out), 300))
	}
	return nil
}
