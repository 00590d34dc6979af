package wp

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
)

// What keeps a database from answering. None of them tells the password.
var (
	// ErrDatabaseDown: nothing listens, the server takes no more connections,
	// or it broke off.
	ErrDatabaseDown = errors.New("the database does not answer")
	// ErrCredentials: the server refuses DB_USER with DB_PASSWORD, from here or
	// for this database.
	ErrCredentials = errors.New("the database refuses the site's user")
	// ErrNoDatabase: the server has no database DB_NAME.
	ErrNoDatabase = errors.New("the database does not exist")
	// ErrNoTable: a table is missing; $table_prefix may be wrong.
	ErrNoTable = errors.New("a table is missing")
)

// serverErrors are the server's error numbers that have a meaning here, see
// https://mariadb.com/kb/en/mariadb-error-code-reference/.
var serverErrors = map[uint16]struct {
	kind error
	hint string
}{
	1040: {ErrDatabaseDown, "it has too many connections"},
	1203: {ErrDatabaseDown, "the site's user has too many connections"},
	1226: {ErrDatabaseDown, "the site's user has used up its share"},
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
		if known, ok := serverErrors[server.Number]; ok {
			return fmt.Errorf("%w: %s (%w): %s", known.kind, d, server, known.hint)
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
