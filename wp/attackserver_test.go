package wp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// publicKey is a server's key for the password, of so many bytes.
func publicKey(t testing.TB, size int) []byte {
	t.Helper()
	n := make([]byte, size)
	rand.Read(n)
	n[0] |= 0x80
	n[size-1] |= 1
	return keyPEM(t, &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: math.MaxInt32})
}

func keyPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// asksFor switches to another way of proof, and answers the proof with more.
func asksFor(plugin string, more ...[]byte) func(int, []byte) [][]byte {
	return func(n int, p []byte) [][]byte {
		if n == 0 {
			return [][]byte{append([]byte("\xfe"+plugin+"\x00"), "12345678901234567890\x00"...)}
		}
		if n <= len(more) {
			return [][]byte{more[n-1]}
		}
		return [][]byte{okPacket}
	}
}

// after lets the client in and answers its first question.
func after(packets ...[]byte) func(int, []byte) [][]byte {
	return func(_ int, p []byte) [][]byte {
		if isQuery(p, "SHOW VARIABLES") {
			return packets
		}
		return [][]byte{okPacket}
	}
}

var (
	aColumn = []byte("\x03def\x00\x00\x00\x01a\x01a\x0c\x21\x00\x00\x00\x00\x00\xfd\x00\x00\x00\x00\x00")
	anEnd   = []byte{0xfe, 0, 0, 2, 0}
)

// A site's wp-config.php names a server of its owner's. It gets no file and no password in clear, and neither keeps us
// nor makes us grow.
func TestAttackServer(t *testing.T) {
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	many := func(p []byte, n int) (all [][]byte) {
		for range n {
			all = append(all, p)
		}
		return all
	}
	longGreeting := append([]byte{10}, bytes.Repeat([]byte("5"), 1<<20)...)
	whole := hello()
	attacks := []struct {
		name   string
		hello  []byte
		script func(int, []byte) [][]byte
	}{
		{"a file is asked for instead of an answer", whole, after(append([]byte{0xfb}, "/etc/shadow"...))},
		{"a file is asked for, by a reader's name", whole, after(append([]byte{0xfb}, "Reader::x"...))},
		{"a file is asked for before the first question", whole, func(n int, p []byte) [][]byte {
			if n == 0 {
				return [][]byte{okPacket}
			}
			return [][]byte{append([]byte{0xfb}, "/etc/shadow"...)}
		}},
		{"the password in clear", whole, asksFor("mysql_clear_password")},
		{"the password in clear, from the greeting on", append(whole[:len(whole)-len("mysql_native_password\x00")], "mysql_clear_password\x00"...), func(int, []byte) [][]byte { return [][]byte{okPacket} }},
		{"the password by the dialogue of PAM", whole, asksFor("dialog")},
		{"the old password", whole, asksFor("mysql_old_password")},
		{"the old password, by a packet without a name", whole, func(int, []byte) [][]byte { return [][]byte{{0xfe}} }},
		{"proofs without end", whole, func(int, []byte) [][]byte {
			return [][]byte{append([]byte("\xfemysql_native_password\x00"), "12345678901234567890\x00"...)}
		}},
		{"a key of ten kilobytes", whole, asksFor("sha256_password", append([]byte{1}, publicKey(t, 10<<10)...))},
		{"a key of a megabyte", whole, asksFor("caching_sha2_password", []byte{1, 4}, append([]byte{1}, publicKey(t, 1<<20)...))},
		{"a key of another kind", whole, asksFor("sha256_password", append([]byte{1}, keyPEM(t, &ecdsaKey.PublicKey)...))},
		{"a key that is none", whole, asksFor("sha256_password", []byte("\x01-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"))},
		{"half a scramble", whole, func(int, []byte) [][]byte { return [][]byte{[]byte("\xfemysql_native_password\x0012\x00")} }},
		{"half a consent", whole, func(int, []byte) [][]byte { return [][]byte{{0, 0xfe, 1}} }},
		{"a consent of nothing", whole, func(int, []byte) [][]byte { return [][]byte{{0}} }},
		{"half an error", whole, func(int, []byte) [][]byte { return [][]byte{{0xff, 1}} }},
		{"half a greeting", whole[:20], nil},
		{"a short greeting", append(append([]byte{10}, "5.0\x00"...), "\x01\x00\x00\x0012345678\x00\xff\xf7"...), nil},
		{"a greeting without end", longGreeting, nil},
		{"an error of a megabyte, with orders to the terminal", whole, func(int, []byte) [][]byte {
			return [][]byte{errPacket(1045, "#28000"+strings.Repeat("\x1b[2J\r\nwpmend: all is well ", 1<<16))}
		}},
		{"an error of a megabyte later", whole, after(errPacket(1064, strings.Repeat("\x1b[2J\xff", 1<<18)))},
		{"columns without end", whole, after([]byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})},
		{"250 columns", whole, after(append([][]byte{{250}}, append(many(aColumn, 250), anEnd, bytes.Repeat([]byte{0}, 250), anEnd)...)...)},
		{"rows of nothing", whole, after(append([][]byte{{2}, aColumn, aColumn, anEnd}, append(many([]byte{0, 0}, 100_000), anEnd)...)...)},
		{"a packet that is said to have 16 MB", whole, after(append([]byte{0xff, 0xff, 0xff, 1}, bytes.Repeat([]byte("x"), 1<<20)...))},
		{"compression", append(append([]byte{10}, "8.0\x00\x01\x00\x00\x0012345678\x00"...), append([]byte{0xff, 0xff, 45, 2, 0, 0xff, 0xff, 21}, whole[len(whole)-45:]...)...), func(int, []byte) [][]byte { return [][]byte{okPacket} }},
		{"more and more results", whole, func(int, []byte) [][]byte { return many([]byte{0, 0, 0, 10, 0, 0, 0}, 10_000) }},
		{"silence", whole, func(int, []byte) [][]byte { return nil }},
		{"no greeting", nil, nil},
	}
	before := runtime.NumGoroutine()
	escapes := 0
	for _, a := range attacks {
		escape := func(format string, args ...any) {
			escapes++
			t.Errorf("%s: %s", a.name, fmt.Sprintf(format, args...))
		}
		heard := make(chan string, 1<<16)
		c, stop := faked(t, a.hello, func(n int, p []byte) [][]byte {
			select {
			case heard <- string(p):
			default:
			}
			if a.script == nil {
				return nil
			}
			return a.script(n, p)
		})
		limit := 10 * time.Second // of the processor's, for what is at work
		if strings.Contains(a.name, "silence") || a.hello == nil {
			limit = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		var was, is runtime.MemStats
		runtime.ReadMemStats(&was)
		d, err := OpenDatabase(ctx, c, "")
		late := ctx.Err()
		cancel()
		if err == nil {
			_, err = d.Option(context.Background(), "siteurl")
			d.Close()
		}
		runtime.ReadMemStats(&is)
		stop()
		switch {
		case err == nil:
			escape("it is taken for a server")
		case len(err.Error()) > 2000:
			escape("an error of %d bytes", len(err.Error()))
		case strings.Contains(err.Error(), "runtime error"):
			escape("the driver panics: %v", err)
		case late != nil && limit > time.Second:
			escape("no end after %s: %v", limit, err)
		}
		if grown := is.TotalAlloc - was.TotalAlloc; grown > 1<<30 {
			escape("it took %d MiB", grown>>20)
		}
		close(heard)
		for p := range heard {
			if strings.Contains(p, "root:") || strings.Contains(p, "se'cret") {
				escape("the server heard %q", p)
			}
		}
	}
	// What a fake leaves of ours: nothing.
	left := 0
	for range 100 {
		if left = runtime.NumGoroutine() - before; left <= 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if left > 0 {
		escapes++
		t.Errorf("%d goroutines are left", left)
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks), escapes)
}

// faked is [fake] with an end.
func faked(t *testing.T, hello []byte, script func(n int, packet []byte) [][]byte) (c Config, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.77.1.3:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if len(hello) > 0 {
			serve(conn, hello, script)
			return
		}
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}()
	return (&server{}).config("shop").with("DB_HOST", l.Addr().String()), func() { l.Close(); <-done }
}

// DB_HOST names what is no database of the owner's: root must not lend him its reach.
func TestAttackHost(t *testing.T) {
	t.Parallel()
	const customer = 54321
	dir, err := os.MkdirTemp("/tmp", "wpdb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	roots, home := filepath.Join(dir, "private"), filepath.Join(dir, "home")
	l, err := net.Listen("unix", roots)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := errors.Join(os.Chmod(roots, 0o600), os.Mkdir(home, 0o755), os.Chown(home, customer, customer), os.Symlink(roots, home+"/db"), os.Lchown(home+"/db", customer, customer)); err != nil {
		t.Fatal(err)
	}
	came := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			came <- "root's socket"
			c.Close()
		}
	}()
	// A service that speaks first, as ssh and mail servers do, and one that waits.
	tcp, err := net.Listen("tcp", "127.77.1.4:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	said := make(chan string, 10)
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2\r\n")
			_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			b, _ := io.ReadAll(c)
			said <- string(b)
			c.Close()
		}
	}()
	attacks := []string{
		":" + roots, "localhost:" + roots, "localhost:3306:" + roots, ":" + home + "/db", "localhost:" + home + "/../private",
		"localhost:/run/systemd/private", "localhost:/" + strings.Repeat("../", 30) + roots, "localhost:/%2e%2e/" + roots, "localhost:" + home,
		"localhost:/dev/null", "localhost:/etc/shadow", ":" + strings.Repeat("/x", 5000), "localhost:@/private", tcp.Addr().String(), "[::1", "\x00", "a b:1\r\nx", "$(id)",
	}
	escapes := 0
	for _, host := range attacks {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		c := (&server{}).config("shop").with("DB_HOST", host, "DB_USER", "root", "DB_PASSWORD", "")
		c.Owner = customer
		d, err := OpenDatabase(ctx, c, "")
		cancel()
		if err == nil {
			d.Close()
			escapes++
			t.Errorf("%.80q is taken for a database", host)
		} else if len(err.Error()) > 2000 {
			escapes++
			t.Errorf("%.80q: an error of %d bytes", host, len(err.Error()))
		}
	}
	if len(came) > 0 {
		escapes++
		t.Errorf("root came to %s", <-came)
	}
	if words := <-said; words != "" {
		escapes++
		t.Errorf("another service was told %q", words)
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks), escapes)
}

// FuzzHandshake: whatever a server says before it lets us in, the driver reads it without a panic.
func FuzzHandshake(f *testing.F) {
	packet := func(seq byte, b []byte) []byte {
		return append([]byte{byte(len(b)), byte(len(b) >> 8), byte(len(b) >> 16), seq}, b...)
	}
	greeting := packet(0, hello())
	for _, next := range [][]byte{okPacket, errPacket(1045, "#28000no"), append([]byte("\xfemysql_native_password\x00"), "12345678901234567890\x00"...),
		append([]byte("\xfecaching_sha2_password\x00"), "12345678901234567890\x00"...), {1, 3}, {1, 4}, {0xfe}, append([]byte{1}, publicKey(f, 256)...)} {
		f.Add(append(append([]byte{}, greeting...), packet(2, next)...))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		limit := &limiter{}
		m := mysql.NewConfig()
		m.User, m.Passwd, m.Addr = "u", "p", "fake:1"
		m.MaxAllowedPacket, m.InterpolateParams, m.Logger = maxPacket, true, &mysql.NopLogger{}
		m.Params = map[string]string{"autocommit": "1"}
		m.DialFunc = func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go io.Copy(io.Discard, there)
			go func() {
				_, _ = there.Write(answer) // it may be closed before
				there.Close()
			}()
			limit.dialled(here, false)
			return &limitedConn{Conn: here, limit: limit}, nil
		}
		c, err := mysql.NewConnector(m)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		conn, err := handshake{c, limit}.Connect(ctx)
		if (conn == nil) != (err != nil) {
			t.Errorf("a connection %v with %v", conn, err)
		}
		if conn != nil {
			_ = conn.Close() // the other end may have gone
		}
	})
}
