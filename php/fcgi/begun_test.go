package fcgi

import (
	"strconv"
	"testing"
	"time"
)

func TestBegun(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"unix", "tcp"} {
		p := startPool(t, network)
		r := p.request(t, `echo microtime(true);`, nil)
		b, err := Begin(soon(t), p.network, p.addr)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
		sent := time.Now()
		ctx := WithBegun(soon(t), b)
		// The second request finds it taken and opens a connection of its own.
		for range 2 {
			a, err := Do(ctx, p.network, p.addr, r, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if at, err := strconv.ParseFloat(string(a.Body), 64); err != nil || a.Status != 200 || at < float64(sent.UnixMicro())/1e6 {
				t.Errorf("%s: %d %q, %v", network, a.Status, a.Body, err)
			}
			b.Close() // of no effect: it was taken
		}
		if b.Age() < 20*time.Millisecond {
			t.Errorf("it is %v old", b.Age())
		}
		// One for another address, and one that was given up, are left alone.
		for _, how := range []func(*Begun){func(b *Begun) { b.addr = "/elsewhere" }, func(b *Begun) { b.Close() }} {
			other, err := Begin(soon(t), p.network, p.addr)
			if err != nil {
				t.Fatal(err)
			}
			how(other)
			if a, err := Do(WithBegun(soon(t), other), p.network, p.addr, r, Limits{}); err != nil || a.Status != 200 {
				t.Errorf("%s: %+v, %v", network, a, err)
			}
			other.Close()
		}
	}
	if _, err := Begin(soon(t), "unix", "/nonexistent/socket"); err == nil {
		t.Error("began with nobody")
	}
}
