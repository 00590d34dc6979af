package wp

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestPrepends(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	waf, gone := filepath.Join(dir, "wordfence-waf.php"), filepath.Join(dir, "wp-content/gone.php")
	type want struct {
		ID, File, From, Path string
		Active, Dangling     bool
	}
	there := want{"prepend:wordfence-waf.php", waf, ".user.ini", "wordfence-waf.php", true, false}
	with := func(w want, change func(*want)) want { change(&w); return w }
	for name, tt := range map[string]struct {
		files map[string]string
		host  HostPrepend
		want  []want
	}{
		"none":      {},
		"Wordfence": {files: map[string]string{".user.ini": "; Wordfence WAF\nauto_prepend_file = '" + waf + "'\n; END Wordfence WAF\n", "wordfence-waf.php": "<?php"}, want: []want{there}},
		"a missing one": {files: map[string]string{".user.ini": "auto_prepend_file=" + gone}, want: []want{
			{"prepend:gone.php", gone, ".user.ini", "wp-content/gone.php", true, true}}},
		"wp-admin's": {files: map[string]string{"wp-admin/.user.ini": "auto_prepend_file=" + waf}, want: []want{
			with(there, func(w *want) { w.From, w.Active, w.Dangling = "wp-admin/.user.ini", false, true })}},
		"the host's": {host: HostPrepend{File: "/etc/host/first.php"}, want: []want{{"prepend:first.php", "/etc/host/first.php", "", "", true, false}}},
		"the host's, replaced": {files: map[string]string{".user.ini": "auto_prepend_file=" + waf, "wordfence-waf.php": ""}, host: HostPrepend{File: gone}, want: []want{
			there, {"prepend:gone.php", gone, "", "wp-content/gone.php", false, true}}},
		"the host's, switched off": {files: map[string]string{".user.ini": "auto_prepend_file=none"}, host: HostPrepend{File: waf}, want: []want{
			with(there, func(w *want) { w.From, w.Active, w.Dangling = "", false, true })}},
		"the host's, locked": {files: map[string]string{".user.ini": "auto_prepend_file=" + gone, "wordfence-waf.php": ""}, host: HostPrepend{File: waf, Admin: true}, want: []want{
			with(there, func(w *want) { w.From = "" })}},
		"of the include_path": {files: map[string]string{".user.ini": "auto_prepend_file = first.php"}, want: []want{{"prepend:first.php", "first.php", ".user.ini", "first.php", true, false}}},
		"Apache's": {files: map[string]string{".user.ini": "auto_prepend_file=" + gone, "wordfence-waf.php": "", ".htaccess": "<IfModule mod_php.c>\n\tphp_value auto_prepend_file '" + waf + "'\n</IfModule>\n"},
			host: HostPrepend{Htaccess: true}, want: []want{with(there, func(w *want) { w.From = ".htaccess" })}},
		"outside": {files: map[string]string{".user.ini": "auto_prepend_file = /etc/passwd"}, want: []want{{"prepend:passwd", "/etc/passwd", ".user.ini", "", true, false}}},
	} {
		for file, content := range tt.files {
			path := filepath.Join(dir, file)
			for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		tree, err := OpenTree(dir, uint32(os.Getuid()))
		if err != nil {
			t.Fatal(err)
		}
		found, err := Prepends(tree, tt.host, ".", "wp-admin")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []want
		for _, l := range found {
			got = append(got, want{l.ID(), l.File, l.From, l.Path, l.Active, l.Dangling})
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		tree.Close()
		for file := range tt.files {
			os.Remove(filepath.Join(dir, file))
		}
	}
}

// PHP itself says what its scanner makes of a line.
func TestUserINIAsPHPReadsIt(t *testing.T) {
	t.Parallel()
	texts := []string{
		"auto_prepend_file=/a/b.php", "auto_prepend_file = /a/b.php ; why", "  auto_prepend_file='/a;b.php'", `auto_prepend_file="/a b.php" ; x`, "auto_prepend_file=none",
		"auto_prepend_file=Off\n", "auto_prepend_file=\"none\"", "auto_prepend_file=", "; auto_prepend_file=/a", "auto_prepend_file=/a\nauto_prepend_file=/b\n", "auto_prepend_file=/a\r\nx=1\r\n",
		"auto_append_file=/a", "auto_prepend_file", "[HOST=x]\nauto_prepend_file=/a", "memory_limit=1G\n\n\nauto_prepend_file=/a b/c.php\n", "auto_prepend_file = '/a' ; '/b'", "Auto_Prepend_File=/a",
		"auto_prepend_file=/a-b_c.php", "auto_prepend_file=null",
	}
	list, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	var want []*string
	out := php(t, list, "-r", `$out = array();
		foreach (json_decode(stream_get_contents(STDIN)) as $text) {
			$set = @parse_ini_string($text);
			$out[] = isset($set['auto_prepend_file']) ? $set['auto_prepend_file'] : null;
		}
		echo json_encode($out);`)
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		got, ok := userINIPrepend(text)
		// A bare name sets nothing that anybody can name, nor does PHP's null.
		if want[i] == nil && got == "" {
			continue
		}
		if want[i] == nil || !ok || got != *want[i] && !(got == "" && strings.EqualFold(*want[i], "none")) {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
	for _, text := range []string{"auto_prepend_file=${HOME}/a.php", `auto_prepend_file="${HOME}/a.php"`, "auto_prepend_file=/a|/b", `auto_prepend_file="/a\"b"`} {
		if got, ok := userINIPrepend(text); ok {
			t.Errorf("%q is computed, not %q", text, got)
		}
	}
}

func FuzzPrependOfAFolder(f *testing.F) {
	f.Add("auto_prepend_file = '/a.php'\n")
	f.Add("php_value auto_prepend_file \"/a b.php\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) (string, bool){userINIPrepend, htaccessPrepend} {
			if got, ok := parse(text); ok && (strings.ContainsAny(got, "\n\r") || !strings.Contains(text, got) || !strings.Contains(strings.ToLower(text), "auto_prepend_file")) {
				t.Errorf("%q: %q", text, got)
			}
		}
	})
}
