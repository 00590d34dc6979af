package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Slug is the folder of a lab's plugin n, counted from 1; its main file has the
// same name.
func Slug(n int) string { return fmt.Sprintf("plugin-%02d", n) }

// identifier is a slug as part of a PHP name.
func identifier(slug string) string { return strings.ReplaceAll(slug, "-", "_") }

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

func (l *Lab) writePlugin(s Site, n int) error {
	dir := filepath.Join(s.Root, "wp-content/plugins", Slug(n))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, Slug(n)+".php"), []byte(pluginSource(n)), 0o644)
}

// activePlugins is the option of that name, in PHP's serialised form.
func activePlugins(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "a:%d:{", n)
	for i := range n {
		file := Slug(i+1) + "/" + Slug(i+1) + ".php"
		fmt.Fprintf(&b, "i:%d;s:%d:%q;", i, len(file), file)
	}
	b.WriteString("}")
	return b.String()
}
