package wp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The kernel must take the connection for the customer's: its packet filter may keep him from where root can go.
func TestAttackFilter(t *testing.T) {
	t.Parallel()
	const customer = 54321
	for _, c := range []struct{ at, table string }{{"127.77.1.5:0", "tcp"}, {"[::1]:0", "tcp6"}} {
		l, err := net.Listen("tcp", c.at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		d := dialer{owner: customer, limit: &limiter{}}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		conn, err := d.dial(ctx, "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		table, err := os.ReadFile("/proc/self/net/" + c.table)
		if err != nil {
			t.Fatal(err)
		}
		port := fmt.Sprintf(":%04X ", conn.LocalAddr().(*net.TCPAddr).Port)
		whose := ""
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 7 && strings.HasSuffix(f[1]+" ", port) {
				whose = f[7]
			}
		}
		if whose != fmt.Sprint(customer) {
			t.Errorf("%s: the connection is user %q's, want %d", c.at, whose, customer)
		}
		there, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer there.Close()
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		if n, err := there.Read(make([]byte, 1)); n != 1 {
			t.Error(err)
		}
	}
}

func TestDialTCPFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.77.1.6:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	ctx := context.Background()
	if _, err := dialTCPAs(ctx, 54321, closed); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	var network net.Error
	if _, err := dialTCPAs(ctx, 54321, "no-such-host.invalid:3306"); !errors.As(err, &network) {
		t.Error(err)
	}
	// Nobody answers for an address of documentation (RFC 5737), and the wait ends with the context.
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := dialTCPAs(short, 54321, "192.0.2.1:3306"); err == nil {
		t.Error("somebody answers")
	}
	for _, addr := range []string{"x", "127.0.0.1:x", "127.0.0.1:99999", "[fe80::1%nowhere]:1"} {
		if conn, err := dialTCPAs(ctx, 54321, addr); err == nil {
			conn.Close()
			t.Errorf("%s is dialled", addr)
		}
	}
	// A localhost of two addresses, one of which nobody listens at.
	l, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := dialTCPAs(ctx, 54321, fmt.Sprintf("localhost:%d", l.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
