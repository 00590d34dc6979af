package wp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// nasty are pieces of PHP that scanners get wrong.
var nasty = map[string]string{
	"empty":               "",
	"no php":              "just text\nwith < ? and lines",
	"html around":         "a\n<?php 1 ?>\nb <?= 2 ?>\r\nc<?php\n",
	"tag at the end":      "x<?php",
	"upper case tag":      "<?PHP echo 1;",
	"tag crlf":            "<?php\r\n$a = 1;\r\n$b = 2;\r",
	"bom":                 "\xef\xbb\xbf<?php $a = 1;",
	"latin1":              "<?php // caf\xe9\n$caf\xe9 = 'd\xe9j\xe0';",
	"close in comment":    "<?php // a ?> html <?php # b ?>\nmore <?php /* ?> */ 1;",
	"comment to the end":  "<?php // x",
	"attribute":           "<?php #[Attr(1)]\nfunction f() {} # not [one]\n#[A] fn() => 1;",
	"doc comment":         "<?php /** a\n * b */ /**/ /***/ $x;",
	"single":              `<?php 'a\'b\\' . 'c\n' . '' . b'x' . B'y' . '"';`,
	"single lines":        "<?php 'a\nb\r\nc' . $d;",
	"double plain":        `<?php "a" . "\"b\\" . "\$x" . "$" . "$ x" . "{ $" . "$1" . b"z" . "{" . "}";`,
	"double computed":     `<?php "a $b c" . "{$a}" . "${a}" . "$a[0]" . "$a->b" . "\\$a" . "\\\\{$a['x']}";`,
	"nested quotes":       `<?php "a {$b["c"]} d" . "x {$f("y {$z["q"]} w")} v" . "}" ;`,
	"braces in code":      `<?php "{$f(function() { return ['}' => "}"]; })}" . 'end';`,
	"comment in code":     "<?php \"{$a /* } \\\" */ }\" . \"{$b // }\n}\";",
	"varname":             `<?php "${a['b']}" . "${a}[x]" . "${$a}";`,
	"backtick":            "<?php `ls \"-l\" $x` . `echo \\` `;",
	"heredoc":             "<?php $a = <<<EOT\nline \"quoted\" 'x'\nEOTX\n EOT_\nEOT;\n$b;",
	"heredoc quoted":      "<?php $a = <<<\"EOT\"\nx\nEOT . 'y';",
	"heredoc computed":    "<?php $a = <<< EOT\nx $y {$z[\"EOT\"]}\nEOT;\n",
	"heredoc indented":    "<?php f(<<<EOT\n    a\n      b\n    EOT, 2);",
	"heredoc empty":       "<?php $a = <<<EOT\nEOT;\n$b = <<<EOT\n\nEOT;",
	"heredoc nested":      "<?php $a = <<<A\n{$f(<<<B\nx\nB)}\nA;\n",
	"heredoc escaped":     "<?php $a = <<<A\n\\$x \\{$y}\n\\\nA;\n",
	"heredoc crlf":        "<?php $a = <<<A\r\nx\r\nA;\r\n$b;",
	"nowdoc":              "<?php $a = <<<'EOT'\n$x {$y} \\\nEOT;\n$b = <<<'X'\nX;",
	"nowdoc indented":     "<?php [<<<'EOT'\n\t$x\n\t\t\n\tEOT, 1];",
	"shift, no heredoc":   "<?php 1 <<< 2; 1<<A; $a <<= 3; 1 << 2;",
	"names":               `<?php a\b\c(); \d\e; namespace\f; A::class; $x->class; a \ b; \ f;`,
	"numbers":             "<?php 1 1.5 .5 1. 1..2 1...2 1e3 1E-3 1e+ 0x1F 0b11 0o17 017 1_000 1__0 1_ 0x 0b2 0xG 1.e3 1_0.0_1 9e99 5_.3;",
	"operators":           `<?php $a<=>$b; $a**=2; ...$c; $a??=1; $a?->b; $a??$b; $a?:$b; $a<>$b; $a!==$b; !$a; @$a; ~$a; $a|=1; $a^=$b; &$x; $$y; ${'z'};`,
	"casts":               "<?php (int) $a; ( string )$b; (bool)1; (array)$x; (\tobject\t) $o; (int . 1); (binary)'x';",
	"yield from":          "<?php function f() { yield from g(); yield 1; }",
	"halt":                "<?php 1; __halt_compiler(); 'never ends",
	"halt with tag":       "<?php __HALT_COMPILER ( ) ?> data \" <?php 'x",
	"switch of languages": "<?php if ($a): ?>\n<b>it's</b>\n<?php else: ?>\"\n<?php endif ?>",
	"no white space":      "<?php if($a){echo'x';}else{echo\"y\";}return$z;",
	"xml":                 "<?php echo '<?xml version=\"1.0\"?>';",
	"control bytes":       "<?php \x01 \x7f \x0b 'a\x00b';",
}

// TestLexLikePHP compares our tokens with those of PHP's own scanner.
func TestLexLikePHP(t *testing.T) {
	t.Parallel()
	sources := map[string][]byte{}
	for name, src := range nasty {
		sources[name] = []byte(src)
	}
	for _, pattern := range []string{"*.php", "wp-includes/*.php", "wp-admin/includes/*.php", "wp-includes/*/*.php"} {
		found, err := filepath.Glob("/usr/share/wordpress/" + pattern)
		if err != nil || len(found) < 10 {
			t.Fatalf("WordPress' files: %d %v", len(found), err)
		}
		for _, f := range found {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if len(b) <= maxConfig {
				sources[f] = b
			}
		}
	}
	var stdin bytes.Buffer
	names := slices.Sorted(func(yield func(string) bool) {
		for n := range sources {
			if !yield(n) {
				return
			}
		}
	})
	for _, n := range names {
		stdin.WriteString(base64.StdEncoding.EncodeToString(sources[n]) + "\n")
	}
	script, err := os.ReadFile("testdata/tokens.php")
	if err != nil {
		t.Fatal(err)
	}
	answers := bytes.Split(php(t, stdin.Bytes(), "-r", strings.TrimPrefix(string(script), "<?php")), []byte("\n"))
	for i, name := range names {
		var want [][4]int
		if err := json.Unmarshal(answers[i], &want); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := lex(sources[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for j := range max(len(got), len(want)) {
			if j < len(got) && j < len(want) {
				g := got[j]
				if want[j] == [4]int{int(g.kind), int(g.start), int(g.end), int(g.line)} {
					continue
				}
				t.Errorf("%s: token %d is %v %q; PHP's is %v %q", name, j, g, sources[name][g.start:g.end], want[j], sources[name][want[j][1]:want[j][2]])
			} else {
				t.Errorf("%s: %d tokens; PHP has %d", name, len(got), len(want))
			}
			break
		}
	}
}

func TestLexErrors(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"<?php\n'abc":             "line 2: a string starts here and never ends",
		"<?php\n\n\"abc $x":       "line 3: a string starts here and never ends",
		"<?php /* x\n":            "line 1: a comment starts here and never ends",
		"<?php\r\n<<<A\nx":        "line 2: a string starts here and never ends",
		"<?php <<<'A'\nx\n":       "line 1: the text <<<A starts here and never ends",
		"<?php \"\n{$a":           "line 2: code in braces starts here and never ends",
		"<?php `x":                "line 1: a string starts here and never ends",
		"<?php 'a' . \"{$a['x}\"": "line 1: a string starts here and never ends",
		"<?php " + strings.Repeat("\"{$a[", maxNesting+1): "line 1: strings and code are nested more than 50 times",
	} {
		_, err := lex([]byte(src))
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", src, err, want)
		}
	}
}

// TestLiteralLikePHP compares the values of strings with PHP's.
func TestLiteralLikePHP(t *testing.T) {
	t.Parallel()
	sources := []string{
		`'a\'b\\c\d'`, `''`, `b'x'`, `"a\n\t\r\f\e\v\\\$\"\'\q"`, `"\x41\x4\xZ\X41"`, `"\101\1\18\777\400"`, `"\u{e9}\u{1F600}\u{d800}\u{0041}"`,
		`"$ {x} $1 \{$"`, `""`, `B"\x41"`, "\"a\nb\r\nc\"", `"\\\\"`, `"\u"`, `"\uX"`, "'\\\n'", "\"\\\n\"",
		"<<<A\nx \"y\" \\\" \\n \\x41\nA", "<<<A\nA", "<<<A\n\nA", "<<<A\n\n\nA", "<<<'A'\nx \\n $y\nA", "<<<'A'\n  x\n    y\n\n  z\n  A",
		"<<<A\n  x\n \n\n  y\n  A", "<<<A\n\tx\n\t\ty\n\tA", "<<<A\r\nx\r\ny\r\nA", "<<<A\r\n  x\r\n\r\n  y\r\n  A", "<<<A\n  \\x41\n  A", "<<<\"A\"\n \\\\\n A",
		"<<<'A'\n   \n A", "<<<'A'\n\n  A", "<<<A\rx\ry\rA", "<<<A\r  x\r  y\r  A",
	}
	var stdin bytes.Buffer
	for _, s := range sources {
		stdin.WriteString(base64.StdEncoding.EncodeToString([]byte(s)) + "\n")
	}
	out := php(t, stdin.Bytes(), "-r", `while (($l = fgets(STDIN)) !== false) { echo base64_encode(eval('return ' . base64_decode(trim($l)) . ';')), "\n"; }`)
	answers := strings.Split(string(out), "\n")
	for i, s := range sources {
		want, err := base64.StdEncoding.DecodeString(answers[i])
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		tokens, err := lex([]byte("<?php " + s))
		if err != nil || len(tokens) != 2 {
			t.Errorf("%q: %d tokens, %v", s, len(tokens), err)
			continue
		}
		got, ok := literal(tokens[1].kind, []byte(s))
		if !ok || got != string(want) {
			t.Errorf("%q: %q %v, PHP has %q", s, got, ok, want)
		}
	}
	for _, s := range []string{`"\u{110000}"`, `"\u{x}"`, `"\u{41"`, "<<<A\n  x\n y\n  A", "<<<A\n\tx\n  A", "<<<A\n \tx\n \tA"} {
		tokens, err := lex([]byte("<?php " + s))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if got, ok := literal(tokens[1].kind, []byte(s)); ok {
			t.Errorf("%q: %q, but PHP rejects it", s, got)
		}
	}
}

func FuzzLex(f *testing.F) {
	for _, src := range nasty {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		tokens, err := lex(src)
		if err != nil {
			return
		}
		end, line := int32(0), int32(1)
		for _, k := range tokens {
			if k.start < end || k.end <= k.start || int(k.end) > len(src) || k.line < line {
				t.Fatalf("token %v after %d, line %d", k, end, line)
			}
			if gap := bytes.Trim(src[end:k.start], " \t\r\n"); len(gap) > 0 {
				t.Fatalf("%q is in no token", gap)
			}
			if got := int32(1 + lines(src[:k.start])); got != k.line && (k.start == 0 || src[k.start-1] != '\r') {
				t.Fatalf("token %v is on line %d", k, got)
			}
			end, line = k.end, k.line
			literal(k.kind, src[k.start:k.end])
		}
	})
}
