package wp

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// What keeps a database from answering. None of them tells the password.
var (
	// ErrDatabaseDown: nothing listens, the server takes no more connections,
	// or it broke off.
	ErrDatabaseDown = errors.New("the database does not answer")
	// ErrDatabaseBusy: the server, or the site's user there, has no connection
	// left. It is a kind of [ErrDatabaseDown].
	ErrDatabaseBusy error = &kindOf{"the database takes no more connections", ErrDatabaseDown}
	// ErrCredentials: the server refuses DB_USER with DB_PASSWORD, from here or
	// for this database.
	ErrCredentials = errors.New("the database refuses the site's user")
	// ErrNoDatabase: the server has no database DB_NAME.
	ErrNoDatabase = errors.New("the database does not exist")
	// ErrNoTable: a table is missing; $table_prefix may be wrong.
	ErrNoTable = errors.New("a table is missing")
	// ErrTableCrashed: a table is there and cannot be read.
	ErrTableCrashed = errors.New("a table is damaged")
	// ErrDatabaseFull: the server has no room left on its disk.
	ErrDatabaseFull = errors.New("the database has no room on its disk")
)

// kindOf is a kind of a more general fault, said in its own words alone.
type kindOf struct {
	text string
	of   error
}

func (k *kindOf) Error() string { return k.text }
func (k *kindOf) Unwrap() error { return k.of }

// serverErrors are the server's error numbers that have a meaning here, see
// https://mariadb.com/kb/en/mariadb-error-code-reference/.
var serverErrors = map[uint16]struct {
	kind error
	hint string
}{
	1040: {ErrDatabaseBusy, "raise max_connections, or find who holds them (SHOW PROCESSLIST)"},
	1203: {ErrDatabaseBusy, "the site's user has as many as max_user_connections allows"},
	1226: {ErrDatabaseBusy, "the site's user has used up its share (MAX_USER_CONNECTIONS, MAX_QUERIES_PER_HOUR)"},
	1129: {ErrDatabaseDown, "it blocks this host after many errors: FLUSH HOSTS lifts that"},
	1053: {ErrDatabaseDown, "it is shutting down"},
	1927: {ErrDatabaseDown, "it ended the connection"},
	1044: {ErrCredentials, "grant DB_USER the rights to DB_NAME"},
	1045: {ErrCredentials, "compare DB_USER and DB_PASSWORD with the server's"},
	1130: {ErrCredentials, "no user may connect from this host"},
	1142: {ErrCredentials, "grant DB_USER the rights to its tables"},
	1143: {ErrCredentials, "grant DB_USER the rights to its tables"},
	1698: {ErrCredentials, "compare DB_USER and DB_PASSWORD with the server's"},
	1862: {ErrCredentials, "its password has expired"},
	3118: {ErrCredentials, "its account is locked"},
	4151: {ErrCredentials, "its account is locked"},
	1049: {ErrNoDatabase, "correct DB_NAME, or restore the database"},
	1146: {ErrNoTable, "correct $table_prefix, or restore the table"},

	126:  {ErrTableCrashed, repair},
	127:  {ErrTableCrashed, repair},
	132:  {ErrTableCrashed, repair},
	134:  {ErrTableCrashed, repair},
	141:  {ErrTableCrashed, repair},
	144:  {ErrTableCrashed, repair},
	145:  {ErrTableCrashed, repair},
	1033: {ErrTableCrashed, "its definition (.frm) is damaged: restore it"},
	1034: {ErrTableCrashed, repair},
	1194: {ErrTableCrashed, repair},
	1195: {ErrTableCrashed, repair},
	1712: {ErrTableCrashed, repair},
	1877: {ErrTableCrashed, "restore it from a backup"},
	1932: {ErrTableCrashed, "its definition is there, its data is not: restore it from a backup"},

	1021: {ErrDatabaseFull, "make room where its data and its temporary files lie"},
	1114: {ErrDatabaseFull, "make room, or raise the limit of the table or its tablespace"},
}

const repair = "REPAIR TABLE (MyISAM, Aria) or a backup (InnoDB) brings it back"

// storageErrors are numbers of a storage engine or of the system that stand in the
// text of another error: "Got error 127 …", "(errno: 145 …)", "(Errcode: 28 …)"
// (include/my_base.h; errno.h: 28 is ENOSPC).
var storageErrors = map[string]error{
	"126": ErrTableCrashed, "127": ErrTableCrashed, "132": ErrTableCrashed, "134": ErrTableCrashed,
	"141": ErrTableCrashed, "144": ErrTableCrashed, "145": ErrTableCrashed, "175": ErrTableCrashed, "176": ErrTableCrashed,
	"28": ErrDatabaseFull, "135": ErrDatabaseFull, "136": ErrDatabaseFull,
}

var storageNumber = regexp.MustCompile(`(?i)\b(?:error|errno:|errcode:) (\d{1,3})\b`)

// kindOfAnswer is what a server's error means, nil where that is not known.
func kindOfAnswer(server *mysql.MySQLError) (hint string, kind error) {
	if known, ok := serverErrors[server.Number]; ok {
		return known.hint, known.kind
	}
	if said := storageNumber.FindStringSubmatch(server.Message); said != nil {
		switch kind := storageErrors[said[1]]; kind {
		case ErrTableCrashed:
			return repair, kind
		case ErrDatabaseFull:
			return "make room where its data and its temporary files lie", kind
		}
	}
	return "", nil
}

// explain gives an error its kind.
func (d *Database) explain(err error) error {
	var server *mysql.MySQLError
	var network net.Error
	switch {
	case err == nil:
		return nil
	case d.limit.exceeded() != nil:
		// The driver reports its connection as broken.
		return fmt.Errorf("%s: %w", d, d.limit.exceeded())
	case errors.As(err, &server):
		server = &mysql.MySQLError{Number: server.Number, SQLState: server.SQLState, Message: clip(server.Message)}
		if hint, kind := kindOfAnswer(server); kind != nil {
			return fmt.Errorf("%w: %s (%w): %s", kind, d, server, hint)
		}
		return fmt.Errorf("%s: %w", d, server)
	case errors.Is(err, errTooLarge), errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", d, err)
	case errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, mysql.ErrInvalidConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %s: %w", ErrDatabaseDown, d, err)
	}
	return fmt.Errorf("%s: %w", d, err)
}

// maxWords is more than a real server says in one error (MYSQL_ERRMSG_SIZE, 512 bytes).
const maxWords = 600

// clip takes from a server's words what could be a real one's.
func clip(s string) string {
	if len(s) > maxWords {
		s = s[:maxWords] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// CheckTables reads a row of each table that every page needs, and gives the first
// fault: [ErrTableCrashed], [ErrNoTable] or what else keeps one from being read.
// Damage that lies deeper in a table is not seen.
func (d *Database) CheckTables(ctx context.Context) error {
	for _, table := range []string{"options", "posts", "users"} {
		name := d.prefix + table
		err := d.query(ctx, 1, func([]string) error { return nil }, fmt.Sprintf("SELECT 1 FROM `%s` LIMIT 1", name))
		if err != nil {
			return fmt.Errorf("table %s: %w", name, err)
		}
	}
	return nil
}
