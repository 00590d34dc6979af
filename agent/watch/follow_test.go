package watch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// follower runs a Follower and remembers what it told.
type follower struct {
	*Follower
	t     testing.TB
	dir   string
	mu    sync.Mutex
	lines map[string]*bytes.Buffer
	notes []string
	end   func()
}

func start(t testing.TB, p pace, names ...string) *follower {
	t.Helper()
	f := &follower{t: t, dir: t.TempDir(), lines: map[string]*bytes.Buffer{}}
	f.Follower = NewFollower(f.heardLines, func(path, what string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.notes = append(f.notes, filepath.Base(path)+": "+what)
	})
	f.pace = p
	for _, n := range names {
		f.write(n, "old\n")
	}
	f.Set(f.paths(names...))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	f.end = func() {
		cancel()
		<-done
	}
	t.Cleanup(f.end)
	return f
}

func (f *follower) heardLines(path string, text []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := filepath.Base(path)
	if f.lines[name] == nil {
		f.lines[name] = &bytes.Buffer{}
	}
	f.lines[name].Write(text)
}

func (f *follower) paths(names ...string) (list []string) {
	for _, n := range names {
		list = append(list, f.path(n))
	}
	return list
}

func (f *follower) path(name string) string { return filepath.Join(f.dir, name) }

func (f *follower) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// write appends.
func (f *follower) write(name, text string) {
	f.t.Helper()
	file, err := os.OpenFile(f.path(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	f.must(err)
	_, err = file.WriteString(text)
	f.must(err)
	f.must(file.Close())
}

func (f *follower) told(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lines[name] == nil {
		return ""
	}
	return f.lines[name].String()
}

func (f *follower) noted() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.notes, "\n")
}

// wants waits until what was told of a file is this.
func (f *follower) wants(name, want string) {
	f.t.Helper()
	f.until(func() bool { return f.told(name) == want }, func() string { return fmt.Sprintf("%s: told %q, want %q", name, f.told(name), want) })
}

func (f *follower) until(cond func() bool, what func() string) {
	f.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatal(what())
		}
	}
}

// quick keeps the waits of these tests short; news of the kernel do most of the work.
var quick = func() pace {
	p := usualPace
	p.gap, p.poll = 5*time.Millisecond, 50*time.Millisecond
	return p
}()

// deaf has to look for itself.
var deaf = func() pace {
	p := quick
	p.folders = 0
	return p
}()

func each(t *testing.T, test func(t *testing.T, p pace)) {
	for name, p := range map[string]pace{"news": quick, "looks": deaf} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

func TestFollowTellsWholeLines(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p pace) {
		f := start(t, p, "a.log", "b.log")
		f.write("a.log", "one\ntwo\n")
		f.wants("a.log", "one\ntwo\n")
		f.write("a.log", "thr")
		f.write("b.log", "other\n")
		f.wants("b.log", "other\n")
		f.write("a.log", "ee\nfo")
		f.wants("a.log", "one\ntwo\nthree\n")
		f.write("a.log", "ur\n")
		f.wants("a.log", "one\ntwo\nthree\nfour\n")
	})
}

func TestFollowRotation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p pace) {
		f := start(t, p, "a.log")
		f.write("a.log", "1\n")
		f.wants("a.log", "1\n")
		// As logrotate does: renamed first, and the server goes on writing there for a while.
		server, err := os.OpenFile(f.path("a.log"), os.O_APPEND|os.O_WRONLY, 0)
		f.must(err)
		defer server.Close()
		f.must(os.Rename(f.path("a.log"), f.path("a.log.1")))
		fmt.Fprint(server, "2\n")
		f.wants("a.log", "1\n2\n")
		f.write("a.log", "3\n")
		f.wants("a.log", "1\n2\n3\n")
		fmt.Fprint(server, "late\n")
		f.wants("a.log", "1\n2\n3\nlate\n")
		fmt.Fprint(server, "cut off")
		f.must(os.Rename(f.path("a.log"), f.path("a.log.1"))) // the next rotation ends the old file's last line
		f.write("a.log", "4\n")
		f.wants("a.log", "1\n2\n3\nlate\ncut off\n4\n")
	})
}

func TestFollowRotationOfAnIdleFile(t *testing.T) {
	t.Parallel()
	p := deaf
	p.open = 0 // nothing stays open
	f := start(t, p, "a.log")
	f.mu2(func() {
		f.write("a.log", "2\n")
		f.must(os.Rename(f.path("a.log"), f.path("a.log.1")))
		f.write("a.log", "3\n")
	})
	f.wants("a.log", "2\n3\n")
}

// mu2 does something while the follower sees nothing of it.
func (f *follower) mu2(do func()) {
	f.Follower.mu.Lock()
	defer f.Follower.mu.Unlock()
	do()
}

func TestFollowTruncation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p pace) {
		f := start(t, p, "a.log")
		f.write("a.log", "a line that is long\n")
		f.wants("a.log", "a line that is long\n")
		f.must(os.Truncate(f.path("a.log"), 0))
		f.write("a.log", "short\n")
		f.wants("a.log", "a line that is long\nshort\n")
	})
}

func TestFollowWhatComesAndGoes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p pace) {
		f := start(t, p, "a.log")
		f.Set(append(f.paths("a.log", "later.log"), f.path("folder/inner.log")))
		f.write("later.log", "first\n")
		f.wants("later.log", "first\n")
		f.must(os.Mkdir(f.path("folder"), 0o755))
		f.write("folder/inner.log", "first\n")
		f.wants("inner.log", "first\n")
		f.must(os.RemoveAll(f.path("folder")))
		f.must(os.Mkdir(f.path("folder"), 0o755))
		f.write("folder/inner.log", "second\n")
		f.wants("inner.log", "first\nsecond\n")
		f.must(os.Rename(f.path("folder"), f.path("moved")))
		f.must(os.Mkdir(f.path("folder"), 0o755))
		f.write("folder/inner.log", "third\n")
		f.wants("inner.log", "first\nsecond\nthird\n")
		f.must(os.Remove(f.path("later.log")))
		f.write("later.log", "again\n")
		f.wants("later.log", "first\nagain\n")
		// A file that is dropped is not told of, and one that stays loses nothing.
		f.write("a.log", "1\n")
		f.Set(f.paths("later.log"))
		f.write("a.log", "unheard\n")
		f.write("later.log", "more\n")
		f.wants("later.log", "first\nagain\nmore\n")
		if got := f.told("a.log"); strings.Contains(got, "unheard") || strings.Contains(got, "old") {
			t.Errorf("told %q", got)
		}
		if n := f.noted(); n != "" {
			t.Errorf("noted %s", n)
		}
	})
}

// What lies in a log's place may be anything; the follower neither waits for it nor
// is led astray by it.
func TestFollowHostilePlaces(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, p pace) {
		f := start(t, p, "a.log", "good.log")
		secret := filepath.Join(t.TempDir(), "secret")
		f.must(os.WriteFile(secret, []byte("secret\n"), 0o600))
		f.must(os.Remove(f.path("a.log")))
		f.must(os.Symlink(secret, f.path("a.log")))
		f.noteOf("a symbolic link")
		f.must(os.Remove(f.path("a.log")))
		f.must(syscall.Mkfifo(f.path("a.log"), 0o666))
		f.noteOf("a named pipe")
		f.must(os.Remove(f.path("a.log")))
		f.must(os.Mkdir(f.path("a.log"), 0o755))
		f.noteOf("a folder")
		f.must(os.Remove(f.path("a.log")))
		f.must(syscall.Mknod(f.path("a.log"), syscall.S_IFCHR|0o666, 1<<8|5)) // /dev/zero
		f.noteOf("a device")
		f.write("good.log", "on\n")
		f.wants("good.log", "on\n")
		f.must(os.Remove(f.path("a.log")))
		f.write("a.log", "back\n")
		f.wants("a.log", "back\n")
		if n := strings.Count(f.noted(), "\n"); n > 10 {
			t.Errorf("%d notes, want each trouble once:\n%s", n, f.noted())
		}
	})
}

func (f *follower) noteOf(what string) {
	f.t.Helper()
	f.until(func() bool { return strings.Contains(f.noted(), what) }, func() string { return "no note of " + what + ":\n" + f.noted() })
}

func TestFollowFlood(t *testing.T) {
	t.Parallel()
	p := quick
	p.file, p.backlog = chunk, 2<<20
	f := start(t, p, "flood.log", "binary.log", "calm.log")
	line := strings.Repeat("x", 998) + "\n"
	f.mu2(func() { f.write("flood.log", strings.Repeat(line, 20_000)+"last\n") })
	f.write("calm.log", "heard\n")
	f.wants("calm.log", "heard\n")
	f.until(func() bool { return strings.HasSuffix(f.told("flood.log"), "\nlast\n") }, func() string { return "the end of the flood was not told" })
	told := f.told("flood.log")
	if len(told) < chunk/2 || int64(len(told)) > p.backlog {
		t.Errorf("%d bytes of %d were told", len(told), 20_000*len(line))
	}
	for l := range strings.Lines(told) {
		if l != line && l != "last\n" {
			t.Fatalf("told a line cut to %d bytes", len(l))
		}
	}
	f.noteOf("flood.log: grows faster than it is read")
	// A line without an end is not kept, and what follows it is heard.
	for range 20 {
		f.write("binary.log", strings.Repeat("\x00", maxLine))
	}
	f.write("binary.log", "end\nnext\n")
	f.until(func() bool { return strings.HasSuffix(f.told("binary.log"), "next\n") }, func() string { return "nothing after a long line" })
	if n := len(f.told("binary.log")); n > 2*maxLine {
		t.Errorf("%d bytes of one line were told", n)
	}
}

// Thousands of files cost neither goroutines nor open files, and nothing is left.
func TestFollowLeavesNothing(t *testing.T) {
	count := func() (goroutines, files int) {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(open)
	}
	goroutines, files := count()
	p := quick
	p.open, p.idle = 100, 20*time.Millisecond
	f := start(t, p)
	var paths []string
	for i := range 2000 {
		paths = append(paths, f.path(fmt.Sprintf("%d/%d.log", i%50, i)))
	}
	for i := range 50 {
		f.must(os.Mkdir(f.path(fmt.Sprint(i)), 0o755))
	}
	for round := range 2 {
		f.Set(paths)
		for _, path := range paths {
			f.write(strings.TrimPrefix(path, f.dir), "a round\n")
		}
		f.until(func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return len(f.lines) == len(paths)
		}, func() string { return fmt.Sprintf("round %d: lines of %d files", round, len(f.lines)) })
		if g, n := count(); g > goroutines+6 || n > files+p.open+10 {
			t.Errorf("%d goroutines and %d open files, %d and %d before", g, n, goroutines, files)
		}
		f.Set(nil)
		f.mu.Lock()
		clear(f.lines)
		f.mu.Unlock()
		if f.opened != 0 || f.watches != 0 || len(f.queue) != 0 {
			t.Errorf("without files %d are open and %d folders watched, %d queued", f.opened, f.watches, len(f.queue))
		}
	}
	f.Set(paths)
	f.end()
	f.until(func() bool {
		g, n := count()
		return g <= goroutines && n <= files
	}, func() string {
		g, n := count()
		return fmt.Sprintf("%d goroutines and %d open files are left, %d and %d before", g, n, goroutines, files)
	})
}

func BenchmarkFollow(b *testing.B) {
	p := usualPace
	p.settle, p.gap, p.file, p.turn, p.backlog = 0, 0, 64<<20, 1<<30, 1<<40
	f := &follower{t: b, dir: b.TempDir()}
	var told int64
	f.Follower = NewFollower(func(_ string, text []byte) { told += int64(len(text)) }, func(string, string) {})
	f.pace = p
	f.write("a.log", "")
	f.Set(f.paths("a.log"))
	f.write("a.log", strings.Repeat(strings.Repeat("x", 199)+"\n", 64<<20/200))
	size := int64(64 << 20 / 200 * 200)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		told = 0
		x := f.files[f.path("a.log")]
		x.at.Size = 0
		f.enqueue(x)
		f.turn(time.Now())
		if told != size {
			b.Fatalf("told %d bytes of %d", told, size)
		}
	}
	f.close()
}

// BenchmarkFollowIdle is one look at 1,000 files that say nothing: it comes every two
// seconds, and nothing else does.
func BenchmarkFollowIdle(b *testing.B) {
	f := &follower{t: b, dir: b.TempDir()}
	f.Follower = NewFollower(func(string, []byte) {}, func(string, string) {})
	var paths []string
	for i := range 1000 {
		name := fmt.Sprintf("%d.log", i)
		f.write(name, "x\n")
		paths = append(paths, f.path(name))
	}
	f.Set(paths)
	f.wake()
	f.turn(time.Now())
	b.ReportAllocs()
	for b.Loop() {
		f.look(time.Now())
		f.turn(time.Now())
	}
	f.close()
}
