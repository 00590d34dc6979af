package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wpmend/packaging/lab"
)

// outside calls wpmend where there is no lab: on the command line alone.
func outside(t *testing.T, args ...string) result {
	t.Helper()
	return call(t, wpmend(args...))
}

// Every command says what it does, how it is called and what its exit status means.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := newRoot(&invocation{})
	for _, c := range commands(root) {
		if c.Short == "" || c.Long == "" {
			t.Errorf("%s: short %q, long %q; want both", c.CommandPath(), c.Short, c.Long)
		}
		if strings.ToLower(c.Short[:1]) != c.Short[:1] || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short %q is not like the others", c.CommandPath(), c.Short)
		}
		if !c.Runnable() {
			continue
		}
		r := outside(t, append(strings.Fields(c.CommandPath())[1:], "--help")...).exits(0)
		for _, want := range []string{c.Use, "Exit status:", "4  unhealthy and not fixed", "--config FILE", "--json"} {
			if !strings.Contains(r.stdout, want) {
				t.Errorf("%s --help does not say %q", c.CommandPath(), want)
			}
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		if r.stderr != "" {
			t.Errorf("%s --help writes to stderr: %s", c.CommandPath(), r.stderr)
		}
	}
	for _, word := range []string{"sites", "check", "bisect", "heal", "disable", "enable", "incidents", "recover", "run", "config", "version", "completion"} {
		if c, _, err := root.Find([]string{word}); word != "completion" && (err != nil || c == root) {
			t.Errorf("there is no command %q: %v", word, err)
		}
	}
	r := outside(t, "--help").exits(0)
	if !strings.Contains(r.stdout, "wpmend heal example.com") || !strings.Contains(r.stdout, "SITE is a domain, a root folder or an id") {
		t.Errorf("help: %s", r)
	}
}

// A wrong word is exit 2: for people two lines on stderr, for programs one object.
func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args    []string
		message string
		remedy  string
	}{
		{[]string{"chekc"}, `unknown command "chekc" for "wpmend"`, "wpmend --help"},
		{[]string{"heal"}, "wpmend heal needs SITE", "wpmend heal --help"},
		{[]string{"heal", "a", "b"}, `wpmend heal does not know what to do with "b"`, "wpmend heal --help"},
		{[]string{"check", "a", "b"}, `wpmend check does not know what to do with "b"`, "wpmend check --help"},
		{[]string{"disable", "a"}, "wpmend disable needs COMPONENT", "wpmend disable --help"},
		{[]string{"incidents", "show"}, "wpmend incidents show needs ID", "wpmend incidents show --help"},
		{[]string{"heal", "--frob", "a"}, "unknown flag: --frob", "wpmend heal --help"},
		{[]string{"--frob"}, "unknown flag: --frob", "wpmend --help"},
		{[]string{"bisect", "a", "--url"}, "flag needs an argument: --url", "wpmend bisect --help"},
		{[]string{"incidents", "--limit", "many"}, `invalid argument "many" for "--limit" flag`, "wpmend incidents --help"},
		{[]string{"bisect", "a", "--method", "guess"}, `--method "guess": choose auto, shadow or rename`, "wpmend bisect --help"},
		{[]string{"incidents", "shwo"}, `unknown command "shwo" for "wpmend incidents"`, "wpmend --help"},
		{[]string{"config", "chekc"}, `unknown command "chekc" for "wpmend config"`, "wpmend --help"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel()
			r := outside(t, c.args...).exits(2)
			if r.stdout != "" || !strings.HasPrefix(r.stderr, "wpmend: error: "+c.message) || !strings.Contains(r.stderr, "\nwpmend: hint:  "+c.remedy+"\n") {
				t.Errorf("want %q and the hint %q on stderr alone: %s", c.message, c.remedy, r)
			}
			for _, args := range [][]string{append([]string{"--json"}, c.args...), append(append([]string{}, c.args...), "--json")} {
				if args[len(args)-2] == "--url" {
					continue // there --json is the flag's value
				}
				var e errorJSON
				r := outside(t, args...).exits(2)
				r.into(&e)
				if e.Error.Kind != "usage" || !strings.HasPrefix(e.Error.Message, c.message) || e.Error.Remedy == nil || *e.Error.Remedy != c.remedy {
					t.Errorf("error %+v, want usage: %s (%s)", e.Error, c.message, c.remedy)
				}
				if r.stderr != "" {
					t.Errorf("with --json the error is on stderr, too: %s", r)
				}
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		says string // after the file's name; empty: it is valid
	}{
		"empty":        {"", ""},
		"valid":        {"only = [\"/srv/www\"]\nmode = \"observe\"\n[watch]\nevery = \"30s\"\n", ""},
		"unknown-key":  {"mode = \"heal\"\nmoed = \"heal\"\n", `:2: unknown key "moed": did you mean "mode"?`},
		"unknown-deep": {"[probe]\n\n  tiemout = \"3s\"\n", `:3: unknown key "probe.tiemout": did you mean "probe.timeout"?`},
		"bad-value":    {"\nmode = \"sleep\"\n", `:2: mode: "sleep" is neither "heal" nor "suggest" nor "observe"`},
		"bad-duration": {"[watch]\nevery = \"often\"\n", `:2: `},
		"out-of-range": {"[probe]\nverify = 0\n", `:2: probe.verify: 0 is not between 1 and 100`},
		"relative":     {"only = [\"www\"]\n", `:1: only: "www" must be an absolute folder`},
		"wrong-type":   {"[probe]\nverify = \"five\"\n", ":2: "},
		"no-toml":      {"mode = heal\n", ":1: "},
		"binary":       {"\x00\xff\xfe", ":1: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, name+".toml")
			if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			if c.says == "" {
				var v struct {
					File  string
					Valid bool
				}
				outside(t, "--json", "--config", file, "config", "check").exits(0).into(&v)
				if v.File != file || !v.Valid {
					t.Errorf("%+v, want %s valid", v, file)
				}
				outside(t, "--json", "--config", file, "config", "show").exits(0).into(&struct{}{})
				// What show prints is a configuration again.
				shown := outside(t, "--config", file, "config", "show").exits(0).stdout
				again := filepath.Join(dir, name+"-again.toml")
				if err := os.WriteFile(again, []byte(shown), 0o644); err != nil {
					t.Fatal(err)
				}
				if twice := outside(t, "--config", again, "config", "show").exits(0).stdout; twice != shown {
					t.Errorf("shown:\n%s\nand read again:\n%s", shown, twice)
				}
				return
			}
			for _, args := range [][]string{{"config", "check"}, {"config", "show"}, {"sites"}, {"run"}, {"heal", "example.com"}} {
				var e errorJSON
				outside(t, append([]string{"--json", "--config", file, "--state", filepath.Join(dir, "state")}, args...)...).exits(2).into(&e)
				if e.Error.Kind != "config" || !strings.HasPrefix(e.Error.Message, file+c.says) || e.Error.Remedy == nil {
					t.Errorf("%v: error %+v, want config: %s%s", args, e.Error, file, c.says)
				}
			}
			if r := outside(t, "--config", file, "config", "check").exits(2); r.stdout != "" || !strings.HasPrefix(r.stderr, "wpmend: error: "+file+c.says) {
				t.Errorf("%s", r)
			}
			if _, err := os.Lstat(filepath.Join(dir, "state")); err == nil {
				t.Error("a state folder was made although the configuration is wrong")
			}
			// The way back is open all the same: whoever removes the package needs it.
			for _, state := range []string{filepath.Join(dir, "state"), t.TempDir()} {
				for _, command := range []string{"changes", "recover"} {
					var v struct{ Notes []string }
					outside(t, "--json", "--config", file, "--state", state, command).exits(0).into(&v)
					if (len(v.Notes) == 1) != (state != filepath.Join(dir, "state")) || len(v.Notes) > 0 && !strings.Contains(v.Notes[0], file+c.says) {
						t.Errorf("%s with state %s: notes %q", command, state, v.Notes)
					}
				}
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		var e errorJSON
		outside(t, "--json", "--config", filepath.Join(dir, "nowhere.toml"), "config", "check").exits(2).into(&e)
		if e.Error.Kind != "config" || !strings.Contains(e.Error.Message, "nowhere.toml") {
			t.Errorf("error %+v", e.Error)
		}
	})
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var v map[string]string
	outside(t, "version", "--json").exits(0).into(&v)
	if v["version"] != version || !strings.HasPrefix(v["go"], "go1.") {
		t.Errorf("version %v, want %s", v, version)
	}
	if r := outside(t, "version").exits(0); !strings.HasPrefix(r.stdout, "wpmend "+version+" (go1.") {
		t.Errorf("%s", r)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, mark := range map[string]string{"bash": "__start_wpmend", "zsh": "#compdef wpmend", "fish": "complete -c wpmend"} {
		if r := outside(t, "completion", shell).exits(0); !strings.Contains(r.stdout, mark) {
			t.Errorf("completion %s does not hold %q", shell, mark)
		}
	}
	if r := outside(t, "__complete", "").exits(0); !strings.Contains(r.stdout, "heal\t") {
		t.Errorf("no word is completed: %s", r)
	}
}

// Without root nothing is read or made; the words say what to do.
func TestNotRoot(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"sites"}, {"check"}, {"heal", "example.com"}, {"incidents"}, {"recover"}, {"run"}} {
		cmd := wpmend(append([]string{"--json", "--state", filepath.Join(t.TempDir(), "state")}, args...)...)
		cmd.Env = append(os.Environ(), asWpmend+"=nobody")
		var e errorJSON
		call(t, cmd).exits(1).into(&e)
		if e.Error.Kind != "not-permitted" || e.Error.Message != "wpmend must run as root" || e.Error.Remedy == nil || *e.Error.Remedy != "sudo wpmend …" {
			t.Errorf("%v: error %+v", args, e.Error)
		}
	}
}

// A state folder that others could exchange is refused before anything happens.
func TestStateRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{open, file, filepath.Join(file, "below")} {
		var e errorJSON
		outside(t, "--json", "--only", dir, "--state", state, "recover").exits(1).into(&e)
		if !strings.Contains(e.Error.Message, state) && !strings.Contains(e.Error.Message, file) {
			t.Errorf("state %s: message %q does not name it", state, e.Error.Message)
		}
	}
}

// A site that is not there, an incident that is not there, and a check of all.
func TestWordsForSites(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 2})
	for _, name := range []string{"nobody.example", "", "/", s.Site(0).Root + "-not", "../..", "-", "shop.lab.test.evil"} {
		for _, command := range []string{"check", "bisect", "heal"} {
			e := s.fails(2, "not-found", command, "--", name)
			if e.Error.Remedy == nil || *e.Error.Remedy != "wpmend sites" {
				t.Errorf("%s %q: remedy %v, want wpmend sites", command, name, e.Error.Remedy)
			}
		}
	}
	var sites sitesJSON
	s.json("sites").exits(0).into(&sites)
	for _, name := range []string{s.domain(), "www." + s.domain(), s.Site(0).Root, s.Site(0).Root + "/", sites.Sites[0].ID, sites.Sites[0].ID[:4]} {
		var c checkJSON
		s.json("check", name).exits(0).into(&c)
		if c.Site != sites.Sites[0].siteJSON || !c.Healthy {
			t.Errorf("check %s: %+v", name, c)
		}
	}
	var all checkAllJSON
	s.json("check").exits(0).into(&all)
	if len(all.Sites) != 1 || all.Sites[0].Site.Domain != s.domain() || all.Sites[0].Outcome != "healthy" {
		t.Errorf("check of all: %+v", all)
	}
	s.fails(2, "usage", "check", s.domain(), "--url", "http://elsewhere.example/")

	var list incidentsJSON
	s.json("incidents").exits(0).into(&list)
	if len(list.Incidents) != 0 {
		t.Errorf("incidents %+v, want none", list.Incidents)
	}
	for _, id := range []string{"01KB", "../../etc/passwd", ""} {
		for _, word := range []string{"show", "undo"} {
			r := s.json("incidents", word, id)
			var e errorJSON
			r.into(&e)
			if r.code != 1 && r.code != 2 || e.Error.Message == "" {
				t.Errorf("incidents %s %q: %s", word, id, r)
			}
		}
	}
	var left recoverJSON
	s.json("recover").exits(0).into(&left)
	if !left.Clean || len(left.Changes) != 0 {
		t.Errorf("recover %+v, want nothing", left)
	}
}
