package wp

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// FuzzLink lets a server say anything: the driver trusts its server, we do not.
func FuzzLink(f *testing.F) {
	packet := func(seq byte, b []byte) []byte {
		return append([]byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16), seq}, b...)
	}
	greeting := packet(0, hello())
	ok := packet(2, okPacket)
	join := func(parts ...[]byte) []byte {
		var out []byte
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	column := []byte("\x03def\x00\x00\x00\x01a\x01a\x0c\x21\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
	eof := []byte{0xfe, 0, 0, 2, 0}
	f.Add(join(greeting, ok, packet(1, []byte{1}), packet(2, column), packet(3, eof), packet(4, []byte("\x01x")), packet(5, eof)))
	f.Add(join(greeting, ok, packet(1, []byte{0xfb, '/'}), packet(2, okPacket)))
	f.Add(join(greeting, packet(2, append([]byte{0xfe}, "caching_sha2_password\x00abc"...))))
	f.Add(join(greeting, ok, packet(1, []byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0})))
	f.Add(join(greeting, ok, packet(1, errPacket(1146, "#42S02none"))))
	f.Fuzz(func(t *testing.T, answer []byte) {
		limit := &limiter{}
		limit.allow(maxAnswer)
		m := mysql.NewConfig()
		m.User, m.Passwd, m.Addr = "u", "p", "fake:1"
		m.MaxAllowedPacket, m.InterpolateParams, m.Logger = maxPacket, true, &mysql.NopLogger{}
		m.DialFunc = func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go io.Copy(io.Discard, there)
			go func() {
				// A server that cannot be written to any more has said enough.
				_, _ = there.Write(answer)
				there.Close()
			}()
			return &limitedConn{Conn: here, limit: limit}, nil
		}
		c, err := mysql.NewConnector(m)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		l := newLink(c)
		defer l.close()
		size := 0
		_ = l.query(ctx, func(v []string) error {
			for _, s := range v {
				size += len(s)
			}
			return nil
		}, "SELECT ?", "x")
		if size > len(answer) {
			t.Fatalf("%d bytes were made of %d", size, len(answer))
		}
	})
}

func TestLink(t *testing.T) {
	t.Parallel()
	s := database(t)
	ctx := context.Background()
	d := open(t, s.shop(t, "links", "utf8mb4"))
	s.set(t, "links", "x", []byte("1"))

	// A server that ends an idle connection is asked again.
	var id string
	if err := d.query(ctx, 1, func(v []string) error { id = v[0]; return nil }, "SELECT CONNECTION_ID()"); err != nil {
		t.Fatal(err)
	}
	s.run(t, "KILL "+id)
	if v, err := d.Option(ctx, "x"); err != nil || string(v) != "1" {
		t.Errorf("after the connection was ended: %q %v", v, err)
	}
	// A caller whose time is up does not wait for others.
	busy, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- d.query(ctx, 1, func([]string) error { close(busy); <-release; return nil }, "SELECT 1")
	}()
	<-busy
	soon, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := d.Option(soon, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("the busy one: %v", err)
	}
	// A panic is an error, and the next question works.
	err := d.query(ctx, 1, func([]string) error { panic("at the driver") }, "SELECT 1")
	if !errors.Is(err, errProtocol) {
		t.Errorf("a panic: %v", err)
	}
	if v, err := d.Option(ctx, "x"); err != nil || string(v) != "1" {
		t.Errorf("after a panic: %q %v", v, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := d.Option(ctx, "x"); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestLimitedConnFollowsPackets(t *testing.T) {
	t.Parallel()
	stream := []byte{1, 0, 0, 0, 0xfe, 3, 0, 0, 1, 0xfd, 1, 2, 0, 0, 0, 2, 1, 0, 0, 1, 5, 1, 0, 0, 2, 0xfe}
	for step := 1; step <= len(stream); step++ {
		c := &limitedConn{}
		for i := 0; i < len(stream); i += step {
			if !c.follow(stream[i:min(i+step, len(stream))]) {
				t.Errorf("step %d: refused though nothing was asked", step)
			}
		}
	}
	for first, want := range map[byte]bool{0: true, 1: true, 0xfa: true, 0xfb: true, 0xfc: false, 0xfd: false, 0xfe: false, 0xff: true} {
		c := &limitedConn{}
		c.asked.Store(true)
		if got := c.follow([]byte{2, 0, 0}) && c.follow([]byte{1}) && c.follow([]byte{first, 0}); got != want {
			t.Errorf("an answer that begins with %#x: %v", first, got)
		}
	}
}
