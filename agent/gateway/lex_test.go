package gateway

import (
	"fmt"
	"strings"
	"testing"
)

// dumpOf writes files as `nginx -T` does; names and texts alternate.
func dumpOf(files ...string) []byte {
	var b strings.Builder
	for i := 0; i < len(files); i += 2 {
		fmt.Fprintf(&b, "# configuration file %s:\n%s\n", files[i], files[i+1])
	}
	return []byte(b.String())
}

// lexed reads one file and shows it: words in brackets, blocks indented.
func lexed(text string) (string, error) {
	x := lexer{text: string(dumpOf("/n.conf", text)), words: map[string]string{}}
	files, err := x.files()
	if err != nil {
		return "", err
	}
	return shown(files[0].body), files[0].err
}

func shown(body []directive) string {
	var b strings.Builder
	for _, d := range body {
		fmt.Fprintf(&b, "%d[%s]", d.line, d.name)
		for _, a := range d.args {
			fmt.Fprintf(&b, "[%s]", a)
		}
		if d.isBlock {
			fmt.Fprintf(&b, "{%s}", shown(d.block))
		}
	}
	return b.String()
}

func TestLex(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		" \t\r\n# only a comment":      "",
		"a;b c;":                       "1[a]1[b][c]",
		"a b\n\tc # no\n d;\ne;":       "1[a][b][c][d]4[e]",
		"a{b{}c;}":                     "1[a]{1[b]{}1[c]}",
		`a "b c" 'd "e';`:              `1[a][b c][d "e]`,
		`a "" '';`:                     "1[a][][]",
		`a "b\"c\\d\n\t\r\.\e";`:       "1[a][b\"c\\d\n\t\r\\.\\e]",
		`a b\;c\ d\{ \#e;`:             `1[a][b\;c\ d\{][\#e]`,
		"a $e{}":                       "1[a][$e]{}",
		"a ${b}c ${d};":                "1[a][${b}c][${d}]",
		"a b#c d'e f\"g;":              "1[a][b#c][d'e][f\"g]",
		"if ($a = \"b\") {c;}":         "1[if][($a][=][b][)]{1[c]}",
		"location ~ \\.php$ {a;}":      `1[location][~][\.php$]{1[a]}`,
		"location ~ /a}b {}":           "1[location][~][/a}b]{}",
		"v \"one\n two\";\nw;":         "1[v][one\n two]3[w]",
		"a b;\n# configuration file x": "1[a][b]",
		"http {\n# configuration file /etc/passwd:\n}\na;":        "1[http]{}4[a]",
		"a 'b\n# configuration file /etc/passwd:\n';":             "1[a][b\n# configuration file /etc/passwd:\n]",
		"a\n# configuration file /etc/passwd:\nb;":                "1[a][b]",
		"a_by_lua_block { if x then return '}' end }b;":           "1[a_by_lua_block]{}1[b]",
		"x_by_lua_block $a { local t = {[1]={}} } b;":             "1[x_by_lua_block][$a]{}1[b]",
		"x_by_lua_block {\n-- it's a }\n}b;":                      "1[x_by_lua_block]{}3[b]",
		"x_by_lua_block {\n--[[ it's\n a } ]]\n}b;":               "1[x_by_lua_block]{}4[b]",
		"x_by_lua_block {\n--[==[ ]] }\n ]==] a = [[}\n]]\n}\nb;": "1[x_by_lua_block]{}6[b]",
		`x_by_lua_block { s = "\"}" .. '\\' }b;`:                  "1[x_by_lua_block]{}1[b]",
		"x_by_lua_block { a[b[1]] = 1 }b;":                        "1[x_by_lua_block]{}1[b]",
	} {
		got, err := lexed(text)
		if err != nil || got != want {
			t.Errorf("%q:\n got %s, %v\nwant %s", text, got, err, want)
		}
	}
}

func TestLexErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a b":             "/n.conf:2: the file ends within \"a\"",
		"a b\\":           "/n.conf:2: the file ends within a word",
		"a \nb \n":        "/n.conf:4: the file ends within \"a\"",
		"\na {\n b;":      "/n.conf:4: the file ends within a block",
		"a;\n}":           "/n.conf:2: unexpected \"}\"",
		";":               "/n.conf:1: unexpected ';'",
		"{}":              "/n.conf:1: unexpected '{'",
		"a {b }":          "/n.conf:1: unexpected \"}\"",
		"a \"b\"c;":       "/n.conf:1: unexpected 'c' after a quoted word",
		"a;\nb \"\nc;\n":  "/n.conf:2: the quote \" is never closed",
		"a_by_lua_block{": "/n.conf:1: the Lua block is never closed",
		strings.Repeat("a{", 100) + strings.Repeat("}", 100): "/n.conf:1: blocks are nested deeper than 64",
	} {
		got, err := lexed(text)
		if err == nil || err.Error() != want {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestNoDump(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": `read the nginx configuration: no "# configuration file" line: this is not the output of nginx -T`,
		"user www-data;\n# configuration file relative:\n": `read the nginx configuration: no "# configuration file" line: this is not the output of nginx -T`,
		"# configuration file /n.conf:\nhttp {\n":          "read the nginx configuration: /n.conf:2: the file ends within a block",
		string(dumpOf("/n.conf", "http {\n}}")):            "read the nginx configuration: /n.conf:2: unexpected \"}\"",
		strings.Repeat("#", maxDump+1):                     fmt.Sprintf("read the nginx configuration: the configuration has %d bytes, more than %d", maxDump+1, maxDump),
	} {
		if _, err := ParseNginx([]byte(text), "/"); err == nil || err.Error() != want {
			t.Errorf("%.60q: %v, want %s", text, err, want)
		}
	}
}

// Each file of the chain names the next one twice, so that the walk would take 2^40 steps.
func TestIncludeBomb(t *testing.T) {
	t.Parallel()
	files := []string{"/0", "http { include 1; }"}
	for i := 1; i <= 40; i++ {
		files = append(files, fmt.Sprintf("/%d", i), fmt.Sprintf("include %d; include %d;", i+1, i+1))
	}
	files = append(files, "/41", "a;")
	_, err := ParseNginx(dumpOf(files...), "/")
	want := fmt.Sprintf("read the nginx configuration: the configuration has more than %d directives, counting what is included again", maxDirectives)
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	_, err = ParseNginx(dumpOf("/0", "http { include 1; }", "/1", "include 1;"), "/")
	if want := "read the nginx configuration: files include each other in a circle"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// unlexed prints directives so that the lexer reads the same again.
func unlexed(body []directive) string {
	var b strings.Builder
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for _, d := range body {
		b.WriteString(`"` + quote.Replace(d.name) + `"`)
		for _, a := range d.args {
			b.WriteString(` "` + quote.Replace(a) + `"`)
		}
		if d.isBlock {
			b.WriteString(" {\n" + unlexed(d.block) + "}\n")
		} else {
			b.WriteString(";\n")
		}
	}
	return b.String()
}

func unnumbered(body []directive) string {
	var b strings.Builder
	for _, d := range body {
		fmt.Fprintf(&b, "%q%q%v{%s}", d.name, d.args, d.isBlock, unnumbered(d.block))
	}
	return b.String()
}

// Laws: what is read, printed and read again is the same; lines lie within the text; the whole reading never panics.
func FuzzParseNginx(f *testing.F) {
	f.Add("http { server { listen 80; root /a; location ~ \\.php$ { fastcgi_pass unix:/a.sock; fastcgi_param A $b; } } }", "/index.php")
	f.Add("http { include *; }\n# configuration file /x:\nserver { server_name ~a $hostname; }", "/a")
	f.Add("http { map $a $b { default x; ~^(.)$ $1; } upstream u { server 127.0.0.1:1 backup; } server { set $c $b; location / { alias $c; fastcgi_pass $b; } } }", "/")
	f.Add("http { x_by_lua_block { a = '}' --[[ } ]] } server { listen [::]:1-9 ssl; if ($a ~ (b)) { set $x $1; } } }", "/")
	f.Add("a \"b\\\"c\" ${d} '';", "")
	f.Fuzz(func(t *testing.T, text, uri string) {
		dump := dumpOf("/etc/n.conf", text)
		x := lexer{text: string(dump), words: map[string]string{}}
		files, err := x.files()
		if err != nil {
			return
		}
		for _, s := range files {
			if s.err != nil {
				continue
			}
			checkLines(t, s.body, strings.Count(string(dump), "\n")+1)
			again := lexer{text: string(dumpOf("/n.conf", unlexed(s.body))), words: map[string]string{}}
			back, err := again.files()
			if err != nil || back[0].err != nil {
				if strings.Contains(unlexed(s.body), "_by_lua_block") {
					continue // its text is not kept
				}
				t.Fatalf("what was printed cannot be read: %v %v\n%s", err, back[0].err, unlexed(s.body))
			}
			if got, want := unnumbered(back[0].body), unnumbered(s.body); got != want {
				t.Fatalf("read again it is another:\n%s\n%s", got, want)
			}
		}
		g, err := ParseNginx(dump, "/p")
		if err != nil {
			return
		}
		if len(g.Problems) > maxProblems+1 {
			t.Fatalf("%d problems", len(g.Problems))
		}
		for _, v := range g.Vhosts {
			v.Serves(uri)
			v.Script(uri)
			if l, ok := v.Location(uri); ok {
				_, _ = l.Expand(Target{Script: uri, Host: uri, URI: uri})
			}
			for _, l := range v.PHP {
				if l.Unknown == "" && len(l.Peers) == 0 {
					t.Fatalf("%s:%d has neither peers nor a reason", l.File, l.Line)
				}
				_, _ = l.Expand(Target{Scheme: "https", Script: uri, PathInfo: "/x", RealRoot: "/r"})
			}
		}
	})
}

func checkLines(t *testing.T, body []directive, last int) {
	for _, d := range body {
		if d.line < 1 || d.line > last {
			t.Fatalf("%q stands in line %d of %d", d.name, d.line, last)
		}
		checkLines(t, d.block, last)
	}
}
