package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := Parse("x.toml", "\uFEFFonly = [\"/srv/a\"]\nquiet = [\"fri-sun 22:00-6:00\"]\n[watch]\nevery = \"3s\"\n[[fpm]]\nconfig = \"/etc/fpm.conf\"\nargs = [\"-c\", \"/etc/php.ini\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	if time.Duration(c.Watch.Every) != 3*time.Second || c.Watch.Incidents != Default().Watch.Incidents || c.FPM[0].Args[1] != "/etc/php.ini" || c.QuietHours[0].String() != "fri,sat,sun 22:00-06:00" {
		t.Errorf("got %+v", c)
	}
}

// Every kind of fault, with the place and the words.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"onli = []\n", `1: unknown key "onli": did you mean "only"?`},
		{"# a\n[watch]\nevry = \"1s\"\n", `3: unknown key "watch.evry": did you mean "watch.every"?`},
		{"[watc]\nevery = \"1s\"\n", `1: unknown key "watc": did you mean "watch"?`},
		{"[watch]\n\nmemory_limit = \"1G\"\n", `3: unknown key "watch.memory_limit": did you mean "limits.memory_limit"?`},
		{"xyz = 1\n", `1: unknown key "xyz"`},
		{"Mode = \"heal\"\n", `1: unknown key "Mode": did you mean "mode"?`},
		{"\n\nwatch.every = \"1s\"\nwatch.disocver = \"1m\"\n", `4: unknown key "watch.disocver": did you mean "watch.discover"?`},
		{"watch = { every = \"1s\", evry = \"2s\" }\n", `1: unknown key "watch.evry": did you mean "watch.every"?`},
		{"\"watch.every\" = \"1s\"\n", `1: unknown key "\"watch.every\"": did you mean "watch.every"?`},
		{"probe = { timeout = \"3s\",\n body = 100000,\n verfy = 2 }\n", `3: unknown key "probe.verfy": did you mean "probe.verify"?`},
		{"[budget]\nsite = 1\nevery = 2\n[watch]\nevery = \"2s\"\n", `3: unknown key "budget.every": did you mean "watch.every"?`},
		{"a = '''\nmode = 1\n'''\nmode = 2\n", `1: unknown key "a"`},
		{"protected = [\n  \"plugin:a\", # one\n  \"b\",\n]\n", "3: protected: \"b\" is no component: write it as in `wpmend bisect`, such as \"plugin:woocommerce\" or \"plugin:woo*\""},
		{"only = [\"srv\"]\n", `1: only: "srv" must be an absolute folder`},
		{"only = \"/srv\"\n", `1: only: wants a list of texts in brackets and quotes, not the text "/srv"`},
		{"only = [\"/srv\",\n1]\n", `2: only: wants a text in quotes, not the number 1`},
		{"\nmode = \"maybe\"\n", `2: mode: "maybe" is neither "heal" nor "suggest" nor "observe"`},
		{"mode = true\n", `1: mode: wants a text in quotes, not true`},
		{"mode = []\n", `1: mode: wants a text in quotes, not a list`},
		{"[mode]\n", `1: mode: wants a text in quotes, not a table`},
		{"mode = 2020-01-01\n", `1: mode: wants a text in quotes, not a date`},
		{"watch = 3\n", `1: watch is a table: write [watch], and its keys below it`},
		{"[[watch]]\nevery = \"1s\"\n", `1: watch is a table: write [watch], and its keys below it`},
		{"[watch]\nevery = \"1ms\"\n", `2: watch.every: 1ms is not between 1s and 24h`},
		{"[watch]\nevery = 10\n", `2: watch.every: wants a duration such as "10s" or "5m", not the number 10`},
		{"[watch]\nevery = \"soon\"\n", `2: watch.every: "soon" is not a duration such as "10s" or "5m"`},
		{"[probe]\nverify = 0\n", `2: probe.verify: 0 is not between 1 and 100`},
		{"[probe]\nverify = 1.5\n", `2: probe.verify: wants a whole number, not the number 1.5`},
		{"[probe]\nverify = \"five\"\n", `2: probe.verify: wants a whole number, not the text "five"`},
		{"[gateway]\ntune = \"yes\"\n", `2: gateway.tune: wants true or false, not the text "yes"`},
		{"[limits]\nmemory_limit = \"1X\"\n", `2: limits.memory_limit: "1X" is not a size such as "512M"`},
		{"[limits]\nmemory_limit = \"-1\"\n", `2: limits.memory_limit: "-1" is not between 1M and 1024G`},
		{"[limits]\nmemory_limit = 512\n", `2: limits.memory_limit: wants a size such as "512M", not the number 512`},
		{"[edge]\nresolver = \"dns\"\n", `2: edge.resolver: "dns" is no IP address, such as "192.0.2.53" or "[2001:db8::53]:5353"`},
		{"quiet = [\"22-06\"]\n", `1: quiet: "22-06" are no quiet hours: write them as "22:00-06:00" or "mon-fri 09:00-17:00"`},
		{"quiet = [\"01:00-01:00\"]\n", `1: quiet: "01:00-01:00" are no hours at all: a whole day is "00:00-24:00"`},
		{"[[fpm]]\nconfig = \"a\"\n", `2: fpm.config: "a" must be an absolute path`},
		{"[[fpm]]\nargs = []\n", `1: this [[fpm]] does not say which: it needs a line such as config = "/opt/php/etc/php-fpm.conf"`},
		{"[[fpm]]\nconfig = \"/a\"\n[[fpm]]\nconfig = \"/b\"\nargs = [\"-c\", 3]\n", `5: fpm.args: wants a text in quotes, not the number 3`},
		{"[[fpm]]\nconfig = \"/a\"\narg = []\n", `3: unknown key "fpm.arg": did you mean "fpm.args"?`},
		{"[site]\nmatch = \"a\"\n", `1: site is a list of sections: write [[site]]`},
		{"[[site]]\nmode = \"heal\"\n", `1: this [[site]] does not say which: it needs a line such as match = "example.com"`},
		{"[[site]]\nmatch = \" \"\n", `2: site.match: is empty: write it as in match = "example.com"`},
		{"[[site]]\nmatch = \"*.example.com\"\n", `2: site.match: "*.example.com" names nothing: patterns and controls are not read here`},
		{"[[site]]\nmatch = \"a\"\n[[site]]\nmatch = \"b\"\nlimits.term = \"1s\"\n", `5: site.limits.term: 1s is not between 1m and 8760h`},
		{"[[site]]\nmatch = \"a\"\n[site.limits]\nterm = \"1s\"\n[[site]]\nmatch = \"b\"\n[site.limits]\nterm = \"1h\"\n", `4: site.limits.term: 1s is not between 1m and 8760h`},
		{"[[site]]\nmatch = \"a\"\nmdoe = \"heal\"\n", `3: unknown key "site.mdoe": did you mean "site.mode"?`},
		{"[[site]]\nmacth = \"a\"\n", `1: this [[site]] does not say which: it needs a line such as match = "example.com"`},
		{"[[site]]\nmatch = \"a\"\n[site.watch]\nevery = \"10s\"\n", `4: "watch.every" cannot be set for some sites only: it holds for the whole host`},
		{"[[owner]]\nuser = 1001\n", `2: owner.user: wants a text in quotes, not the number 1001`},
		{"[[owner]]\nuser = \"a\"\nbudget.host = 3\n", `3: "budget.host" cannot be set for some sites only: it holds for the whole host`},
		{"owner = [{ user = \"a\" }, { user = \"b\", mode = \"x\" }]\n", `1: owner.mode: "x" is neither "heal" nor "suggest" nor "observe"`},
		{"mode = heal\n", `1: expected value but found "heal" instead`},
		{"mode = \"heal\"\nmode = \"heal\"\n", `2: Key 'mode' has already been defined.`},
		{"only = [\n", `1: unexpected EOF; expected value`},
		{"only = [\n\"/a\"\n\"/b\"]\n", `3: expected a comma (',') or array terminator (']'), but got '"'`},
		{"mode = \"heal\nonly = []\n", `1: strings cannot contain newlines`},
		{"mode = \"heal\"\n[[[\n", `2: expected '.' or ']' to end table name, but got '[' instead`},
		{"\n\n\xff\xfe = 1\n", `3: this is no text in UTF-8`},
		{"x = " + strings.Repeat("[", 100_000), `1: nested more than 8 deep`},
		{"x = " + strings.Repeat("{a=", 100_000), `1: nested more than 8 deep`},
		{"\n" + strings.Repeat("a.", 100_000) + "b = 1\n", `2: nested more than 8 deep`},
		{"[" + strings.Repeat("a.", 100_000) + "b]\n", `1: nested more than 8 deep`},
	} {
		_, err := Parse("x.toml", tc.text)
		if err == nil || err.Error() != "x.toml:"+tc.want {
			t.Errorf("%.80q:\n got %v\nwant x.toml:%s", tc.text, err, tc.want)
		}
	}
}

// Texts that are meant to hold wpmend up or to use up its memory are refused, whatever they cost to write.
func TestParseBombs(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a string of 100 MB":        "mode = \"" + strings.Repeat("a", 100<<20) + "\"",
		"a million sections":        strings.Repeat("[[site]]\nmatch = \"a\"\n", 1_000_000),
		"keys below a long one":     "[" + strings.Repeat("a", 500<<10) + "]\n" + keysOf(50_000),
		"sections of a long name":   "[[site." + strings.Repeat("a", 250<<10) + "]]\n" + strings.Repeat("[[site."+strings.Repeat("a", 250<<10)+"]]\n", 2) + keysOf(50_000),
		"a string not ended":        "mode = \"" + strings.Repeat("a", 1<<19),
		"many unknown keys":         keysOf(100_000),
		"many sections":             strings.Repeat("[[site]]\nmatch = \"a\"\n", 15_000),
		"many elements":             "protected = [" + strings.Repeat("1,", 50_000) + "]",
		"empty tables":              strings.Repeat("[[a]]\n", 20_000),
		"quotes":                    strings.Repeat("\"", 1<<20),
		"deep beyond what is wrong": "x = ]" + strings.Repeat("[", 1<<19),
	} {
		c, err := Parse("x.toml", text)
		if name == "many sections" && err == nil && len(c.Sites) == 15_000 {
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), "x.toml") || len(err.Error()) > 1000 {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}

// keysOf is n different keys.
func keysOf(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(string(rune('a'+i%26)) + strings.Repeat(string(rune('a'+i/26%26)), 1+i/676%3) + "k = 1\n")
		if b.Len() > mostFile-100 {
			break
		}
	}
	return b.String()
}

func TestIncludes(t *testing.T) {
	t.Parallel()
	c := Config{Only: []string{"/srv/a/", "/srv/b"}}
	for root, want := range map[string]bool{"/srv/a": true, "/srv/a/x": true, "/srv/ab": false, "/srv/b": true, "/": false} {
		if c.Includes(root) != want {
			t.Errorf("Includes(%q) = %v", root, !want)
		}
	}
	if !Default().Includes("/anything") {
		t.Error("no list means every site")
	}
}

// keys and the fields of Config are the same, by their TOML names.
func TestKeys(t *testing.T) {
	t.Parallel()
	var fields []string
	var walk func(t reflect.Type, prefix string)
	walk = func(t reflect.Type, prefix string) {
		for f := range t.Fields() {
			name := f.Tag.Get("toml")
			switch {
			case !f.IsExported() || name == "-" || slices.Contains([]string{"fpm", "site", "owner"}, name) && prefix == "":
			case f.Type.Kind() == reflect.Struct:
				walk(f.Type, prefix+name+".")
			default:
				fields = append(fields, prefix+name)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
	var names []string
	for _, k := range keys() {
		names = append(names, k.name)
	}
	slices.Sort(fields)
	slices.Sort(names)
	if !slices.Equal(fields, names) {
		t.Errorf("fields %v\nkeys %v", fields, names)
	}
}

// The law of Parse: a complete configuration that is read back from its own text as it is, or an *Error that names the
// file.
func FuzzParse(f *testing.F) {
	f.Add("only = [\"/a\"]\n[watch]\nevery = \"1s\"")
	f.Add("quiet = [\"sat,sun 1:00-24:00\"]\n[[site]]\nmatch = \"a\\u007f\"\nlimits.term = \"1h\"\n[[owner]]\nuser = \"x\"\n[owner.budget]\nsite = 3\n[[fpm]]\nconfig = \"/a\"")
	f.Add("watch = {every = \"1h0m1s\",\n discover = '''5m''' }\n\"mode\" = \"\"\"\\\n  heal\"\"\"")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f", text)
		if err != nil {
			fault, ok := err.(*Error)
			if !ok || fault.File != "f" || fault.Msg == "" || fault.Line > strings.Count(text, "\n")+1 || len(fault.Msg) > 2000 {
				t.Fatalf("%#v", err)
			}
			return
		}
		again, err := Parse("f", c.TOML(true))
		if err != nil {
			t.Fatalf("%v\n%s", err, c.TOML(true))
		}
		if again.TOML(false) != c.TOML(false) {
			t.Errorf("%s\nread back:\n%s", c.TOML(false), again.TOML(false))
		}
		if one := c.For("/a", "a", "x"); !reflect.DeepEqual(one.For("/a", "a", "x").Keys(), one.Keys()) {
			t.Error("For is not idempotent")
		}
	})
}

// The law of scan: of whatever the library reads it finds every key, table and element, and nothing else.
func FuzzScan(f *testing.F) {
	f.Add("a.b.\"c.d\" = [1, {x = 'y'}, \"\"\"\"q\"\"\"\"\"]\n[[s]]\n[s.t]\nk = 1979-05-27 07:32:00 # c\r\n[[s]]\n[[s.u]]\n'' = \"\\u00e9\\\"\"\n")
	f.Add("a = [\n# c\n\"x\" # d\n, 'y',]\nb = {c = 1,\n d.e = [[]]}")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.TrimPrefix(text, "\uFEFF")
		found, rest, refusal, line := scan(text)
		if refusal != "" {
			return
		}
		if line > strings.Count(text, "\n")+1 {
			t.Fatalf("line %d", line)
		}
		var tree map[string]any
		if _, err := toml.Decode(text, &tree); err != nil {
			return
		}
		want := map[string]bool{}
		paths(tree, "", want)
		delete(want, "")
		if rest != "" {
			t.Fatalf("stopped at %q", rest)
		}
		got := map[string]bool{}
		for path, line := range found {
			got[path] = true
			if line < 1 || line > strings.Count(text, "\n")+1 {
				t.Errorf("%s in line %d", path, line)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("found %v\nwant %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	})
}

// paths lists every place in a tree.
func paths(v any, path string, all map[string]bool) {
	all[path] = true
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			paths(e, child(path, name), all)
		}
	case []map[string]any:
		for i, e := range v {
			paths(e, element(path, i), all)
		}
	case []any:
		for i, e := range v {
			paths(e, element(path, i), all)
		}
	}
}
