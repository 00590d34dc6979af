package wp

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// idleTime is how long a connection is kept without being asked, less than
// any server's wait_timeout that is of use.
const idleTime = 20 * time.Second

var (
	errClosed   = errors.New("it has been closed here")
	errProtocol = errors.New("the server does not speak MySQL's protocol as it should")
)

// link is one connection to a server that may be a customer's. It uses the
// driver without database/sql, whose background goroutines would carry a panic
// of the driver, which trusts its server, past every recover.
type link struct {
	connector driver.Connector
	turn      chan struct{} // holds one token: whoever has it may use the rest
	conn      driver.Conn
	used      time.Time
	closed    bool
}

func newLink(c driver.Connector) *link {
	l := &link{connector: c, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l
}

// do runs f with a connection, alone.
func (l *link) do(ctx context.Context, f func(driver.Conn) error) error {
	select {
	case <-l.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.turn <- struct{}{} }()
	for {
		if l.closed {
			return errClosed
		}
		if time.Since(l.used) > idleTime {
			l.drop()
		}
		reused := l.conn != nil
		err := guard(func() (err error) {
			if reused {
				// The driver then looks whether the server has ended the connection.
				if r, ok := l.conn.(driver.SessionResetter); ok {
					err = r.ResetSession(ctx)
				}
			} else {
				l.conn, err = l.connect(ctx)
			}
			if err != nil {
				return err
			}
			return f(l.conn)
		})
		l.used = time.Now()
		if err == nil {
			return nil
		}
		l.drop()
		// ErrBadConn promises that nothing was sent: the server had ended an idle
		// connection.
		if !reused || !errors.Is(err, driver.ErrBadConn) {
			return err
		}
	}
}

// connect gives a nil interface with an error, which the driver may not.
func (l *link) connect(ctx context.Context) (driver.Conn, error) {
	c, err := l.connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (l *link) drop() {
	if l.conn == nil {
		return
	}
	conn := l.conn
	l.conn = nil
	// What cannot be closed in order is cut off; there is nothing to save.
	_ = guard(conn.Close)
}

func (l *link) close() {
	<-l.turn
	l.drop()
	l.closed = true
	l.turn <- struct{}{}
}

// guard turns a panic of the driver into an error.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errProtocol, p)
		}
	}()
	return f()
}

// named gives arguments the driver's form.
func named(args []string) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, a := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
	}
	return out
}

// query hands each row of an answer to row.
func (l *link) query(ctx context.Context, row func(values []string) error, question string, args ...string) error {
	return l.do(ctx, func(c driver.Conn) error {
		q, ok := c.(driver.QueryerContext)
		if !ok {
			return errProtocol
		}
		rows, err := q.QueryContext(ctx, question, named(args))
		if err != nil {
			return err
		}
		values := make([]driver.Value, len(rows.Columns()))
		for {
			if err := rows.Next(values); err == io.EOF {
				return rows.Close()
			} else if err != nil {
				return err
			}
			texts := make([]string, len(values))
			for i, v := range values {
				texts[i] = textValue(v)
			}
			if err := row(texts); err != nil {
				return err
			}
		}
	})
}

// textValue copies a value out of the driver's buffer; NULL is "".
func textValue(v driver.Value) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// exec runs a statement and tells how many rows it found.
func (l *link) exec(ctx context.Context, statement string, args ...string) (int64, error) {
	var n int64
	err := l.do(ctx, func(c driver.Conn) error {
		e, ok := c.(driver.ExecerContext)
		if !ok {
			return errProtocol
		}
		done, err := e.ExecContext(ctx, statement, named(args))
		if err != nil {
			return err
		}
		n, err = done.RowsAffected()
		return err
	})
	return n, err
}
