package fpm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// values are pairs of what stands behind = and what FPM makes of it.
var values = [][2]string{
	{`'a;b'`, `a;b`}, {`"q\"x\\y\z"`, `q"x\y\z`}, {`/a/b`, `/a/b`}, {`"x"y 'z'`, `xy z`}, {`yes`, `1`}, {`ON`, `1`}, {`"yes"`, `yes`},
	{`a b   c ; comment`, `a b   c`}, {`a{b}`, `a{b}`}, {`a$b`, `a$b`}, {`it's`, `it`}, {`a\nb`, `a\nb`}, {`x"y;z"`, `xy;z`},
	{`"a";c`, `a`}, {`'a''b'`, `ab`}, {`a?b`, `a?b`}, {`[b]`, `[b]`}, {`a\;b`, `a\`}, {`"a\$b"`, `a$b`}, {`1.10`, `1.10`},
	{`0x10`, `0x10`}, {`%yes`, `%yes`}, {`-3`, `-3`}, {`a,b`, `a,b`}, {`"a'b"`, `a'b`}, {`'a"b'`, `a"b`}, {"\ttab\t", `tab`},
	{`"x\"`, `x\`}, {`"x\\"`, `x\`}, {`\`, `\`}, {`"a"b"c"`, `abc`}, {`on;x`, `1`}, {`'a\'`, `a\`}, {`" x "`, ` x `}, {`" x " `, ` x `},
	{`'x' y `, `x y`}, {`"ä€"`, `ä€`}, {`'#a'`, `#a`}, {`#a`, `#a`}, {`a:b/c?d`, `a:b/c?d`}, {`"a=b"`, `a=b`}, {`'${x}'`, `${x}`},
}

func TestParseValue(t *testing.T) {
	t.Parallel()
	for _, v := range values {
		got, raw, err := parseValue(v[0])
		if err != nil || got != v[1] {
			t.Errorf("%s: %q, %v; want %q", v[0], got, err, v[1])
		}
		if again, rawAgain, err := parseValue(raw); err != nil || again != got || rawAgain != raw {
			t.Errorf("%s: as written %s, which is read as %q (%s), %v", v[0], raw, again, rawAgain, err)
		}
	}
	for _, empty := range []string{"", "off", "No", "false", "none", "null", `""`, "; x"} {
		if got, _, err := parseValue(empty); err != nil || got != "" {
			t.Errorf("%s: %q, %v", empty, got, err)
		}
	}
}

// The real FPM reads the same file and tells what it has read.
func TestParseValueAsFPMDoes(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	var b strings.Builder
	fmt.Fprintf(&b, "[global]\nerror_log = %s/log\n[WwW]\nuser = www-data\nlisten = %s/s\npm = static\npm.max_children = 1\n", dir, dir)
	for i, v := range values {
		fmt.Fprintf(&b, "env[V%d] = %s\n", i, v[0])
	}
	quoted := []string{"plain", "a;b", "it's", `say "x"`, `back\slash\`, "${PATH}", "$x", "on", "E_ALL", "a=b[c]", " blanks ", "~!(a|b)&", `'`, "a'${'b"}
	var written []string
	for _, q := range quoted {
		text, err := quote(q)
		if err != nil {
			if q != "a'${'b" {
				t.Errorf("quote %q: %v", q, err)
			}
			continue
		}
		fmt.Fprintf(&b, "env[Q%d] = %s\n", len(written), text)
		written = append(written, q)
	}
	config := filepath.Join(dir, "fpm.conf")
	writeFile(t, config, b.String())
	out, err := run(context.Background(), phpFPM, nil, "-tt", "-y", config)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if want := fmt.Sprintf("\tenv[V%d] = %s\n", i, v[1]); !strings.Contains(out, want) {
			t.Errorf("%s: FPM does not say %q", v[0], want)
		}
	}
	for i, v := range written {
		if want := fmt.Sprintf("\tenv[Q%d] = %s\n", i, v); !strings.Contains(out, want) {
			t.Errorf("quoted %s: FPM does not say %q", v, want)
		}
	}
	m, err := Load(phpFPM, config)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range written {
		if got, _ := m.Pools[0].Get(fmt.Sprintf("env[Q%d]", i)); got != v {
			t.Errorf("quoted %q is read as %q", v, got)
		}
	}
}

func TestParseLineErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"foo":            "a directive without =",
		"foo ; a=b":      "a directive without =",
		"# comment":      "a directive without =",
		"\ufeff[global]": "a directive without =",
		"[global":        "section without ]",
		"[]":             "section without a name",
		` [www]`:         "a section must stand at the beginning of its line",
		"=3":             "a directive without a name",
		`"env"=3`:        "a directive without a name",
		"env[] = 3":      "a directive needs one name between [ and ]",
		"env[A = 3":      "a directive needs one name between [ and ]",
		"env[A]] = 3":    "a directive needs one name between [ and ]",
		"env[A]x = 3":    "a directive needs one name between [ and ]",
		`env[A]="a`:      "a quote is not closed",
		`env[A]="a\";b`:  "a quote is not closed",
		"a=\x00":         "control character",
		"a=b\rc":         "control character",
	} {
		_, err := parseLines(text)
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, v := range values {
		f.Add("env[A] = " + v[0])
	}
	f.Add("[www] ; c")
	f.Add("[www]user=x")
	f.Add(`php_admin_value["x"]='y'`)
	f.Fuzz(func(t *testing.T, text string) {
		said, err := parseLines(text)
		if err != nil {
			return
		}
		for _, l := range said {
			if len(l.value) > len(text) || len(l.raw) > len(text) {
				t.Errorf("a value grew: %q", l.value)
			}
			if l.kind != lineEntry {
				continue
			}
			// What is written again as it stood says the same.
			if !strings.Contains(text, "\n") {
				again, err := parseLines(l.key + " = " + l.raw)
				if err != nil || len(again) != 1 || again[0].value != l.value || again[0].key != l.key {
					t.Errorf("%q gives %+v, which written again gives %+v, %v", text, l, again, err)
				}
			}
			if quoted, err := quote(l.value); err == nil {
				if back, _, err := parseValue(quoted); err != nil || back != l.value || strings.ContainsAny(quoted, "\r\n\x00") {
					t.Errorf("%q quoted is %s, which is %q, %v", l.value, quoted, back, err)
				}
			}
		}
	})
}

const phpFPM = "/usr/sbin/php-fpm8.2"

// tempDir is short, because socket paths are, and can be passed through by a pool's user.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wpf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
