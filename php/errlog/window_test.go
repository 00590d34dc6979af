package errlog

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func add(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReadSince(t *testing.T) {
	t.Parallel()
	rotate := func(t *testing.T, log string) { must(t, os.Rename(log, log+".1")) }
	for _, c := range []struct {
		name  string
		first string // "" is no file
		then  func(t *testing.T, log string)
		max   int64
		want  string
	}{
		{"nothing new", "a\n", func(*testing.T, string) {}, 100, ""},
		{"grown", "a\n", func(t *testing.T, log string) { add(t, log, "b\nc\n") }, 100, "b\nc\n"},
		{"grown within a line", "a", func(t *testing.T, log string) { add(t, log, "b\nc") }, 100, "b\nc"},
		{"grown past the limit", "a\n", func(t *testing.T, log string) { add(t, log, "bbbb\ncccc\ndddd\n") }, 12, "cccc\ndddd\n"},
		{"cut falls on a line", "a\n", func(t *testing.T, log string) { add(t, log, "bbbb\ncccc\ndddd\n") }, 10, "cccc\ndddd\n"},
		{"cut by one byte", "a\n", func(t *testing.T, log string) { add(t, log, "bbbb\ncccc\ndddd\n") }, 9, "dddd\n"},
		{"one line longer than the limit", "a\n", func(t *testing.T, log string) { add(t, log, strings.Repeat("b", 100)) }, 10, ""},
		{"nothing wanted", "a\n", func(t *testing.T, log string) { add(t, log, "b\n") }, 0, ""},
		{"less than nothing wanted", "a\n", func(t *testing.T, log string) { add(t, log, "b\n") }, -5, ""},
		{"new file", "", func(t *testing.T, log string) { add(t, log, "a\nb\n") }, 100, "a\nb\n"},
		{"still no file", "", func(*testing.T, string) {}, 100, ""},
		{"new file beside an old rotated one", "", func(t *testing.T, log string) { add(t, log, "a\n"); add(t, log+".1", "old\n") }, 100, "a\n"},
		{"truncated", "aaaa\n", func(t *testing.T, log string) { must(t, os.Truncate(log, 0)); add(t, log, "b\n") }, 100, "b\n"},
		{"rotated", "a\n", func(t *testing.T, log string) { add(t, log, "b\n"); rotate(t, log); add(t, log, "c\n") }, 100, "b\nc\n"},
		{"rotated, nothing new in the old", "a\n", func(t *testing.T, log string) { rotate(t, log); add(t, log, "c\n") }, 100, "c\n"},
		{"rotated, no new file yet", "a\n", func(t *testing.T, log string) { add(t, log, "b\n"); rotate(t, log) }, 100, "b\n"},
		{"rotated within a line", "a\n", func(t *testing.T, log string) { add(t, log, "b"); rotate(t, log); add(t, log, "c\n") }, 100, "b\nc\n"},
		{"rotated twice", "a\n", func(t *testing.T, log string) {
			rotate(t, log)
			must(t, os.Rename(log+".1", log+".2"))
			add(t, log+".1", "lost\n")
			add(t, log, "c\n")
		}, 100, "c\n"},
		{"rotated, the new file fills the limit", "a\n", func(t *testing.T, log string) { add(t, log, "b\n"); rotate(t, log); add(t, log, "cccc\n") }, 5, "cccc\n"},
		{"rotated, a part of the old fits", "a\n", func(t *testing.T, log string) { add(t, log, "bb\nb\n"); rotate(t, log); add(t, log, "cccc\n") }, 9, "b\ncccc\n"},
		{"rotated to a link", "a\n", func(t *testing.T, log string) {
			add(t, log, "b\n")
			must(t, os.Rename(log, log+".2"))
			must(t, os.Symlink(log+".2", log+".1"))
			add(t, log, "c\n")
		}, 100, "c\n"},
		{"rotated to a pipe", "a\n", func(t *testing.T, log string) {
			must(t, os.Remove(log))
			must(t, syscall.Mkfifo(log+".1", 0o644))
			add(t, log, "c\n")
		}, 100, "c\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := filepath.Join(t.TempDir(), "error.log")
			if c.first != "" {
				put(t, log, c.first)
				held, err := os.Open(log) // or its inode could be given out again at once
				must(t, err)
				defer held.Close()
			}
			m, err := MarkFile(log)
			must(t, err)
			if (m == Mark{}) != (c.first == "") || m.Size != int64(len(c.first)) {
				t.Fatalf("marked as %+v", m)
			}
			c.then(t, log)
			got, err := ReadSince(log, m, c.max)
			if err != nil || string(got) != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestReadTail(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "error.log")
	if _, err := ReadTail(log, 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	put(t, log, "aaaa\nbbbb\ncccc")
	for max, want := range map[int64]string{100: "aaaa\nbbbb\ncccc", 14: "aaaa\nbbbb\ncccc", 13: "bbbb\ncccc", 9: "bbbb\ncccc", 8: "cccc", 4: "cccc", 3: "", 0: "", -1: "", -1 << 62: ""} {
		if got, err := ReadTail(log, max); err != nil || string(got) != want {
			t.Errorf("last %d bytes: %q, %v; want %q", max, got, err, want)
		}
	}
}

// A file of a terabyte, nearly all of it holes, costs no more than the window.
func TestReadTailOfAHugeFile(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "error.log")
	put(t, log, "")
	must(t, os.Truncate(log, 1<<40))
	add(t, log, "\nlast\n")
	got, err := ReadTail(log, 1000)
	if err != nil || string(got) != "last\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLogsThatAreNone(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "wp")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("file"), "secret\n")
	must(t, os.Mkdir(at("folder"), 0o755))
	must(t, os.Symlink("file", at("link")))
	must(t, os.Symlink("absent", at("dangling")))
	must(t, syscall.Mkfifo(at("pipe"), 0o644))
	l, err := net.Listen("unix", at("socket"))
	must(t, err)
	defer l.Close()
	for _, c := range []struct{ path, err string }{
		{at("folder"), "log DIR/folder is a folder, not a regular file; it is not read"},
		{at("link"), "log DIR/link is a symbolic link, not a regular file; it is not read"},
		{at("dangling"), "log DIR/dangling is a symbolic link, not a regular file; it is not read"},
		{at("pipe"), "log DIR/pipe is a named pipe, not a regular file; it is not read"},
		{at("socket"), "log DIR/socket is a socket, not a regular file; it is not read"},
		{"/dev/null", "log /dev/null is a device, not a regular file; it is not read"},
		{at("file/x"), "open log folder DIR/file: not a directory"},
		{"relative", `log "relative": not an absolute path`},
		{"", `log "": not an absolute path`},
		{"/a\x00b", `log "/a\x00b": not an absolute path`},
		{"/", `log / is a folder, not a regular file; it is not read`},
	} {
		want := strings.ReplaceAll(c.err, "DIR", dir)
		_, mark := MarkFile(c.path)
		_, since := ReadSince(c.path, Mark{}, 10)
		_, tail := ReadTail(c.path, 10)
		for _, err := range []error{mark, since, tail} {
			if fmt.Sprint(err) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
}

func TestLinksOnTheWay(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "wp")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	const customer = 65534
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, folder := range []string{"real", "real/deep", "home", "home/logs", "open"} {
		must(t, os.Mkdir(at(folder), 0o755))
	}
	put(t, at("real/log"), "root's\n")
	put(t, at("home/logs/log"), "customer's\n")
	must(t, os.Chmod(at("open"), 0o777))
	must(t, os.Symlink("real", at("relative")))
	must(t, os.Symlink(at("real"), at("absolute")))
	must(t, os.Symlink("../../real/deep/..", at("real/deep/up")))
	must(t, os.Symlink("loop", at("loop")))
	must(t, os.Symlink(at("real"), at("theirs")))
	must(t, os.Lchown(at("theirs"), customer, customer))
	must(t, os.Symlink(at("real"), at("home/away")))
	must(t, os.Symlink(at("real"), at("home/logs/roots")))
	must(t, os.Lchown(at("home/away"), customer, customer))
	must(t, os.Chown(at("home"), customer, customer))
	must(t, os.Symlink(at("real"), at("open/link")))
	refused := "open log folder DIR: " + errForeignLink.Error()
	for _, c := range []struct{ path, text, err string }{
		{"real/log", "root's\n", ""},
		{"relative/log", "root's\n", ""},
		{"absolute/log", "root's\n", ""},
		{"absolute/deep/up/log", "root's\n", ""},
		{"home/logs/log", "customer's\n", ""},
		{"loop/log", "", "open log folder DIR: too many levels of symbolic links"},
		{"theirs/log", "", refused},
		{"home/away/log", "", refused},
		{"home/logs/roots/log", "", refused}, // root's link, but the customer can put the folder elsewhere
		{"open/link/log", "", refused},
	} {
		got, err := ReadTail(at(c.path), 100)
		want := strings.ReplaceAll(c.err, "DIR", filepath.Dir(at(c.path)))
		if string(got) != c.text || (err != nil || want != "") && fmt.Sprint(err) != want {
			t.Errorf("%s: got %q, %v; want %q, %s", c.path, got, err, c.text, want)
		}
	}
}
