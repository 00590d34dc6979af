package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// files writes a configuration: names below a folder of its own.
func files(t *testing.T, texts map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range texts {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadMissing(t *testing.T) {
	t.Parallel()
	if _, err := Load(filepath.Join(t.TempDir(), "none.toml")); err == nil {
		t.Error("a named file that is missing must be an error")
	}
	if _, err := os.Stat(DefaultFile); os.IsNotExist(err) {
		if _, err := Load(DefaultFile); err != nil {
			t.Errorf("the default file may be missing: %v", err)
		}
	}
}

// The files in conf.d are read in the order of their names, each over those before; lists replace, sections add up.
func TestLoadMerges(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"wpmend.toml":         "only = [\"/srv/a\", \"/srv/b\"]\n[watch]\nevery = \"20s\"\nincidents = 3\n[[fpm]]\nconfig = \"/a\"\nargs = [\"-x\"]\n[[fpm]]\nconfig = \"/b\"\n[[site]]\nmatch = \"a.example\"\nmode = \"observe\"\nprobe.verify = 7\n",
		"conf.d/20-b.toml":    "only = [\"/srv/c\"]\n[watch]\nevery = \"40s\"\n[[fpm]]\nconfig = \"/c\"\n[[site]]\nmatch = \"a.example\"\nmode = \"suggest\"\n",
		"conf.d/10-a.toml":    "[watch]\nevery = \"30s\"\ndiscover = \"2m\"\n",
		"conf.d/.hidden.toml": "nonsense",
		"conf.d/old.toml~":    "nonsense",
	})
	main, last := filepath.Join(dir, "wpmend.toml"), filepath.Join(dir, "conf.d/20-b.toml")
	c, err := Load(main)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Only) != 1 || c.Only[0] != "/srv/c" || len(c.FPM) != 1 || c.FPM[0].Config != "/c" || len(c.FPM[0].Args) != 0 || len(c.Files) != 3 {
		t.Errorf("%+v", c)
	}
	want := map[string]string{"only": last + ":1", "watch.every": last + ":3", "watch.discover": filepath.Join(dir, "conf.d/10-a.toml") + ":3",
		"watch.incidents": main + ":4", "mode": "built-in"}
	for _, k := range c.Keys() {
		if from, asked := want[k.Name]; asked && k.Origin.String() != from {
			t.Errorf("%s is from %s, want %s", k.Name, k.Origin, from)
		}
	}
	one := c.For("/srv/x", "a.example", "alice")
	if one.Mode != Suggest || one.Probe.Verify != 7 || len(one.Sites) != 0 || c.Mode != Heal {
		t.Errorf("mode %q, verify %d, sections %v", one.Mode, one.Probe.Verify, one.Sites)
	}
	if c := c.Confined("--only", []string{"/z"}); c.Only[0] != "/z" || c.Keys()[0].Origin.String() != "--only" {
		t.Errorf("%v", c.Keys()[0])
	}
}

// A fault in any of the files is named with that file.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal("this test must run as root")
	}
	const nobody = 65534
	for name, tc := range map[string]struct {
		do     func(dir string) error
		file   string // that is named
		says   string
		remedy string
	}{
		"a fault in conf.d": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "conf.d/a.toml"), []byte("\nmoed = 1"), 0o644)
		}, "conf.d/a.toml:2", `unknown key "moed": did you mean "mode"?`, ""},
		"another's file":   {func(dir string) error { return os.Chown(filepath.Join(dir, "wpmend.toml"), nobody, 0) }, "wpmend.toml", "belongs to uid 65534, who could make wpmend do anything", "chown root:root '"},
		"another's conf.d": {func(dir string) error { return os.Chown(filepath.Join(dir, "conf.d"), nobody, 0) }, "conf.d", "belongs to uid 65534, who could make wpmend do anything", "keep the configuration in"},
		"another's empty conf.d": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "conf.d/a.toml")), os.Chown(filepath.Join(dir, "conf.d"), nobody, 0))
		}, "conf.d", "belongs to uid 65534, who could make wpmend do anything", "keep the configuration in"},
		"for all to write": {func(dir string) error { return os.Chmod(filepath.Join(dir, "conf.d/a.toml"), 0o666) }, "conf.d/a.toml", "others may write it (mode 0666), who could make wpmend do anything", "chmod go-w '"},
		"folder for all":   {func(dir string) error { return os.Chmod(dir, 0o777) }, "", "others may write it (mode 0777), who could make wpmend do anything", "keep the configuration in"},
		"for a group": {func(dir string) error {
			return errors.Join(os.Chown(filepath.Join(dir, "wpmend.toml"), 0, nobody), os.Chmod(filepath.Join(dir, "wpmend.toml"), 0o664))
		}, "wpmend.toml", "others may write it (mode 0664), who could make wpmend do anything", "chmod go-w '"},
		"a link to another's": {func(dir string) error {
			theirs := filepath.Join(t.TempDir(), "x.toml")
			return errors.Join(os.WriteFile(theirs, nil, 0o644), os.Chown(theirs, nobody, nobody), os.Symlink(theirs, filepath.Join(dir, "conf.d/b.toml")))
		}, "conf.d/b.toml", "belongs to uid 65534, who could make wpmend do anything", "chown root:root '"},
		"a link to nowhere":  {func(dir string) error { return os.Symlink("nowhere", filepath.Join(dir, "conf.d/b.toml")) }, "conf.d/b.toml", "cannot read: no such file or directory", ""},
		"a FIFO":             {func(dir string) error { return syscall.Mkfifo(filepath.Join(dir, "conf.d/b.toml"), 0o644) }, "conf.d/b.toml", "is not a regular file", ""},
		"a folder":           {func(dir string) error { return os.Mkdir(filepath.Join(dir, "conf.d/b.toml"), 0o755) }, "conf.d/b.toml", "is not a regular file", ""},
		"a huge sparse file": {func(dir string) error { return os.Truncate(filepath.Join(dir, "conf.d/a.toml"), 1<<40) }, "conf.d/a.toml", "is larger than 1 MiB: that is no configuration", ""},
		"too much in all": {func(dir string) error {
			var err error
			for _, c := range "abcdefghi" {
				err = errors.Join(err, os.WriteFile(filepath.Join(dir, "conf.d", string(c)+".toml"), []byte("#"+strings.Repeat("x", 1<<20-2)+"\n"), 0o644))
			}
			return err
		}, "conf.d/i.toml", "with this file the configuration is larger than 8 MiB", ""},
		"conf.d is a file": {func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "conf.d")), os.WriteFile(filepath.Join(dir, "conf.d"), nil, 0o644))
		}, "conf.d", "cannot read: not a directory", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, map[string]string{"wpmend.toml": "", "conf.d/a.toml": ""})
			if err := tc.do(dir); err != nil {
				t.Fatal(err)
			}
			_, err := Load(filepath.Join(dir, "wpmend.toml"))
			var fault *Error
			if want := filepath.Join(dir, tc.file) + ": " + tc.says; !errors.As(err, &fault) || err.Error() != want || !strings.HasPrefix(fault.Remedy, tc.remedy) {
				t.Errorf("got  %v\nwant %s\nremedy %q", err, want, fault.Remedy)
			}
		})
	}
}

// Links are followed where root alone could have made them.
func TestLoadFollowsLinks(t *testing.T) {
	t.Parallel()
	real := files(t, map[string]string{"elsewhere.toml": "mode = \"observe\"\n"})
	dir := files(t, map[string]string{"conf.d/a.toml": ""})
	if err := os.Symlink(filepath.Join(real, "elsewhere.toml"), filepath.Join(dir, "wpmend.toml")); err != nil {
		t.Fatal(err)
	}
	c, err := Load(filepath.Join(dir, "wpmend.toml"))
	if err != nil || c.Mode != Observe {
		t.Errorf("%q, %v", c.Mode, err)
	}
}

// Whoever could exchange a part of the way to the file could exchange the file.
func TestLoadDistrustsTheWay(t *testing.T) {
	t.Parallel()
	const nobody = 65534
	for name, tc := range map[string]struct {
		do    func(dir string) error
		load  string
		fault string // the file that is named, "" where it is loaded
		says  string
	}{
		"a folder above for all":      {func(dir string) error { return os.Chmod(dir, 0o777) }, "a/b/wpmend.toml", "", "others may write it (mode 0777)"},
		"a folder above is another's": {func(dir string) error { return os.Chown(filepath.Join(dir, "a"), nobody, 0) }, "a/b/wpmend.toml", "a", "belongs to uid 65534"},
		"a folder above is sticky":    {func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, "a/b/wpmend.toml", "none", ""},
		"another's link": {func(dir string) error {
			return errors.Join(os.Symlink("a", filepath.Join(dir, "link")), os.Lchown(filepath.Join(dir, "link"), nobody, nobody))
		}, "link/b/wpmend.toml", "link", "belongs to uid 65534"},
		"a link through another's folder": {func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "theirs"), 0o755), os.Symlink("../a", filepath.Join(dir, "theirs/on")),
				os.Chown(filepath.Join(dir, "theirs"), nobody, 0), os.Symlink("theirs/on", filepath.Join(dir, "link")))
		}, "link/b/wpmend.toml", "theirs", "belongs to uid 65534"},
		"back from behind a link": {func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "theirs"), 0o755), os.Mkdir(filepath.Join(dir, "theirs/in"), 0o755), os.WriteFile(filepath.Join(dir, "theirs/wpmend.toml"), nil, 0o644),
				os.Chown(filepath.Join(dir, "theirs"), nobody, 0), os.Symlink("theirs/in", filepath.Join(dir, "link")))
		}, "link/../wpmend.toml", "theirs", "belongs to uid 65534"},
		"links of root's": {func(dir string) error {
			return errors.Join(os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "one")), os.Symlink("./one/../one//b", filepath.Join(dir, "two")))
		}, "two/./wpmend.toml", "none", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, map[string]string{"a/b/wpmend.toml": "mode = \"observe\"\n"})
			if err := tc.do(dir); err != nil {
				t.Fatal(err)
			}
			c, err := Load(dir + "/" + tc.load)
			if tc.fault == "none" {
				if err != nil || c.Mode != Observe {
					t.Errorf("%q, %v", c.Mode, err)
				}
				return
			}
			if want := filepath.Join(dir, tc.fault) + ": " + tc.says; err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}
