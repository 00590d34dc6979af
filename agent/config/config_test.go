package config

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := Parse("x.toml", "only = [\"/srv/a\"]\n[watch]\nevery = \"3s\"\n[[fpm]]\nconfig = \"/etc/fpm.conf\"\nargs = [\"-c\", \"/etc/php.ini\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	if time.Duration(c.Watch.Every) != 3*time.Second || c.Watch.Incidents != Default().Watch.Incidents || c.FPM[0].Args[1] != "/etc/php.ini" {
		t.Errorf("got %+v", c)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"onli = []\n", `x.toml:1: unknown key "onli"`},
		{"# a\n[watch]\nevry = \"1s\"\n", `x.toml:3: unknown key "watch.evry"`},
		{"only = [\"srv\"]\n", `x.toml:1: only: "srv" must be an absolute folder`},
		{"\nmode = \"maybe\"\n", `x.toml:2: mode: "maybe" is neither "heal" nor "suggest" nor "observe"`},
		{"[watch]\nevery = \"1ms\"\n", `x.toml:2: every: 1ms is not between 1s and 24h0m0s`},
		{"[probe]\nverify = 0\n", `x.toml:2: verify: 0 is not between 1 and 100`},
		{"[[fpm]]\nconfig = \"a\"\n", `x.toml:2: fpm.config: "a" must be an absolute path`},
		{"only = [\n", `x.toml:1: unexpected EOF; expected value`},
		{"[watch]\nevery = \"soon\"\n", `x.toml:2: "soon" is not a duration such as "10s" or "5m"`},
		{"[probe]\nverify = \"five\"\n", `x.toml:2: incompatible types: TOML value has type string; destination has type integer`},
	} {
		_, err := Parse("x.toml", tc.text)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%q:\n got %v\nwant %s", tc.text, err, tc.want)
		}
	}
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

func TestIncludes(t *testing.T) {
	t.Parallel()
	c := Config{Only: []string{"/srv/a/", "/srv/b"}}
	for root, want := range map[string]bool{"/srv/a": true, "/srv/a/x": true, "/srv/ab": false, "/srv/b": true, "/": false} {
		if c.Includes(root) != want {
			t.Errorf("Includes(%q) = %v", root, !want)
		}
	}
	if !Default().Includes("/anything") {
		t.Error("no list means every site")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("only = [\"/a\"]\n[watch]\nevery = \"1s\"")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f", text)
		if err == nil {
			if _, msg := c.fault(); msg != "" {
				t.Errorf("accepted with a fault: %s", msg)
			}
		}
	})
}
