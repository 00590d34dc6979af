package wp

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

// heads are beginnings of files, ordinary and not.
var heads = []string{
	"<?php\n/*\nPlugin Name: Plain\nVersion: 1.2\n*/",
	"<?php\n/**\n * Plugin Name:   Starred  \n * Version: 2\n */",
	"<?php /* Plugin Name: One line */ Version: 3 ?>",
	"<?php // Plugin Name: After the tag ?> rest",
	"\xef\xbb\xbf<?php\r\n/*\r\nPlugin Name: BOM and CRLF\r\nVersion: 4\r\n*/",
	"\xef\xbb\xbfPlugin Name: BOM before the name",
	"/*\rPlugin Name: old Mac\rVersion: 5\r*/",
	"# Plugin Name: hash\n@Version: at",
	"plugin name: lower\nVERSION: upper",
	"My Plugin Name: no\nPlugin Name : no\nPlugin  Name: no",
	"Plugin Name:\nVersion: the first is empty\nPlugin Name: second",
	"Plugin Name: a: b: c",
	"Plugin Name: ends */ here */ twice",
	"Plugin Name: nul\x00\x00",
	"Plugin Name: \xff\xfe invalid",
	"\t \t<?PHP\t// Plugin Name: tag in capitals",
	"<?php<?php Plugin Name: two tags",
	"Plugin Name: \x1b[31mred\x1b[0m",
	"Version: \x0bvertical\x0c",
	"Ver\u017fion: long s",
	"",
	strings.Repeat("x", 8180) + "\nPlugin Name: cut off",
	strings.Repeat("x", 8200) + "\nPlugin Name: too late",
}

// WordPress's own function says what a header is.
func TestHeaderAgreesWithWordPress(t *testing.T) {
	t.Parallel()
	type answer struct{ Name, Version string }
	const script = `
		define('ABSPATH', '/usr/share/wordpress/'); define('WPINC', 'wp-includes'); define('KB_IN_BYTES', 1024);
		function apply_filters($hook, $value) { return $value; }
		require ABSPATH . WPINC . '/functions.php';
		$out = array();
		foreach (json_decode(stream_get_contents(STDIN)) as $head) {
			$file = tempnam(sys_get_temp_dir(), 'wpmend');
			file_put_contents($file, base64_decode($head));
			$h = get_file_data($file, array('n' => 'Plugin Name', 'v' => 'Version'));
			unlink($file);
			$out[] = array('Name' => base64_encode($h['n']), 'Version' => base64_encode($h['v']));
		}
		echo json_encode($out);`
	in := make([][]byte, len(heads))
	for i, h := range heads {
		in[i] = []byte(h)
	}
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("php8.2", "-d", "display_errors=stderr", "-r", script)
	cmd.Stdin, cmd.Dir = bytes.NewReader(input), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: siteUID, Gid: siteUID}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	var want []struct{ Name, Version []byte }
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for i, h := range heads {
		got := answer{header([]byte(h), "Plugin Name"), header([]byte(h), "Version")}
		if got != (answer{string(want[i].Name), string(want[i].Version)}) {
			t.Errorf("%q: got %q, WordPress %q", h, got, want[i])
		}
	}
}

func TestSlugs(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"woocommerce":                    "woocommerce",
		" a , b-2,, c ":                  "a b-2 c",
		"-a, b-, c--d, E, f_g, ../h, ,i": "i",
		"":                               "",
	} {
		if got := strings.Join(slugs(value), " "); got != want {
			t.Errorf("slugs(%q) = %q, want %q", value, got, want)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, h := range heads {
		f.Add([]byte(h))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		for _, field := range []string{"Plugin Name", "Version", "Requires Plugins"} {
			value := header(head, field)
			if strings.ContainsAny(value, "\n\r") || len(value) > headSize || strings.Contains(value, "*/") {
				t.Errorf("header %q", value)
			}
			if s := shown(value); !utf8.ValidString(s) || len(s) > maxHeader+len("…") || strings.ContainsAny(s, "\x1b\x07\u202e") {
				t.Errorf("shown as %q", s)
			}
			for _, s := range slugs(value) {
				if !validName(s) || printable(s) != s {
					t.Errorf("slug %q", s)
				}
			}
			// What was found is found again where nothing else is.
			if again := header([]byte("/* "+field+": "+value), field); value != "" && again != value && len(value) < headSize-40 {
				t.Errorf("%q is read back as %q", value, again)
			}
		}
	})
}
