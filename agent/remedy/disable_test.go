package remedy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/packaging/lab"
)

// Every kind of component of real sites goes off and comes back exactly, whatever
// wp-admin does to the lists meanwhile.
func TestEveryKind(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Layouts: []lab.Layout{lab.Plain, lab.Symlinked, lab.Bedrock}, Networks: []string{lab.Subfolders},
		Plugins: 3, SinglePlugins: 1, MUPlugins: 2, NetworkPlugins: 2, BlogPlugins: 1, ChildTheme: true})
	all := stages(t, l)
	network := all[0]
	for _, c := range []struct {
		id      string
		name    string
		option  string // the list that names it
		file    string
		renamed string // below wp-content
	}{
		{"plugin:plugin-01", "plugin-01", "active_plugins", "plugin-01/plugin-01.php", "plugins/.plugin-01.off-by-wpmend"},
		{"plugin:single-01.php", "single-01.php", "active_plugins", "single-01.php", "plugins/.single-01.php.off-by-wpmend/single-01.php"},
		{"plugin:network-01", "network-01", "network:active_sitewide_plugins", "network-01/network-01.php", "plugins/.network-01.off-by-wpmend"},
		{"plugin:blog-01", "blog-01", "blog-2:active_plugins", "blog-01/blog-01.php", "plugins/.blog-01.off-by-wpmend"},
		{"mu-plugin:must-01.php", "must-01.php", "", "", "mu-plugins/.must-01.php.off-by-wpmend/must-01.php"},
	} {
		t.Run(c.id, func(t *testing.T) {
			s := network
			s.T = t
			before := s.snapshot()
			if !loaded(s.pages(), c.name) {
				t.Fatalf("%s is not loaded", c.name)
			}
			change, err := remedy.Disable(s.site, s.read(), []string{c.id}, "", "test")
			change = s.do(change, err, c.name)
			if _, err := os.Stat(filepath.Join(s.staged.Content, c.renamed)); err != nil {
				t.Error(err)
			}
			if got := s.standing(change); got != remedy.Off {
				t.Errorf("it is %s", got)
			}
			*s.forgot = nil
			if c.option != "" {
				s.admin(c.option, c.file)
			}
			s.back(change, before, c.name)
			if c.option != "" && !slices.Equal(*s.forgot, []string{c.option}) {
				t.Errorf("the cache was told of %q", *s.forgot)
			}
			if c.option == "" {
				return
			}
			// The same without renaming.
			change, err = remedy.Deactivate(s.site, s.read(), []string{c.id}, "", "test")
			change = s.do(change, err, c.name)
			if got := s.standing(change); got != remedy.Off {
				t.Errorf("deactivated, it is %s", got)
			}
			now := s.snapshot()
			now.Options = before.Options
			if d := before.Diff(now); d != "" {
				t.Errorf("more than an option changed:\n%s", d)
			}
			s.back(change, before, c.name)
		})
	}
	t.Run("drop-in with its plugin", func(t *testing.T) { s := network; s.T = t; dropIn(s) })
	t.Run("loader with its plugin", func(t *testing.T) { s := network; s.T = t; loader(s) })
	t.Run("themes", func(t *testing.T) { s := network; s.T = t; themes(s) })
	t.Run("a linked plugin", func(t *testing.T) { s := all[1]; s.T = t; linked(s) })
	t.Run("Bedrock", func(t *testing.T) { s := all[2]; s.T = t; mustUseFolder(s) })
	t.Run("prepend", func(t *testing.T) { s := network; s.T = t; prepended(s) })
}

// own gives a new file to the site's user.
func (s stage) own(name string) {
	s.Helper()
	s.must(os.Chown(name, int(s.site.Owner), int(s.site.Group)))
}

func renames(c journal.Change) (from []string) {
	for _, step := range c.Steps {
		if step.Kind == journal.Rename {
			from = append(from, strings.TrimPrefix(step.From, "wp-content/"))
		}
	}
	return from
}

// dropIn: whichever of the two is at fault, both go, and the drop-in first.
func dropIn(s stage) {
	s.must(s.lab.Install(s.index, lab.KindDropIn, "db.php"))
	file := filepath.Join(s.staged.Content, "db.php")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	s.must(err)
	_, err = f.WriteString("\nrequire_once WP_CONTENT_DIR . '/plugins/plugin-02/plugin-02.php';\n")
	s.must(err)
	s.must(f.Close())
	defer os.Remove(file)
	before := s.snapshot()
	for _, id := range []string{"plugin:plugin-02", "drop-in:db.php"} {
		change, err := remedy.Disable(s.site, s.read(), []string{id}, "", "test")
		if got := renames(change); err == nil && !slices.Equal(got, []string{"db.php", "plugins/plugin-02"}) {
			s.Errorf("%s renames %q", id, got)
		}
		s.back(s.do(change, err, "plugin-02", "db"), before, "plugin-02", "db")
	}
	change, err := remedy.Deactivate(s.site, s.read(), []string{"plugin:plugin-02"}, "", "test")
	if got := renames(change); err == nil && !slices.Equal(got, []string{"db.php"}) {
		s.Errorf("deactivating renames %q", got)
	}
	s.back(s.do(change, err, "plugin-02", "db"), before, "plugin-02", "db")
	// For a question of a search one moves alone.
	away, err := remedy.Away(s.site, s.read(), []string{"drop-in:db.php"}, "test")
	if got := renames(away); err != nil || !slices.Equal(got, []string{"db.php"}) {
		s.Errorf("a question renames %q, %v", got, err)
	}
}

// loader: a must-use plugin that would end every request without its plugin.
func loader(s stage) {
	file := filepath.Join(s.staged.Content, "mu-plugins", "firewall-loader.php")
	s.must(os.WriteFile(file, []byte("<?php\n/* Plugin Name: Firewall Loader */\nrequire_once WP_PLUGIN_DIR . '/plugin-03/plugin-03.php';\n"), 0o644))
	s.own(file)
	defer os.Remove(file)
	before := s.snapshot()
	change, err := remedy.Disable(s.site, s.read(), []string{"plugin:plugin-03"}, "", "test")
	if got := renames(change); err == nil && !slices.Equal(got, []string{"mu-plugins/firewall-loader.php", "plugins/plugin-03"}) {
		s.Errorf("it renames %q", got)
	}
	s.back(s.do(change, err, "plugin-03"), before, "plugin-03")
}

// themes: each blog gets its own fallback, and its own theme back.
func themes(s stage) {
	before := s.snapshot()
	change, err := remedy.Disable(s.site, s.read(), []string{"theme:lab-child"}, "", "test")
	change = s.do(change, err)
	for option, was := range map[string]string{"template": "twentytwentythree", "stylesheet": "lab-child", "blog-2:stylesheet": "lab-child"} {
		if now := s.snapshot().Options[option]; before.Options[option] != was || now != "twentytwentythree" {
			s.Errorf("%s was %s and is %s", option, before.Options[option], now)
		}
	}
	if got := s.standing(change); got != remedy.Off {
		s.Errorf("it is %s", got)
	}
	s.back(change, before)

	// Now only blog 2 shows it.
	s.must(s.lab.Install(s.index, lab.KindTheme, "plain"))
	before = s.snapshot()
	change, err = remedy.Disable(s.site, s.read(), []string{"theme:lab-child"}, "", "test")
	change = s.do(change, err)
	now := s.snapshot()
	if now.Options["stylesheet"] != "plain" || now.Options["blog-2:stylesheet"] != "twentytwentythree" {
		s.Errorf("blog 1 shows %s, blog 2 %s", now.Options["stylesheet"], now.Options["blog-2:stylesheet"])
	}
	s.back(change, before)
	if _, err := remedy.Disable(s.site, s.read(), []string{"theme:twentytwentytwo"}, "", "test"); err == nil {
		s.Error("a theme that nobody shows was switched off")
	}
}

// linked: a plugin that is a link to somewhere else goes off at its link alone.
func linked(s stage) {
	before := s.snapshot()
	change, err := remedy.Disable(s.site, s.read(), []string{"plugin:" + lab.LinkedPlugin}, "", "test")
	change = s.do(change, err, lab.LinkedPlugin)
	if got := s.standing(change); got != remedy.Off {
		s.Errorf("it is %s", got)
	}
	s.back(change, before, lab.LinkedPlugin)
}

// mustUseFolder: behind Bedrock's loader.
func mustUseFolder(s stage) {
	before := s.snapshot()
	change, err := remedy.Disable(s.site, s.read(), []string{"mu-plugin:must-02"}, "", "test")
	if got := renames(change); err == nil && !slices.Equal(got, []string{"app/mu-plugins/must-02"}) {
		s.Errorf("it renames %q", got)
	}
	s.back(s.do(change, err, "must-02"), before, "must-02")
}

// prepended: what PHP itself loads first is never left dangling.
func prepended(s stage) {
	ini := filepath.Join(s.staged.Root, ".user.ini")
	s.must(os.WriteFile(ini, []byte("auto_prepend_file = '"+s.staged.Content+"/plugins/plugin-01/waf.php'\n"), 0o644))
	s.own(ini)
	defer os.Remove(ini)
	before := s.snapshot()
	for _, id := range []string{"plugin:plugin-01", "prepend:waf.php"} {
		_, err := remedy.Disable(s.site, s.read(), []string{id}, "", "test")
		if err == nil || !strings.Contains(err.Error(), ".user.ini") {
			s.Errorf("%s: error %v", id, err)
		}
	}
	if d := before.Diff(s.snapshot()); d != "" {
		s.Error(d)
	}
}
