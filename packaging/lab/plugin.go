package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Slug is the folder of a lab's plugin n, counted from 1; its main file has the
// same name.
func Slug(n int) string { return slug("plugin", n) }

func slug(kind string, n int) string { return fmt.Sprintf("%s-%02d", kind, n) }

// identifier is a component's name as part of a PHP name.
func identifier(name string) string {
	return strings.NewReplacer("-", "_", ".", "_").Replace(name)
}

// pluginSource is a small plugin that does harmless work on every page and leaves
// a comment in its footer, so that a test sees in the page which plugins ran.
func pluginSource(n int) string {
	return strings.NewReplacer("SLUG", Slug(n), "NAME", identifier(Slug(n)), "NN", fmt.Sprintf("%02d", n)).Replace(`<?php
/**
 * Plugin Name: Lab Plugin NN
 * Plugin URI:  http://lab.test/SLUG
 * Description: A small plugin that does a little work on every page.
 * Version:     1.NN
 * Author:      The lab
 * Text Domain: SLUG
 */

if ( ! defined( 'ABSPATH' ) ) {
	exit;
}

class NAME {
	private $titles = array();

	public function title( $title ) {
		$this->titles[] = $title;
		return $title;
	}

	public function footer() {
		echo '<!-- SLUG saw ' . count( $this->titles ) . " titles -->\n";
	}
}

function NAME_start() {
	$plugin = new NAME();
	add_filter( 'the_title', array( $plugin, 'title' ) );
	add_action( 'wp_footer', array( $plugin, 'footer' ) );
}
add_action( 'plugins_loaded', 'NAME_start' );
`)
}

// plainSource is the file of any other component: it says in the page's footer
// that it was loaded. More is code of its own.
func plainSource(name, header, more string) string {
	comment := ""
	if header != "" {
		comment = "/**\n * " + header + "\n * Version: 1.0\n */\n"
	}
	return strings.NewReplacer("COMMENT", comment, "SLUG", name, "NAME", identifier(name), "MORE", more).Replace(`<?php
COMMENTMOREfunction NAME_footer() {
	echo "<!-- SLUG was loaded -->\n";
}
add_action( 'wp_footer', 'NAME_footer' );
`)
}

func (l *Lab) writePlugin(s Site, n int) error {
	return writeFolder(filepath.Join(s.Content, "plugins"), Slug(n), pluginSource(n))
}

// writeFolder makes a plugin's folder with a main file of the same name.
func writeFolder(dir, slug, source string) error {
	dir = filepath.Join(dir, slug)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, slug+".php"), []byte(source), 0o644)
}

// plugins are the main files of n plugins as active_plugins writes them.
func plugins(kind string, n int) []string {
	var files []string
	for i := range n {
		files = append(files, slug(kind, i+1)+"/"+slug(kind, i+1)+".php")
	}
	return files
}

// serialised is a list in PHP's serialised form.
func serialised(files []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "a:%d:{", len(files))
	for i, f := range files {
		fmt.Fprintf(&b, "i:%d;s:%d:\"%s\";", i, len(f), f)
	}
	return b.String() + "}"
}

// active is active_plugins of a new site, sorted as WordPress does.
func (o Options) active(s Site) []string {
	var files []string
	if s.Layout == Symlinked {
		files = append(files, LinkedPlugin+"/"+LinkedPlugin+".php")
	}
	files = append(files, plugins("plugin", o.Plugins)...)
	for n := range o.SinglePlugins {
		files = append(files, slug("single", n+1)+".php")
	}
	return files
}

// childTheme is the active theme of a lab with Options.ChildTheme.
const (
	childTheme  = "lab-child"
	parentTheme = "twentytwentythree"
)

// writeComponents makes what the options ask for besides WordPress.
func (l *Lab) writeComponents(s Site) error {
	dir := filepath.Join(s.Content, "plugins")
	for n := 1; n <= l.o.Plugins; n++ {
		if err := l.writePlugin(s, n); err != nil {
			return fmt.Errorf("plugin %d: %w", n, err)
		}
	}
	for n := 1; n <= l.o.SinglePlugins; n++ {
		name := slug("single", n)
		if err := os.WriteFile(filepath.Join(dir, name+".php"), []byte(plainSource(name, "Plugin Name: "+name, "")), 0o644); err != nil {
			return err
		}
	}
	if s.Network != "" {
		for kind, n := range map[string]int{"network": l.o.NetworkPlugins, "blog": l.o.BlogPlugins} {
			for i := range n {
				name := slug(kind, i+1)
				if err := writeFolder(dir, name, plainSource(name, "Plugin Name: "+name, "")); err != nil {
					return err
				}
			}
		}
	}
	must := filepath.Join(s.Content, "mu-plugins")
	if l.o.MUPlugins > 0 {
		if err := os.MkdirAll(must, 0o755); err != nil {
			return err
		}
	}
	for n := 1; n <= l.o.MUPlugins; n++ {
		name := slug("must", n)
		if s.Layout == Bedrock && n%2 == 0 {
			if err := writeFolder(must, name, plainSource(name, "Plugin Name: "+name, "")); err != nil {
				return err
			}
			continue
		}
		if err := os.WriteFile(filepath.Join(must, name+".php"), []byte(plainSource(name, "Plugin Name: "+name, "")), 0o644); err != nil {
			return err
		}
	}
	if !l.o.ChildTheme {
		return nil
	}
	return writeTheme(filepath.Join(s.Content, "themes", childTheme), "Template: "+parentTheme)
}

// writeTheme makes a theme: a child if its header names a template.
func writeTheme(dir, header string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Base(dir)
	style := "/*\nTheme Name: " + name + "\nVersion: 1.0\n" + header + "\n*/\n"
	if err := os.WriteFile(filepath.Join(dir, "style.css"), []byte(style), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "functions.php"), []byte(plainSource(name, "", "")), 0o644)
}
