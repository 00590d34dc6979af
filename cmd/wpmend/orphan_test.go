package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	crashing "wpmend/packaging/crash"
	"wpmend/packaging/lab"
)

// A question that wpmend has sent to the database outlives it: while somebody else holds
// the row, the server lets it wait, and carries it out later. Recovery must come after it.
func TestOrphanedQuestion(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 4})
	f := &faulty{stage: s, theme: s.snapshot().Options["stylesheet"]}
	f.breakBy(lab.Blank200, lab.Slug(3))
	f.write(f.config, fmt.Sprintf("only = [%q]\nsearch.fix = \"deactivate\"\n", f.Dir))
	before := f.look()
	f.behind("active_plugins", heal(f), before)

	f.must(f.Mend(0))
	f.must(os.RemoveAll(f.state))
	before = f.look()
	f.behind("stylesheet", disableTheme(f), before)
}

// behind lets a command die while its writing of an option waits for somebody else, and
// recovery begin before that one is done.
func (f *faulty) behind(option string, args []string, before look) {
	f.t.Helper()
	conn, err := f.DB().Conn(f.t.Context())
	f.must(err)
	defer conn.Close()
	held := false
	f.watch(func(c crashing.Call) crashing.Verdict {
		if c.Name != "send" || !bytes.Contains(c.Data, []byte("UPDATE")) || !bytes.Contains(c.Data, []byte("'"+option+"'")) {
			return crashing.Pass()
		}
		_, err := conn.ExecContext(f.t.Context(), "BEGIN")
		if err == nil {
			_, err = conn.ExecContext(f.t.Context(), fmt.Sprintf("SELECT option_value FROM `%soptions` WHERE option_name = '%s' FOR UPDATE", f.Site(0).TablePrefix, option))
		}
		if held = err == nil; err != nil {
			f.t.Error(err)
		}
		return crashing.KillAfter()
	}, args...)
	if !held {
		f.t.Fatalf("%q never wrote %s", args, option)
	}
	f.until("the question waits", func() bool { return f.waiting(option) == 1 })
	recovery := f.command("--json", "recover")
	var said bytes.Buffer
	recovery.Stdout, recovery.Stderr = &said, &said
	f.must(recovery.Start())
	ended := make(chan error, 1)
	go func() { ended <- recovery.Wait() }()
	// It has to wait; one that did not would be done before the row is free.
	over := false
	f.until("recovery waits, too, or is done", func() bool {
		select {
		case err := <-ended:
			over = true
			ended <- err
		default:
		}
		return over || f.waiting(option) == 2
	})
	_, err = conn.ExecContext(f.t.Context(), "ROLLBACK")
	f.must(err)
	var exit *exec.ExitError
	if err := <-ended; err != nil && !errors.As(err, &exit) {
		f.t.Error(err)
	}
	f.until("all questions are answered", func() bool { return f.waiting(option) == 0 })
	if now := f.look(); before.site.Diff(now.site) != "" || strings.Contains(now.records, "verified") {
		f.t.Errorf("%q: the journal says %q, recovery said %s, and the site is not as found:\n%s", args, now.records, said.String(), before.site.Diff(now.site))
	}
}

// waiting counts the questions that are at work on an option.
func (f *faulty) waiting(option string) (n int) {
	f.t.Helper()
	f.must(f.DB().QueryRowContext(f.t.Context(), "SELECT COUNT(*) FROM information_schema.processlist WHERE command IN ('Query', 'Execute') AND info LIKE 'UPDATE %' AND info LIKE ?",
		"%'"+option+"'%").Scan(&n))
	return n
}

func (f *faulty) until(what string, ready func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ready(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// Where nothing can be written down wpmend only watches, and says why.
func TestNowhereToWrite(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 4})
	f := &faulty{stage: s}
	f.run("sites").exits(0)
	f.breakBy(lab.Blank200, lab.Slug(3))
	before := f.look()
	for _, try := range []struct {
		errno unix.Errno
		words string
		codes []int
		args  []string
	}{
		{unix.EROFS, "", []int{3}, []string{"check", f.domain()}},
		{unix.EROFS, "read-only file system", []int{1}, disableOne(f)},
		{unix.EROFS, "read-only file system", []int{1, 4}, []string{"bisect", f.domain(), "--fix"}},
		{unix.ENOSPC, "no space left on device", []int{1, 4}, heal(f)},
	} {
		r, _ := f.watch(func(c crashing.Call) crashing.Verdict {
			if strings.HasPrefix(c.Path, f.state) && c.Name != "unlink" {
				return crashing.Fail(try.errno)
			}
			return crashing.Pass()
		}, try.args...)
		if !slices.Contains(try.codes, r.code) || !strings.Contains(r.stdout+r.stderr, try.words) {
			t.Errorf("%v: want one of %d and %q: %s", try.errno, try.codes, try.words, r)
		}
		if d := before.site.Diff(f.snapshot()); d != "" {
			t.Errorf("%v: %q changed the site:\n%s", try.errno, try.args, d)
		}
		if try.codes[0] == 1 {
			t.Logf("%v: %s", try.errno, r)
		}
	}
	f.run("heal", f.domain()).exits(0)
}
