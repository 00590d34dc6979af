package wp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-sql-driver/mysql"
)

// Tables that a real server cannot read any more, and one that has no connection and
// no room left.
func TestBrokenTables(t *testing.T) {
	t.Parallel()
	s := database(t)
	c := s.shop(t, "broken", "utf8mb4")
	d := open(t, c)
	check := func(want error) {
		t.Helper()
		if err := d.CheckTables(t.Context()); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	check(ErrNoTable)
	for table, engine := range map[string]struct{ name, index string }{"posts": {"MyISAM", "MYI"}, "users": {"Aria", "MAI"}} {
		s.run(t, "CREATE TABLE broken.wp_posts (ID int PRIMARY KEY) ENGINE=InnoDB", "CREATE TABLE broken.wp_users (ID int PRIMARY KEY) ENGINE=InnoDB")
		check(nil)
		name := "wp_" + table
		s.run(t, "ALTER TABLE broken."+name+" ENGINE="+engine.name, "INSERT INTO broken."+name+" VALUES (1),(2),(3)", "FLUSH TABLES broken."+name)
		check(nil)
		s.run(t, "FLUSH TABLES broken."+name)
		if err := os.Truncate(filepath.Join(s.dir, "data", "broken", name+"."+engine.index), 100); err != nil {
			t.Fatal(err)
		}
		check(ErrTableCrashed)
		files, err := filepath.Glob(filepath.Join(s.dir, "data", "broken", name+".*"))
		if err != nil || len(files) != 3 {
			t.Fatal(files, err)
		}
		for _, f := range files { // the server drops no such Aria table
			if err := os.Remove(f); err != nil {
				t.Fatal(err)
			}
		}
		s.run(t, "FLUSH TABLES", "DROP TABLE IF EXISTS broken.wp_posts", "DROP TABLE IF EXISTS broken.wp_users")
	}
	// A definition without its data.
	s.run(t, "CREATE TABLE broken.wp_posts (ID int PRIMARY KEY) ENGINE=InnoDB", "FLUSH TABLES broken.wp_posts")
	if err := os.Remove(filepath.Join(s.dir, "data", "broken", "wp_posts.ibd")); err != nil {
		t.Fatal(err)
	}
	s.run(t, "CREATE TABLE broken.wp_copy LIKE broken.wp_options")
	if err := d.CheckTables(t.Context()); err != nil && !errors.Is(err, ErrTableCrashed) && !errors.Is(err, ErrNoTable) {
		t.Error(err) // the server keeps what it has opened once
	}

	s.run(t, "ALTER USER broken WITH MAX_USER_CONNECTIONS 1")
	open(t, c) // only connections since then count
	_, err := OpenDatabase(t.Context(), c, "")
	if !errors.Is(err, ErrDatabaseBusy) || !errors.Is(err, ErrDatabaseDown) {
		t.Errorf("a second connection: %v", err)
	}
	if err := open(t, s.shop(t, "broken2", "utf8mb4")).CheckTables(t.Context()); errors.Is(err, ErrDatabaseDown) || !errors.Is(err, ErrNoTable) {
		t.Error(err)
	}
	_, err = s.admin.Exec("SET STATEMENT max_heap_table_size=16384 FOR CREATE TABLE broken.full (a char(255)) ENGINE=MEMORY MAX_ROWS=10")
	for range 1000 {
		if err == nil {
			_, err = s.admin.Exec("INSERT INTO broken.full VALUES (REPEAT('x', 255))")
		}
	}
	if !errors.Is(d.explain(err), ErrDatabaseFull) {
		t.Errorf("%v", d.explain(err))
	}
}

func TestDatabaseErrors(t *testing.T) {
	t.Parallel()
	d := &Database{limit: &limiter{}}
	for _, tc := range []struct {
		number uint16
		text   string
		want   error
	}{
		{1040, "Too many connections", ErrDatabaseBusy},
		{1203, "User a already has more than 'max_user_connections' active connections", ErrDatabaseBusy},
		{1226, "User 'a' has exceeded the 'max_user_connections' resource (current value: 1)", ErrDatabaseBusy},
		{1030, `Got error 28 "No space left on device" from storage engine InnoDB`, ErrDatabaseFull},
		{1030, `Got error 126 "Index file is crashed / Wrong file format" from storage engine Aria`, ErrTableCrashed},
		{1030, `Got error 168 "Unknown (generic) error from engine" from storage engine InnoDB`, nil},
		{3, "Error writing file '/tmp/MYabc' (Errcode: 28 \"No space left on device\")", ErrDatabaseFull},
		{1026, "Error writing file 'a' (errno: 28)", ErrDatabaseFull},
		{1016, "Can't open file: 'wp_options.MYI' (errno: 145)", ErrTableCrashed},
		{145, "Table './wp/wp_options' is marked as crashed and should be repaired", ErrTableCrashed},
		{1194, "Table 'wp_options' is marked as crashed and should be repaired", ErrTableCrashed},
		{1034, "Index for table 'wp_options' is corrupt; try to repair it", ErrTableCrashed},
		{1932, "Table 'wp.wp_options' doesn't exist in engine", ErrTableCrashed},
		{1146, "Table 'wp.wp_options' doesn't exist", ErrNoTable},
		{1021, "Disk full (/tmp/#sql); waiting for someone to free some space...", ErrDatabaseFull},
		{1114, "The table 'wp_posts' is full", ErrDatabaseFull},
		{1045, "Access denied for user 'error 28'@'localhost'", ErrCredentials},
		{1064, "You have an error in your SQL syntax", nil},
	} {
		err := d.explain(&mysql.MySQLError{Number: tc.number, Message: tc.text})
		var kinds []error
		for _, kind := range []error{ErrDatabaseBusy, ErrDatabaseDown, ErrCredentials, ErrNoDatabase, ErrNoTable, ErrTableCrashed, ErrDatabaseFull} {
			if errors.Is(err, kind) {
				kinds = append(kinds, kind)
			}
		}
		want := []error{tc.want}
		switch tc.want {
		case nil:
			want = nil
		case ErrDatabaseBusy:
			want = append(want, ErrDatabaseDown)
		}
		if fmt.Sprint(kinds) != fmt.Sprint(want) {
			t.Errorf("%d %s: %v, want %v", tc.number, tc.text, kinds, want)
		}
	}
}
