package wp

import (
	"os"
	"path/filepath"
	"testing"
)

func TestINISet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const config = `<?php
@ini_set( 'memory_limit', '512M' );
define('BIG', 1024 * 2);
ini_set('post_max_size', '64' . 'M');
\set_time_limit(120);
if ( isset( $_GET['x'] ) ) { ini_set('max_input_time', 5); }
false && ini_set('upload_max_filesize', '1G');
ini_set($name, 1);
$table_prefix = 'wp_';
require_once ABSPATH . 'wp-settings.php';
set_time_limit(1);
`
	for name, text := range map[string]string{"wp-config.php": config, "wp-settings.php": "<?php\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := OpenTree(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	c, err := ReadConfig(tree)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		name, value string
		line        int
	}{{"memory_limit", "512M", 2}, {"post_max_size", "64M", 4}, {"max_execution_time", "120", 5}, {"max_input_time", "", 6}}
	for i, w := range want {
		if i >= len(c.INI) || c.INI[i].Name != w.name || c.INI[i].Value.Text != w.value || c.INI[i].Value.Line != w.line || c.INI[i].Value.Known != (w.value != "") {
			t.Fatalf("got %+v", c.INI)
		}
	}
	if len(c.INI) != len(want) {
		t.Errorf("got %+v", c.INI)
	}
}
