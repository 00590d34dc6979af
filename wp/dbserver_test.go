package wp

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// server is one MariaDB for all tests of the package.
type server struct {
	dir, socket string
	port        int
	process     *os.Process
	admin       *sql.DB
}

var (
	startServer = sync.OnceValues(newServer)
	started     bool
)

func TestMain(m *testing.M) {
	code := m.Run()
	if started {
		if s, err := startServer(); err == nil {
			s.stop()
		}
	}
	os.Exit(code)
}

func database(t testing.TB) *server {
	t.Helper()
	s, err := startServer()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newServer() (*server, error) {
	started = true
	// The path of a socket has at most 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "wpdb")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, socket: filepath.Join(dir, "s")}
	u, err := user.Lookup("mysql")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	for _, p := range []string{dir, data} {
		if err := os.Chown(p, uid, -1); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command("mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir="+data, "--skip-test-db").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("install: %w: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.77.1.1:0")
	if err != nil {
		return nil, err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("mariadbd", "--no-defaults", "--datadir="+data, "--socket="+s.socket, "--bind-address=127.77.1.1", "--port="+strconv.Itoa(s.port),
		"--pid-file="+filepath.Join(data, "pid"), "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M", "--performance-schema=OFF", "--character-set-server=latin1", "--sql-mode=")
	cmd.Stdout, cmd.Stderr = log, log
	// A change of user would take the death signal away, so it starts as mysql.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.process = cmd.Process
	m := mysql.NewConfig()
	m.User, m.Net, m.Addr, m.Logger, m.MultiStatements = "root", "unix", s.socket, &mysql.NopLogger{}, true
	c, err := mysql.NewConnector(m)
	if err != nil {
		return nil, err
	}
	s.admin = sql.OpenDB(c)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for s.admin.PingContext(ctx) != nil {
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("mariadbd does not start: %s", text)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return s, nil
}

func (s *server) stop() {
	s.admin.Close()
	if s.process.Signal(syscall.SIGTERM) == nil {
		s.process.Wait()
	}
	os.RemoveAll(s.dir)
}

func (s *server) run(t testing.TB, statements ...string) {
	t.Helper()
	for _, q := range statements {
		if _, err := s.admin.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// shop makes a database with WordPress' tables in a character set, and a user
// of the same name.
func (s *server) shop(t testing.TB, name, charset string) Config {
	t.Helper()
	s.run(t, "CREATE DATABASE "+name+" CHARACTER SET "+charset,
		"CREATE USER "+name+" IDENTIFIED BY 'se''cret'", "GRANT ALL ON "+name+".* TO "+name,
		"CREATE TABLE "+name+`.wp_options (option_id bigint(20) unsigned NOT NULL auto_increment, option_name varchar(191) NOT NULL default '',
			option_value longtext NOT NULL, autoload varchar(20) NOT NULL default 'yes', PRIMARY KEY (option_id), UNIQUE KEY option_name (option_name)) DEFAULT CHARACTER SET `+charset)
	t.Cleanup(func() { s.run(t, "DROP DATABASE "+name, "DROP USER "+name) })
	return s.config(name)
}

func (s *server) set(t testing.TB, db, name string, value []byte) {
	t.Helper()
	s.run(t, fmt.Sprintf("REPLACE INTO %s.wp_options (option_name, option_value) VALUES ('%s', x'%x')", db, name, value))
}

func (s *server) get(t testing.TB, db, name string) string {
	t.Helper()
	var v []byte
	if err := s.admin.QueryRow("SELECT CAST(option_value AS BINARY) FROM "+db+".wp_options WHERE option_name = ?", name).Scan(&v); err != nil {
		t.Fatal(err)
	}
	return string(v)
}

// config is what wp-config.php would say, over TCP.
func (s *server) config(name string) Config {
	c := Config{File: "/srv/wp-config.php", Constants: map[string]Value{}, Prefix: Value{Text: "wp_", Known: true}}
	for k, v := range map[string]string{"DB_NAME": name, "DB_USER": name, "DB_PASSWORD": "se'cret", "DB_HOST": fmt.Sprintf("127.77.1.1:%d", s.port)} {
		c.Constants[k] = Value{Text: v, Known: true, File: c.File, Line: 1}
	}
	return c
}

// with changes constants, or the prefix by the name "$table_prefix".
func (c Config) with(pairs ...string) Config {
	old := c.Constants
	c.Constants = map[string]Value{}
	for k, v := range old {
		c.Constants[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		v := Value{Text: pairs[i+1], Known: true, File: c.File, Line: 2}
		if pairs[i] == "$table_prefix" {
			c.Prefix = v
		} else {
			c.Constants[pairs[i]] = v
		}
	}
	return c
}

func open(t testing.TB, c Config) *Database {
	t.Helper()
	d, err := OpenDatabase(context.Background(), c, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
