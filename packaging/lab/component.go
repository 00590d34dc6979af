package lab

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Kind is a kind of component: what WordPress loads by itself.
type Kind string

// The kinds. A plugin or must-use plugin whose name ends in .php is one file.
const (
	KindPlugin     Kind = "plugin"
	KindNetwork    Kind = "network-plugin" // active in the whole network
	KindBlog       Kind = "blog-plugin"    // active on a network's blog 2 only
	KindMUPlugin   Kind = "mu-plugin"      // a folder with Bedrock only
	KindDropIn     Kind = "drop-in"
	KindTheme      Kind = "theme"
	KindChildTheme Kind = "child-theme" // of twentytwentythree
)

// dropInCode is what a healthy drop-in must do besides being there, for those that
// WordPress loads on every request where their constants are set.
var dropInCode = map[string]string{
	"advanced-cache.php":      "",
	"db.php":                  "",
	"fatal-error-handler.php": "",
	"sunrise.php":             "",
	"object-cache.php":        "require_once ABSPATH . WPINC . '/cache.php';\n",
}

// DropIns lists the drop-ins that an ordinary page of the site loads.
func (s Site) DropIns() []string {
	names := []string{"advanced-cache.php", "db.php", "fatal-error-handler.php", "object-cache.php"}
	if s.Network != "" {
		names = append(names, "sunrise.php")
	}
	return names
}

// Install puts a healthy component of any kind into a site and switches it on; one
// that is there already stays as it is. The page says that it was loaded:
// "<!-- NAME was loaded -->", without ".php". Mend does not take it away.
func (l *Lab) Install(site int, k Kind, name string) error {
	if err := l.install(l.sites[site], k, name); err != nil {
		return fmt.Errorf("cannot install %s %s on %s: %w", k, name, l.sites[site].Domain, err)
	}
	return nil
}

func (l *Lab) install(s Site, k Kind, name string) error {
	folder, file := s.component(k, name)
	if _, err := os.Stat(filepath.Join(folder, file)); err == nil {
		return nil
	}
	if (k == KindNetwork || k == KindBlog) && s.Network == "" {
		return errors.New("the site is no network")
	}
	// One that is there is a theme without functions.php.
	if _, err := os.Stat(folder); err == nil && (k == KindTheme || k == KindChildTheme) {
		return nil
	}
	plain := strings.TrimSuffix(name, ".php")
	title, code := "Plugin Name: "+plain, ""
	switch k {
	case KindTheme, KindChildTheme:
		return l.installTheme(s, k, folder, name)
	case KindDropIn:
		switch name {
		case "advanced-cache.php":
			if err := l.defineConstant(s, "WP_CACHE"); err != nil {
				return err
			}
		case "sunrise.php":
			if s.Network == "" {
				return errors.New("only a network loads it")
			}
			if err := l.defineConstant(s, "SUNRISE"); err != nil {
				return err
			}
		}
		title, code = "", dropInCode[name]
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, file), []byte(plainSource(plain, title, code)), 0o644); err != nil {
		return err
	}
	if err := ownTree(filepath.Join(folder, file), l.uid, l.gid); err != nil {
		return err
	}
	if k == KindDropIn {
		return nil
	}
	if err := os.Lchown(folder, int(l.uid), int(l.gid)); err != nil {
		return err
	}
	entry := name
	if !strings.HasSuffix(name, ".php") {
		entry += "/" + file
	}
	return l.activate(s, k, entry)
}

// installTheme makes a classic theme, or a child of the parent, and shows it.
func (l *Lab) installTheme(s Site, k Kind, dir, name string) error {
	template, header := name, ""
	if k == KindChildTheme {
		template, header = parentTheme, "Template: "+parentTheme
	}
	if err := writeTheme(dir, header); err != nil {
		return err
	}
	if k == KindTheme {
		const page = "<!doctype html>\n<html><head><?php wp_head(); ?></head><body>\n<?php bloginfo( 'name' ); wp_footer(); ?>\n</body></html>\n"
		if err := os.WriteFile(filepath.Join(dir, "index.php"), []byte(page), 0o644); err != nil {
			return err
		}
	}
	if err := ownTree(dir, l.uid, l.gid); err != nil {
		return err
	}
	for option, value := range map[string]string{"template": template, "stylesheet": name} {
		if _, err := l.db.Exec(fmt.Sprintf("UPDATE `%soptions` SET option_value = ? WHERE option_name = ?", s.TablePrefix), value, option); err != nil {
			return err
		}
	}
	return nil
}

// component is the folder that a component's main file lies in, and its name.
func (s Site) component(k Kind, name string) (folder, file string) {
	dir := map[Kind]string{KindMUPlugin: "mu-plugins", KindDropIn: "", KindTheme: "themes", KindChildTheme: "themes"}
	in, ok := dir[k]
	if !ok {
		in = "plugins"
	}
	switch {
	case in == "themes":
		return filepath.Join(s.Content, in, name), "functions.php"
	case strings.HasSuffix(name, ".php"):
		return filepath.Join(s.Content, in), name
	}
	return filepath.Join(s.Content, in, name), name + ".php"
}

// listed finds the files in a serialised list of plugins: none holds a quote.
var listed = regexp.MustCompile(`s:\d+:"([^"]*)"`)

// activate puts a plugin on the list that its kind is switched on by.
func (l *Lab) activate(s Site, k Kind, entry string) error {
	table, column, where := s.TablePrefix+"options", "option_value", "option_name = 'active_plugins'"
	switch k {
	case KindMUPlugin:
		return nil
	case KindBlog:
		table = s.TablePrefix + "2_options"
	case KindNetwork:
		table, column, where = s.TablePrefix+"sitemeta", "meta_value", "meta_key = 'active_sitewide_plugins'"
	}
	var value string
	err := l.db.QueryRow(fmt.Sprintf("SELECT %s FROM `%s` WHERE %s", column, table, where)).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var files []string
	for _, m := range listed.FindAllStringSubmatch(value, -1) {
		files = append(files, m[1])
	}
	if slices.Contains(files, entry) {
		return nil
	}
	files = append(files, entry)
	slices.Sort(files)
	value = serialised(files)
	if k == KindNetwork {
		value = sitewide(files)
	}
	_, err = l.db.Exec(fmt.Sprintf("UPDATE `%s` SET %s = ? WHERE %s", table, column, where), value)
	return err
}

// BreakComponent is Break for a component of any kind, which is installed first if
// it is not there. Mend takes the fault back and leaves the component.
func (l *Lab) BreakComponent(site int, f Fault, k Kind, name string) error {
	s := l.sites[site]
	fail := func(err error) error {
		return fmt.Errorf("cannot break %s of %s by %s: %w", name, s.Domain, f, err)
	}
	code, ok := f.code()
	if !ok {
		return fail(errors.New("it is no fault of components"))
	}
	if err := l.install(s, k, name); err != nil {
		return fail(err)
	}
	folder, file := s.component(k, name)
	undo, err := l.spoil(folder, file, strings.ReplaceAll(code, "NAME", identifier(strings.TrimSuffix(name, ".php"))))
	if err != nil {
		return fail(err)
	}
	l.faults[site] = append(l.faults[site], undo)
	return nil
}

// AddPage publishes a page at /SLUG/ of a site's main blog and switches pretty
// permalinks on.
func (l *Lab) AddPage(site int, slug string) error {
	s := l.sites[site]
	for _, q := range []string{
		"INSERT INTO `%[1]sposts` (post_author, post_date, post_date_gmt, post_content, post_title, post_excerpt, post_status, post_name, to_ping, pinged," +
			" post_modified, post_modified_gmt, post_content_filtered, post_type) SELECT 1, NOW(), NOW(), 'The lab''s page.', '%[2]s', '', 'publish', '%[2]s', '', ''," +
			" NOW(), NOW(), '', 'page' FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM `%[1]sposts` WHERE post_name = '%[2]s')",
		"UPDATE `%[1]soptions` SET option_value = '/%%postname%%/' WHERE option_name = 'permalink_structure'",
		"DELETE FROM `%[1]soptions` WHERE option_name = 'rewrite_rules'", // WordPress computes them anew
	} {
		if _, err := l.db.Exec(fmt.Sprintf(q, s.TablePrefix, sqlText(slug))); err != nil {
			return fmt.Errorf("cannot make page %s of %s: %w", slug, s.Domain, err)
		}
	}
	status, _, err := l.GetFrom(context.Background(), site, "/"+slug+"/")
	if err != nil || status != 200 {
		return fmt.Errorf("page %s of %s answers %d, %v", slug, s.Domain, status, err)
	}
	return nil
}
