package lab

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The faults of the database. WordPress answers with its page for them and 500.
const (
	DatabaseBusy     Fault = "database-busy"     // all of its connections are taken
	DatabasePassword Fault = "database-password" // wp-config.php has a wrong password
	DatabaseMissing  Fault = "database-missing"  // wp-config.php names a database that does not exist
	TableCrashed     Fault = "table-crashed"     // the index of the options' table is damaged
	TableMissing     Fault = "table-missing"     // the options' table is gone
)

// databaseFault breaks the database; ok is false for other faults.
func (l *Lab) databaseFault(site int, f Fault) (undo func() error, ok bool, err error) {
	s := l.sites[site]
	switch f {
	case DatabaseDown:
		undo, err = l.StartDB, l.StopDB()
	case DatabaseBusy:
		undo, err = l.busyDatabase()
	case DatabasePassword:
		undo, err = l.edit(filepath.Dir(s.Config), filepath.Base(s.Config), replacing(sqlText(dbPassword), "of-yesterday"))
	case DatabaseMissing:
		undo, err = l.edit(filepath.Dir(s.Config), filepath.Base(s.Config), replacing("'DB_NAME', '"+dbName+"'", "'DB_NAME', '"+dbName+"_old'"))
	case TableCrashed:
		undo, err = l.crashedTable(s)
	case TableMissing:
		rename := func(from, to string) error {
			_, err := l.db.Exec(fmt.Sprintf("RENAME TABLE `%[1]soptions%[2]s` TO `%[1]soptions%[3]s`", s.TablePrefix, from, to))
			return err
		}
		undo, err = func() error { return rename("_gone", "") }, rename("", "_gone")
	default:
		return nil, false, nil
	}
	return undo, true, err
}

// root is the database's administrator: MariaDB lets the system's root in.
func (l *Lab) rootDB() (*sql.DB, error) {
	return sql.Open("mysql", fmt.Sprintf("root@unix(%s)/?timeout=5s", l.dbSocket()))
}

// busyDatabase takes all connections, of which it leaves the ten that are the least
// that MariaDB allows.
func (l *Lab) busyDatabase() (func() error, error) {
	root, err := l.rootDB()
	if err != nil {
		return nil, err
	}
	set := func(n int) error {
		_, err := root.Exec(fmt.Sprintf("SET GLOBAL max_connections = %d", n))
		return err
	}
	if err := set(10); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	var taken []*sql.Conn
	undo := func() error {
		var failed error
		for _, conn := range taken {
			// Not the pool's, which would close only what it counts as idle.
			failed = errors.Join(failed, conn.Close())
		}
		return errors.Join(failed, set(100), root.Close())
	}
	for {
		conn, err := l.db.Conn(context.Background())
		if err != nil {
			break
		}
		taken = append(taken, conn)
	}
	if len(taken) < 5 {
		return nil, errors.Join(errors.New("the database takes no connections to begin with"), undo())
	}
	time.Sleep(50 * time.Millisecond) // a visitor's that is closing counts until then
	return undo, nil
}

// crashedTable makes the options a table of MyISAM, as old hosts have them, and
// spoils its index.
func (l *Lab) crashedTable(s Site) (func() error, error) {
	table := s.TablePrefix + "options"
	exec := func(statements ...string) error {
		for _, q := range statements {
			if _, err := l.db.Exec(strings.ReplaceAll(q, "TABLE_", "`"+table+"`")); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		return nil
	}
	root, err := l.rootDB()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := exec("CREATE TABLE `"+table+"_kept` LIKE TABLE_", "INSERT INTO `"+table+"_kept` SELECT * FROM TABLE_", "ALTER TABLE TABLE_ ENGINE = MyISAM"); err != nil {
		return nil, err
	}
	undo := func() error { return exec("DROP TABLE TABLE_", "RENAME TABLE `"+table+"_kept` TO TABLE_") }
	if _, err := root.Exec("FLUSH TABLES"); err != nil {
		return nil, errors.Join(err, undo())
	}
	index := filepath.Join(l.Dir, "db", "data", dbName, table+".MYI")
	if err := os.Truncate(index, 200); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}
