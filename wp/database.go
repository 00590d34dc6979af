package wp

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	connectTimeout = 3 * time.Second
	ioTimeout      = 5 * time.Second  // one read or write
	queryTimeout   = 10 * time.Second // all of one question
	lockTimeout    = 3                // seconds; less than queryTimeout, so that nothing is written after we gave up
	maxAnswer      = 16 << 20         // bytes of one answer
	maxHandshake   = 8 << 10          // bytes until we are let in; keys of ten times the usual length have room
	maxName        = 4 * 64           // bytes; MySQL takes 64 characters
	maxPacket      = 16 << 20         // bytes of one question
	maxOption      = 4 << 20          // bytes of an option that is written
)

// Database is one site's database. It reads options as the bytes that are
// stored, whatever the table's character set, and changes them only by
// [Database.SwapOption]. It may be used by several goroutines; they wait for its single connection.
type Database struct {
	link     *link
	limit    *limiter
	at       DBHost
	name     string // of the database
	prefix   string
	network  bool   // it may be a network of sites
	site     string // the network's id
	mainBlog int64  // the blog whose options have no prefix: 1 but for odd networks
	identity string
}

// prefixes that WordPress and MySQL both take without quoting.
var prefixes = regexp.MustCompile(`^[A-Za-z0-9_$]+$`)

// OpenDatabase connects as the site's wp-config.php says, and as the site's
// owner: neither root's reach into folders and through the packet filter nor its
// name with the server (auth_socket) may serve a customer's settings. A computed value gives
// [ErrUnknown]; see [ErrDatabaseDown], [ErrCredentials], [ErrNoDatabase] and
// [ErrNoTable] for the rest.
func OpenDatabase(ctx context.Context, c Config, defaultSocket string) (*Database, error) {
	d := &Database{limit: &limiter{}, network: c.mayBeNetwork(), site: "1", mainBlog: 1}
	if v, ok := c.Constants["SITE_ID_CURRENT_SITE"]; ok && v.Known && v.Text != "" && digits(v.Text) == v.Text {
		d.site = v.Text
	}
	if v, ok := c.Constants["BLOG_ID_CURRENT_SITE"]; ok && v.Known && d.network {
		if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil && n > 0 {
			d.mainBlog = n
		}
	}
	values := map[string]string{}
	for _, name := range accessConstants {
		v, ok := c.Const(name)
		if !ok {
			return nil, fmt.Errorf("%s is not defined in %s: add it there", name, c.File)
		}
		if !v.Known {
			return nil, unknownError(name, v)
		}
		values[name] = v.Text
	}
	if !c.Prefix.Known {
		return nil, unknownError("$table_prefix", c.Prefix)
	}
	if d.prefix = c.Prefix.Text; !prefixes.MatchString(d.prefix) {
		return nil, fmt.Errorf("$table_prefix in %s, line %d is %q: only letters, digits, _ and $ can be in it", c.Prefix.File, c.Prefix.Line, d.prefix)
	}
	if d.name = values["DB_NAME"]; len(d.name) > maxName || len(d.prefix) > maxName {
		return nil, fmt.Errorf("DB_NAME or $table_prefix in %s is longer than any name of a database or a table: correct it", c.File)
	}
	var err error
	if d.at, err = ParseDBHost(values["DB_HOST"], defaultSocket); err != nil {
		return nil, err
	}

	m := mysql.NewConfig()
	m.User, m.Passwd, m.DBName = values["DB_USER"], values["DB_PASSWORD"], d.name
	m.Net, m.Addr = d.at.Network, d.at.Addr
	m.Timeout, m.ReadTimeout, m.WriteTimeout = connectTimeout, ioTimeout, ioTimeout
	m.MaxAllowedPacket = maxPacket
	m.ClientFoundRows = true   // a swap to an equal value has found its row
	m.InterpolateParams = true // one round trip a question, and no prepared statements for proxies to lose
	m.Logger = &mysql.NopLogger{}
	m.DialFunc = dialer{c.Owner, d.limit}.dial
	m.Params = map[string]string{
		"sql_mode":                 "'STRICT_ALL_TABLES'", // an error instead of a truncated value
		"autocommit":               "1",
		"lock_wait_timeout":        fmt.Sprint(lockTimeout),
		"innodb_lock_wait_timeout": fmt.Sprint(lockTimeout),
	}
	if err := m.Apply(mysql.Charset("utf8mb4", "")); err != nil {
		return nil, fmt.Errorf("prepare the connection to %s: %w", d.at.Addr, err)
	}
	connector, err := mysql.NewConnector(m)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to %s: %w", d.at.Addr, err)
	}
	d.link = newLink(handshake{connector, d.limit})
	if err := d.identify(ctx); err != nil {
		d.link.close()
		return nil, err
	}
	return d, nil
}

// mayBeNetwork is WordPress' is_multisite, as far as it can be known.
func (c Config) mayBeNetwork() bool {
	for _, name := range []string{"MULTISITE", "SUBDOMAIN_INSTALL", "VHOST", "SUNRISE"} {
		if v, ok := c.Const(name); ok && (!v.Known || name != "MULTISITE" || v.True()) {
			return true
		}
	}
	return false
}

// Close gives the connection back.
func (d *Database) Close() error {
	d.link.close()
	return nil
}

// Identity tells databases apart: it names the server, the database and the
// table prefix. Sites that give the same one share their options, however they
// reach the server.
func (d *Database) Identity() string { return d.identity }

// identify connects and asks the server who it is. No single answer tells two
// servers apart: MariaDB's server_uid is made of the network card and the port
// (sql/mysqld.cc, calculate_server_uid), so servers of one machine that only use
// sockets share it, and a copied data folder keeps MySQL's server_uuid.
func (d *Database) identify(ctx context.Context) error {
	server := map[string]string{}
	err := d.query(ctx, 2, func(v []string) error {
		server[v[0]] = v[1]
		return nil
	}, "SHOW VARIABLES WHERE Variable_name IN ('server_uuid','server_uid','hostname','port','socket','datadir')")
	if err != nil {
		return err
	}
	who := fmt.Sprintf("%s port %s socket %s data %s id %s%s", server["hostname"], server["port"], server["socket"],
		server["datadir"], server["server_uuid"], server["server_uid"])
	if len(who) > 500 {
		who = who[:500]
	}
	d.identity = fmt.Sprintf("server %q database %q prefix %q", who, d.name, d.prefix)
	return nil
}

var errTooLarge = errors.New("the value is too large")

// query runs one bounded question and hands each row, of so many columns, to row.
func (d *Database) query(ctx context.Context, columns int, row func([]string) error, question string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	d.limit.allow(maxAnswer)
	return d.explain(d.link.query(ctx, func(v []string) error {
		if len(v) != columns {
			return fmt.Errorf("%w: %d columns instead of %d", errProtocol, len(v), columns)
		}
		return row(v)
	}, question, args...))
}

// swap sets a value if it is still the old one. Both travel as hexadecimal
// digits and are compared and stored as bytes: no character set is applied.
func (d *Database) swap(ctx context.Context, table, column, where string, key []string, old, value []byte) (bool, error) {
	if len(value) > maxOption || len(old) > maxOption {
		return false, fmt.Errorf("%w: more than %d bytes are not written", errTooLarge, maxOption)
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	d.limit.allow(maxAnswer)
	question := fmt.Sprintf("UPDATE `%s` SET %s = UNHEX(?) WHERE %s AND CAST(%s AS BINARY) = UNHEX(?)", table, column, where, column)
	args := append([]string{fmt.Sprintf("%x", value)}, key...)
	n, err := d.link.exec(ctx, question, append(args, fmt.Sprintf("%x", old))...)
	return n > 0, d.explain(err)
}
