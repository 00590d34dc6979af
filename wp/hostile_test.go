package wp

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestHostileServer: DB_HOST can name a server that a customer runs.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	t.Run("too many connections", func(t *testing.T) {
		t.Parallel()
		_, err := OpenDatabase(context.Background(), fake(t, errPacket(1040, "Too many connections"), nil), "")
		if !errors.Is(err, ErrDatabaseDown) || !errors.Is(err, ErrDatabaseBusy) || !strings.Contains(err.Error(), "(Error 1040: Too many connections): raise max_connections") {
			t.Error(err)
		}
	})
	t.Run("columns without end", func(t *testing.T) {
		t.Parallel()
		for _, count := range [][]byte{{0xfd, 0xff, 0xff, 0xff}, {0xfe, 0, 0, 0, 0x80, 0, 0, 0, 0}, {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1}} {
			c := fake(t, hello(), func(_ int, p []byte) [][]byte {
				if isQuery(p, "SHOW VARIABLES") {
					return [][]byte{count}
				}
				return [][]byte{okPacket}
			})
			if _, err := OpenDatabase(context.Background(), c, ""); !errors.Is(err, errProtocol) || !strings.HasSuffix(err.Error(), "an answer of hundreds of columns") {
				t.Error(err)
			}
		}
	})
	t.Run("other columns", func(t *testing.T) {
		t.Parallel()
		c := fake(t, hello(), func(_ int, p []byte) [][]byte {
			if isQuery(p, "SHOW VARIABLES") {
				column := []byte("\x03def\x00\x00\x00\x01a\x01a\x0c\x21\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
				eof := []byte{0xfe, 0, 0, 2, 0}
				return [][]byte{{1}, column, eof, []byte("\x01x"), eof}
			}
			return [][]byte{okPacket}
		})
		if _, err := OpenDatabase(context.Background(), c, ""); !errors.Is(err, errProtocol) || !strings.HasSuffix(err.Error(), "1 columns instead of 2") {
			t.Error(err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		t.Parallel()
		// The driver panics at some of these.
		whole := hello()
		for n := range whole {
			for _, greeting := range [][]byte{whole[:n], append([]byte{10, 'x', 0}, whole[n:]...), append([]byte{255}, whole[:n]...)} {
				c := fake(t, greeting, func(int, []byte) [][]byte { return [][]byte{{0xff}} })
				if d, err := OpenDatabase(context.Background(), c, ""); err == nil {
					d.Close()
					t.Errorf("%q was taken for a server", greeting)
				}
			}
		}
	})
	t.Run("silence", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		c := fake(t, hello(), func(int, []byte) [][]byte { return nil })
		if _, err := OpenDatabase(ctx, c, ""); !errors.Is(err, ErrDatabaseDown) {
			t.Error(err)
		}
	})
	t.Run("asks for a file", func(t *testing.T) {
		t.Parallel()
		sent := make(chan string, 10)
		c := fake(t, hello(), func(_ int, p []byte) [][]byte {
			switch {
			case isQuery(p, "SHOW VARIABLES"):
				return [][]byte{append([]byte{0xfb}, "/etc/hostname"...)}
			case len(p) > 0 && p[0] != 3 && p[0] != 1 && !strings.Contains(string(p), "shop"):
				sent <- string(p)
			}
			return [][]byte{okPacket}
		})
		d, err := OpenDatabase(context.Background(), c, "")
		if err == nil {
			d.Close()
			t.Error("a file was asked for and no one minded")
		}
		if len(sent) > 0 {
			t.Errorf("the server got %q", <-sent)
		}
	})
	t.Run("asks for the password in clear", func(t *testing.T) {
		t.Parallel()
		got := make(chan string, 10)
		c := fake(t, hello(), func(n int, p []byte) [][]byte {
			if n > 0 {
				got <- string(p)
				return [][]byte{okPacket}
			}
			return [][]byte{append([]byte{0xfe}, "mysql_clear_password\x00"...)}
		})
		if d, err := OpenDatabase(context.Background(), c, ""); err == nil {
			d.Close()
			t.Error("the password was told")
		}
		if len(got) > 0 {
			t.Errorf("the server got %q", <-got)
		}
	})
	t.Run("endless answer", func(t *testing.T) {
		t.Parallel()
		rows := make([][]byte, 200)
		for i := range rows {
			rows[i] = append([]byte{0xfd, 0xff, 0xff, 0x07}, make([]byte, 0x7ffff)...)
			rows[i] = append(rows[i], 0)
		}
		column := []byte("\x03def\x00\x00\x00\x01a\x01a\x0c\x21\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
		eof := []byte{0xfe, 0, 0, 2, 0}
		c := fake(t, hello(), func(_ int, p []byte) [][]byte {
			if isQuery(p, "SHOW VARIABLES") {
				return append([][]byte{{2}, column, column, eof}, rows...)
			}
			return [][]byte{okPacket}
		})
		_, err := OpenDatabase(context.Background(), c, "")
		if !errors.Is(err, errTooLarge) || !strings.HasSuffix(err.Error(), "the server's answer has more than 16777216 bytes") {
			t.Error(err)
		}
	})
}

// fake is a server that answers as script says: it is given each packet of the
// client and returns the payloads to send.
func fake(t *testing.T, hello []byte, script func(n int, packet []byte) [][]byte) Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.77.1.2:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, hello, script)
		}
	}()
	c := (&server{}).config("shop")
	return c.with("DB_HOST", l.Addr().String())
}

func serve(c net.Conn, hello []byte, script func(int, []byte) [][]byte) {
	defer c.Close()
	send := func(seq byte, b []byte) error {
		_, err := c.Write(append([]byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16), seq}, b...))
		return err
	}
	if send(0, hello) != nil {
		return
	}
	for n := 0; ; n++ {
		head := make([]byte, 4)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		body := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		for i, b := range script(n, body) {
			if send(head[3]+1+byte(i), b) != nil {
				return
			}
		}
	}
}

// hello is the greeting of a server that knows mysql_native_password.
func hello() []byte {
	b := append([]byte{10}, "5.5.5-fake\x00"...)
	b = append(b, 1, 0, 0, 0)
	b = append(b, "12345678\x00"...)
	b = append(b, 0xff, 0xf7, 45, 2, 0, 0x0f, 0x80, 21)
	b = append(b, make([]byte, 10)...)
	b = append(b, "123456789012\x00"...)
	return append(b, "mysql_native_password\x00"...)
}

func errPacket(number uint16, text string) []byte {
	return append([]byte{0xff, byte(number), byte(number >> 8)}, text...)
}

var okPacket = []byte{0, 0, 0, 2, 0, 0, 0}

func isQuery(packet []byte, prefix string) bool {
	return len(packet) > 0 && packet[0] == 3 && strings.HasPrefix(string(packet[1:]), prefix)
}
