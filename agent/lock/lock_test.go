package lock

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// childDir makes this binary a second wpmend, which takes one lock and waits for its end.
const childDir = "WPMEND_TEST_LOCK_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := Acquire(dir, []Key{Database("db")}, "wpmend heal example.com"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	time.Sleep(time.Hour)
}

func folder(t *testing.T, dir string) Key {
	t.Helper()
	k, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func acquire(t *testing.T, dir string, keys ...Key) *Lock {
	t.Helper()
	l, err := Acquire(dir, keys, "test")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func free(t *testing.T, dir string, keys ...Key) {
	t.Helper()
	if err := acquire(t, dir, keys...).Release(); err != nil {
		t.Error(err)
	}
}

func TestOneActor(t *testing.T) {
	t.Parallel()
	dir, root := filepath.Join(t.TempDir(), "run", "lock"), t.TempDir()
	before := time.Now().Add(-time.Second)
	l, err := Acquire(dir, []Key{Database("db"), folder(t, root), folder(t, root)}, "wpmend heal example.com")
	if err != nil {
		t.Fatal(err)
	}
	var held *Held
	if _, err = Acquire(dir, []Key{folder(t, root)}, "other"); !errors.As(err, &held) {
		t.Fatalf("error %v", err)
	}
	if held.PID != os.Getpid() || held.Command != "wpmend heal example.com" || held.Since.Before(before) || held.Since.After(time.Now()) {
		t.Errorf("%+v", held)
	}
	want := fmt.Sprintf(`another wpmend is at work on the site in %s: "wpmend heal example.com", pid %d, since %s`, root, os.Getpid(), held.Since.Format(time.RFC3339))
	if err.Error() != want {
		t.Errorf("%s\nwant\n%s", err, want)
	}
	for range 2 {
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	}
	free(t, dir, Database("db"), folder(t, root))
}

// A folder is the same by every path to it; copies of a site share the database.
func TestKeys(t *testing.T) {
	t.Parallel()
	dir, top := t.TempDir(), t.TempDir()
	live, staging, link := filepath.Join(top, "live"), filepath.Join(top, "staging"), filepath.Join(top, "link")
	if err := errors.Join(os.Mkdir(live, 0o755), os.Mkdir(staging, 0o755), os.Symlink(live, link)); err != nil {
		t.Fatal(err)
	}
	l := acquire(t, dir, folder(t, live), Database("localhost/wp/wp_"))
	var held *Held
	if _, err := Acquire(dir, []Key{folder(t, link)}, ""); !errors.As(err, &held) {
		t.Errorf("by a link: %v", err)
	}
	_, err := Acquire(dir, []Key{folder(t, staging), Database("localhost/wp/wp_")}, "")
	if !errors.As(err, &held) || !strings.HasPrefix(err.Error(), "another wpmend is at work on the database localhost/wp/wp_: ") {
		t.Errorf("a copy with the same database: %v", err)
	}
	// All or none: the staging folder was not kept.
	free(t, dir, folder(t, staging))
	free(t, dir, folder(t, staging), Database("localhost/wp/other_"))
	if err := l.Release(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{filepath.Join(top, "none"), "/etc/passwd"} {
		if _, err := Folder(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a killed wpmend left does not count: the kernel has freed the lock.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
		t.Fatalf("%q, %v", line, err)
	}
	var held *Held
	if _, err := Acquire(dir, []Key{Database("db")}, ""); !errors.As(err, &held) || held.PID != child.Process.Pid || held.Command != "wpmend heal example.com" {
		t.Errorf("%v", err)
	}
	child.Process.Kill()
	child.Wait()
	file := filepath.Join(dir, Database("db").file)
	left, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(left), "heal") {
		t.Errorf("nothing stale to test with: %q, %v", left, err)
	}
	l := acquire(t, dir, Database("db"))
	// The stale name again, while somebody else holds it: nobody is accused.
	if err := os.WriteFile(file, left, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(dir, []Key{Database("db")}, ""); err == nil || err.Error() != "another wpmend is at work on the database db" {
		t.Errorf("%v", err)
	}
	if err := l.Release(); err != nil {
		t.Error(err)
	}
}

func TestJunkInTheFile(t *testing.T) {
	t.Parallel()
	for _, junk := range []string{"", "\x00\xff", `{"pid":-1}`, `{"pid":1e99}`, `[]`, strings.Repeat("x", 2*maxHolder)} {
		dir := t.TempDir()
		l := acquire(t, dir, Database("db"))
		if err := os.WriteFile(filepath.Join(dir, Database("db").file), []byte(junk), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Acquire(dir, []Key{Database("db")}, ""); err == nil || err.Error() != "another wpmend is at work on the database db" {
			t.Errorf("%.10q: %v", junk, err)
		}
		if err := l.Release(); err != nil {
			t.Error(err)
		}
		free(t, dir, Database("db"))
	}
}

func TestRefusedFolders(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	open, foreign, link, file := filepath.Join(top, "open"), filepath.Join(top, "foreign"), filepath.Join(top, "link"), filepath.Join(top, "file")
	err := errors.Join(os.Mkdir(open, 0o755), os.Chmod(open, 0o777), os.Mkdir(foreign, 0o755), os.Chown(foreign, 4711, 4711),
		os.Symlink("/tmp", link), os.WriteFile(file, nil, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	const must = " must be a folder of root's that nobody else may write to; it belongs to uid "
	for dir, want := range map[string]string{
		open:    "lock: " + open + must + "0 with mode 0777",
		foreign: "lock: " + foreign + must + "4711 with mode 0755",
		link:    "lock: " + link + must + "0 with mode 0777",
		file:    "lock: mkdir " + file + ": not a directory",
	} {
		if _, err := Acquire(dir, []Key{Database("db")}, ""); err == nil || err.Error() != want {
			t.Errorf("error\n%v\nwant\n%s", err, want)
		}
	}
}

// A link in place of a lock file is not followed.
func TestLinkedFile(t *testing.T) {
	t.Parallel()
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := errors.Join(os.WriteFile(victim, []byte("precious"), 0o644), os.Symlink(victim, filepath.Join(dir, Database("db").file))); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(dir, []Key{Database("db")}, ""); err == nil || !strings.HasPrefix(err.Error(), "lock the database db: ") {
		t.Errorf("error %v", err)
	}
	if data, _ := os.ReadFile(victim); string(data) != "precious" {
		t.Errorf("the victim holds %q", data)
	}
}

// Whatever order the keys are given in: at most one holds them, and nobody waits for ever.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := Database("a"), Database("b")
	var holders, won atomic.Int32
	var actors sync.WaitGroup
	for i := range 4 {
		actors.Go(func() {
			keys := []Key{a, b}
			if i%2 == 1 {
				keys = []Key{b, a}
			}
			for range 25 {
				l, err := Acquire(dir, keys, "test")
				var held *Held
				if err != nil && !errors.As(err, &held) {
					t.Error(err)
				}
				if err != nil {
					continue
				}
				won.Add(1)
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				holders.Add(-1)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	actors.Wait()
	if won.Load() == 0 {
		t.Error("nobody ever got it")
	}
	free(t, dir, a, b)
}

// Who can open a lock file can lock it, and keep every site from being healed.
func TestAttackLocks(t *testing.T) {
	t.Parallel()
	earlier := t.TempDir()
	if err := os.Chmod(earlier, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Join(t.TempDir(), "run", "lock"), earlier} {
		l, err := Acquire(dir, []Key{Database("db")}, "test")
		if err != nil {
			t.Fatal(err)
		}
		folder, err := os.Stat(dir)
		if err != nil || folder.Mode().Perm() != 0o700 {
			t.Errorf("the folder: %v, %v", folder.Mode(), err)
		}
		file, err := os.Stat(filepath.Join(dir, Database("db").file))
		if err != nil || file.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v, %v", file.Mode(), err)
		}
		if err := l.Release(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("attacks: 2, any escaped: %v", t.Failed())
}
