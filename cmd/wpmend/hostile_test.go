package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"wpmend/packaging/lab"
)

// wp-config.php writes down as whom it runs: as the pool's user, never as root,
// whatever wpmend is told to do.
func TestConfigNeverRunsAsRoot(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30})
	record := filepath.Join(s.Dir, "uids")
	s.write(record, "")
	s.must(os.Chmod(record, 0o666))
	path := filepath.Join(s.Site(0).Root, "wp-config.php")
	text, err := os.ReadFile(path)
	s.must(err)
	spy := fmt.Sprintf("<?php\nfile_put_contents( '%s', posix_geteuid() . ' ' . php_sapi_name() . \"\\n\", FILE_APPEND );\n", record)
	s.write(path, strings.Replace(string(text), "<?php\n", spy, 1))
	info, err := os.Lstat(path)
	s.must(err)
	owner, _ := owners(info)

	site := s.domain()
	count := func() int {
		text, err := os.ReadFile(record)
		s.must(err)
		return strings.Count(string(text), "\n")
	}
	s.page()
	if count() == 0 {
		t.Fatal("wp-config.php writes nothing, so the test shows nothing")
	}
	s.breakBy(lab.Segfault, culpritSlug)
	for _, c := range []struct {
		code int
		args []string
		runs bool // PHP has to run for it
	}{
		{0, []string{"sites"}, false},
		{3, []string{"check", site}, true},
		{3, []string{"check"}, true},
		{3, []string{"bisect", site}, true},
		{3, []string{"bisect", site, "--method", "rename"}, true},
		{0, []string{"heal", site}, true},
		{0, []string{"enable", site, culpritID}, false},
		{0, []string{"disable", site, culpritID}, false},
		{0, []string{"incidents"}, false},
		{0, []string{"recover"}, false},
	} {
		ran := count()
		s.json(c.args...).exits(c.code)
		if more := count() - ran; (more > 0) != c.runs {
			t.Errorf("%v ran wp-config.php %d times, want some: %v", c.args, more, c.runs)
		}
	}
	all, err := os.ReadFile(record)
	s.must(err)
	seen := map[string]int{}
	for line := range strings.Lines(string(all)) {
		seen[strings.TrimSpace(line)]++
	}
	t.Logf("wp-config.php ran as %v", seen)
	if want := strconv.Itoa(owner) + " fpm-fcgi"; len(seen) != 1 || seen[want] == 0 {
		t.Errorf("wp-config.php ran as %v, want %q alone", seen, want)
	}
}

// tree describes everything below a folder: names, owners, modes, dates, contents.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%s %s %d:%d inode %d %s", path, info.Mode(), st.Uid, st.Gid, st.Ino, info.ModTime())
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", text)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// chown gives a folder and all in it to a user.
func (s *stage) chown(dir string, uid, gid int) {
	s.t.Helper()
	s.must(filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	}))
}

// plugins/ is replaced by a link to a folder of root's: nothing behind it changes.
func TestLinkedPluginsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		linkOf int // who made the link: the site's user, or root
	}{
		{"by the site's user", 33},
		{"by root", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 6})
			slug := lab.Slug(4)
			s.breakBy(lab.Fatal, slug)
			plugins := filepath.Join(s.Site(0).Root, "wp-content/plugins")
			outside := filepath.Join(s.Dir, "roots-own")
			s.must(os.Rename(plugins, outside))
			s.chown(outside, 0, 0)
			s.must(os.Symlink(outside, plugins))
			s.must(os.Lchown(plugins, c.linkOf, c.linkOf))
			if status, _ := s.page(); status != 500 {
				t.Fatalf("the front answers %d, want 500 through the link too", status)
			}
			before, behind := s.active(), tree(t, outside)

			for _, args := range [][]string{
				{"disable", s.domain(), "plugin:" + slug}, {"heal", s.domain()},
				{"bisect", s.domain(), "--fix"}, {"bisect", s.domain(), "--method", "rename"},
			} {
				r := s.json(args...)
				if r.code != 1 && r.code != 4 {
					t.Errorf("want exit 1 or 4: %s", r)
				}
				// What it says, wherever it says it: an error, an advice, a note.
				if !strings.Contains(r.stdout, "link") || !strings.Contains(r.stdout, "plugins") {
					t.Errorf("want it to say that plugins is a link: %s", r)
				}
				if is := tree(t, outside); is != behind {
					t.Fatalf("%v changed what lies behind the link:\n was %s\n is  %s", args, behind, is)
				}
			}
			if target, err := os.Readlink(plugins); err != nil || target != outside {
				t.Errorf("the link leads to %q, %v; want %s", target, err, outside)
			}
			if s.active() != before {
				t.Errorf("active_plugins\n is  %s\n was %s", s.active(), before)
			}
			s.json("recover").exits(0)
			if is := tree(t, outside); is != behind {
				t.Errorf("recover changed what lies behind the link:\n was %s\n is  %s", behind, is)
			}
		})
	}
}

// A plugin's folder that is exchanged for a link between two commands is not followed.
func TestLinkedPlugin(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 4})
	slug := lab.Slug(2)
	folder := filepath.Join(s.Site(0).Root, "wp-content/plugins", slug)
	outside := filepath.Join(s.Dir, "roots-own")
	s.must(os.Rename(folder, outside))
	s.chown(outside, 0, 0)
	s.must(os.Symlink(outside, folder))
	s.must(os.Lchown(folder, 33, 33))
	behind := tree(t, outside)
	r := s.json("disable", s.domain(), "plugin:"+slug)
	if is := tree(t, outside); is != behind {
		t.Errorf("what lies behind the link changed:\n was %s\n is  %s", behind, is)
	}
	if r.code == 0 {
		// At the link itself: the link is renamed, and comes back.
		s.wantPlugins(4, slug)
		s.json("enable", s.domain(), "plugin:"+slug).exits(0)
		if target, err := os.Readlink(folder); err != nil || target != outside {
			t.Errorf("the link leads to %q, %v; want %s", target, err, outside)
		}
		s.wantPlugins(4)
	}
}

// Text in a log, however well forged, switches off no innocent plugin: evidence
// orders, probes convict.
func TestForgedEvidence(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30})
	innocent := lab.Slug(3)
	// Every request says, in PHP's own words, that an innocent plugin is to blame; the culprit dies without a word.
	code := fmt.Sprintf(`error_log( "PHP Fatal error:  Uncaught Error: Call to undefined function x() in %[1]s/wp-content/plugins/%[2]s/%[2]s.php:21\nStack trace:\n#0 {main}\n  thrown in %[1]s/wp-content/plugins/%[2]s/%[2]s.php on line 21" );
exit;`, s.Site(0).Root, innocent)
	var files []string
	for n := 1; n <= 30; n++ {
		files = append(files, file(n))
	}
	s.install(map[string]string{"forger": code}, pluginList(append(slices.Clone(files), "forger/forger.php")...))
	before := s.snapshot()
	var check checkJSON
	s.json("check", s.domain()).exits(3).into(&check)
	if !slices.ContainsFunc(check.Causes, func(c causeJSON) bool { return c.Component == "plugin:"+innocent }) {
		t.Fatalf("the forged text deceives nobody, so the test shows nothing: %+v", check.Causes)
	}
	h, _ := s.heal(0)
	if len(h.Culprits) != 1 || h.Culprits[0].Component != "plugin:forger" {
		t.Errorf("culprits %+v, want plugin:forger", h.Culprits)
	}
	t.Logf("%d probes", h.Probes)
	s.wantSnapshot(without(before, "forger"))
	s.wantPlugins(30)
}

// Names, versions and messages of a hostile site reach the terminal as plain text.
func TestHostileText(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	s.install(map[string]string{"evil": "/* Version: \x1b[2J\x07\xe2\x80\xaereversed */\nthrow new Exception( \"\\x1b]0;owned\\x07 \\x1b[31m\\r\\nwpmend: all is well\" );"},
		pluginList(file(1), file(2), file(3), "evil/evil.php"))
	for _, args := range [][]string{{"check", s.domain()}, {"bisect", s.domain()}, {"heal", s.domain()}, {"incidents"}} {
		r := s.run(args...)
		if r.code == 1 || r.code == 2 {
			t.Errorf("%s", r)
		}
		for name, text := range map[string]string{"stdout": r.stdout, "stderr": r.stderr} {
			if i := strings.IndexFunc(text, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f || c == '\u202e' }); i >= 0 {
				t.Errorf("%v: control character %q on %s: %q", args, text[i], name, text)
			}
			if strings.Contains(text, "\nwpmend: all is well") {
				t.Errorf("%v: the site's text begins a line of its own on %s: %q", args, name, text)
			}
		}
	}
}

// Single files and folders with hostile names are plugins like others.
func TestHealSingleFile(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 4})
	plugins := filepath.Join(s.Site(0).Root, "wp-content/plugins")
	name := "hello dolly's.php"
	path := filepath.Join(plugins, name)
	const secret = "nobody may read this"
	s.write(path, "<?php\n/**\n * Plugin Name: Single file\n * Version: 3.1\n */\n// "+secret+"\nadd_action( 'init', function () { posix_kill( getmypid(), 9 ); } );\n")
	s.must(os.Lchown(path, 33, 33))
	s.setActive(pluginList(file(1), file(2), name, file(3), file(4)))
	before := s.snapshot()
	h, _ := s.heal(0)
	if len(h.Culprits) != 1 || h.Culprits[0].Component != "plugin:"+name || h.Culprits[0].Version != "3.1" {
		t.Errorf("culprits %+v, want plugin:%s", h.Culprits, name)
	}
	s.wantPlugins(4)
	// It keeps a name that the gateway hands to PHP: its source is never served.
	hidden := "." + name + ".off-by-wpmend/" + name
	if _, err := os.Lstat(filepath.Join(plugins, hidden)); err != nil {
		t.Error(err)
	}
	_, body, err := s.Get("/wp-content/plugins/" + strings.ReplaceAll(hidden, " ", "%20"))
	s.must(err)
	if strings.Contains(body, secret) {
		t.Errorf("the source of a renamed file is served: %s", body)
	}
	s.json("incidents", "undo", h.Incident).exits(0)
	s.wantSnapshot(before)
}
