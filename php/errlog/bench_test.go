package errlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// repeated makes a log of some 10 MB.
func repeated(records ...string) string {
	var b strings.Builder
	for i := 0; b.Len() < 10<<20; i++ {
		b.WriteString(records[i%len(records)])
	}
	return b.String()
}

func BenchmarkScan10MB(b *testing.B) {
	b.Run("fpm", func(b *testing.B) {
		text := repeated(
			"[22-Nov-2026 20:58:55] NOTICE: [pool www] child 12 started\n",
			"[22-Nov-2026 20:58:55] WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.250000 seconds from start\n",
			"[22-Nov-2026 20:58:55] WARNING: [pool www] child 19443, script '/p/index.php' (request: \"GET /u?q\") executing too slow (2.180000 sec), logging\n")
		bench(b, text, func() (n int, err error) {
			err = ScanFPM(strings.NewReader(text), time.Local, func(FPMRecord) bool { n++; return true })
			return n, err
		})
	})
	b.Run("slow", func(b *testing.B) {
		trace := "\n[22-Nov-2026 20:58:58]  [pool www] pid 19443\nscript_filename = /path/sleep.php\n"
		for i := range 20 {
			trace += fmt.Sprintf("[0x00007fcb8c4151c0] call_%d() /path/wp-content/plugins/foo/file.php:%d\n", i, i)
		}
		text := repeated(trace)
		bench(b, text, func() (n int, err error) {
			err = ScanSlow(strings.NewReader(text), time.Local, func(SlowTrace) bool { n++; return true })
			return n, err
		})
	})
	b.Run("php", func(b *testing.B) {
		text := repeated(
			"[22-Nov-2026 20:59:13 Europe/Berlin] "+uncaughtText+"\n",
			"[22-Nov-2026 20:59:13 Europe/Berlin] PHP Warning:  Undefined variable $x in /p/wp-content/plugins/foo/foo.php on line 3\n",
			"[22-Nov-2026 20:59:13 UTC] words of a plugin\n")
		bench(b, text, func() (n int, err error) {
			err = ScanPHP(strings.NewReader(text), func(PHPError) bool { n++; return true })
			return n, err
		})
	})
	b.Run("junk", func(b *testing.B) {
		text := strings.Repeat("\x00\xff[", 10<<20/3)
		bench(b, text, func() (n int, err error) {
			err = ScanPHP(strings.NewReader(text), func(PHPError) bool { n++; return true })
			return 1 + n, err
		})
	})
}

func bench(b *testing.B, text string, scan func() (int, error)) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if n, err := scan(); n == 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkReadSince(b *testing.B) {
	log := filepath.Join(b.TempDir(), "error.log")
	if err := os.WriteFile(log, []byte(repeated("words\n")), 0o644); err != nil {
		b.Fatal(err)
	}
	m, err := MarkFile(log)
	if err != nil {
		b.Fatal(err)
	}
	m.Size -= 1000
	b.ReportAllocs()
	for b.Loop() {
		if got, err := ReadSince(log, m, 1<<20); err != nil || len(got) != 1000 {
			b.Fatal(len(got), err)
		}
	}
}
