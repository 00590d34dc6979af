package fcgi

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Whoever owns the folder of a pool's socket can listen there himself: an exchange ends, and keeps what its limits allow.
func TestAttackResponder(t *testing.T) {
	const head = "Status: 200 OK\r\n\r\n"
	slowly := func(s string) func(io.Writer) error {
		return func(w io.Writer) error {
			for i := range s {
				if _, err := io.WriteString(w, s[i:i+1]); err != nil {
					return err
				}
				time.Sleep(20 * time.Millisecond)
			}
			return nil
		}
	}
	after := func(first string, then func(io.Writer) error) func(io.Writer) error {
		return func(w io.Writer) error {
			if _, err := io.WriteString(w, first); err != nil {
				return err
			}
			return then(w)
		}
	}
	tiny := strings.Repeat(stdout("x"), 1_000_000)
	attacks := []struct {
		name  string
		reply func(io.Writer) error
		whole bool // an answer comes of it
	}{
		{"nothing", func(w io.Writer) error { _, err := io.Copy(io.Discard, w.(io.Reader)); return err }, false},
		{"the end at once", text(""), false},
		{"a byte a moment", slowly(strings.Repeat(stdout(head), 10)), false},
		{"a byte a moment in one record", slowly(rec(1, typeStdout, 1, head+strings.Repeat("b", 1000), 0)), false},
		{"a million records of one byte", text(stdout(head) + tiny + end(0)), true},
		{"a million records of one byte in the header", text(tiny + end(0)), false},
		{"records of one byte and all padding, without end", after(stdout(head), endless(rec(1, typeStdout, 1, "x", 255))), true},
		{"errors of one byte without end", after(stdout(head), endless(stderrRec("e"))), false},
		{"empty records without end", endless(stdout("")), false},
		{"a header without end", endless(stdout("X: y\r\n")), false},
		{"a line of a header without end", endless(stdout("XXXXXXXX")), false},
		{"a body without end", after(stdout(head), endless(stdout(strings.Repeat("b", 60_000)))), true},
		{"a record of more than comes", text(rec(1, typeStdout, 1, strings.Repeat("b", 65535), 255)[:3000]), false},
		{"an end within the header", text(stdout("Status: 200") + end(0)), false},
		{"an end that is half there", text(stdout(head) + end(0)[:9]), false},
		{"an end of 65535 bytes", text(stdout(head) + rec(1, typeEndRequest, 1, strings.Repeat("\x00", 65535), 0)), false},
		{"an end of nothing", text(stdout(head) + rec(1, typeEndRequest, 1, "", 0)), false},
		{"ends of other requests without end", endless(rec(1, typeEndRequest, 2, string(make([]byte, 8)), 0)), false},
		{"the end first and more without end", after(end(0), endless(stdout("x"))), false},
		{"an answer and more after its end without end", after(stdout(head+"x")+end(0), endless(stdout("y"))), true},
		{"our own kinds of records", text(rec(1, typeBeginRequest, 1, "12345678", 0) + rec(1, typeParams, 1, "x", 0)), false},
		{"garbage without end", endless("\x00\xff\x1b[2J\r\n"), false},
		{"HTTP", text("HTTP/1.1 200 OK\r\n\r\n<html>all is well</html>"), false},
		{"MySQL", text("\x4a\x00\x00\x00\x0a5.5.5-10.11"), false},
	}
	escapes := 0
	for _, a := range attacks {
		addr := serve(t, a.reply)
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		if strings.Contains(a.name, "moment") || a.name == "nothing" {
			cancel()
			ctx, cancel = context.WithTimeout(context.Background(), 300*time.Millisecond)
		}
		var was, is runtime.MemStats
		runtime.ReadMemStats(&was)
		r, err := Do(ctx, "unix", addr, Request{}, Limits{Header: 16 << 10, Body: 64 << 10, Stderr: 16 << 10})
		runtime.ReadMemStats(&is)
		late := ctx.Err()
		cancel()
		switch {
		case (err == nil) != a.whole:
			t.Errorf("%s: %v", a.name, err)
		case late != nil && !strings.Contains(a.name, "moment") && a.name != "nothing":
			t.Errorf("%s: it keeps us", a.name)
		case r == nil || len(r.Body) > 64<<10 || cap(r.Body) > 256<<10 || cap(r.Stderr) > 64<<10 || len(r.Header) > 16<<10:
			t.Errorf("%s: it keeps too much", a.name)
		case err != nil && len(err.Error()) > 1000:
			t.Errorf("%s: an error of %d bytes", a.name, len(err.Error()))
		case is.TotalAlloc-was.TotalAlloc > 256<<20: // the attacker's own included
			t.Errorf("%s: it took %d MiB", a.name, (is.TotalAlloc-was.TotalAlloc)>>20)
		default:
			continue
		}
		escapes++
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks), escapes)
}
