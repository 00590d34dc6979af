package wp

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile are names that a site's disk can hold.
var hostile = []string{
	"akismet", "hello.php", "my plugin", "50%", "%41", "a:b", "plugin:a", "a,b", "größe", "日本",
	"new\nline", "\x1b[31mred", "\xff\xfe", "a\xc3", "\u202egpj.php", "\u200bzero", "tab\t", "..a", "...",
	"'; DROP", `back\slash`, strings.Repeat("x", 255), strings.Repeat("\xf0\x9f\x98\x80", 63), "\ufffd",
}

func TestIDIsPrintableAndReadBack(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, kind := range []string{KindPlugin, KindTheme, KindMUPlugin, KindDropIn, KindPrepend} {
		for _, name := range hostile {
			id := Component{Kind: kind, Name: name}.ID()
			if other, ok := seen[id]; ok {
				t.Errorf("%q and %q are both %q", name, other, id)
			}
			seen[id] = name
			if strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }) || !utf8.ValidString(id) {
				t.Errorf("%q does not print", id)
			}
			gotKind, gotName, err := ParseID(id)
			if gotKind != kind || gotName != name || err != nil {
				t.Errorf("ParseID(%q) = %q, %q, %v", id, gotKind, gotName, err)
			}
		}
	}
	if id := (Component{Kind: KindPlugin, Name: "a\nb%\xff"}).ID(); id != "plugin:a%0Ab%25%FF" {
		t.Errorf("ID %q", id)
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"akismet":          `"akismet" is not a component: write kind:name, the kind being plugin, theme, mu-plugin, drop-in or prepend`,
		"plugins:akismet":  `"plugins:akismet" is not a component: write kind:name, the kind being plugin, theme, mu-plugin, drop-in or prepend`,
		"plugin:":          `"plugin:" is not a component: "" cannot be the name of a file`,
		"plugin:..":        `"plugin:.." is not a component: ".." cannot be the name of a file`,
		"plugin:a/b":       `"plugin:a/b" is not a component: "a/b" cannot be the name of a file`,
		"plugin:a%2Fb":     `"plugin:a%2Fb" is not a component: "a%2Fb" cannot be the name of a file`,
		"plugin:%41":       `"plugin:%41" is not a component: "%41" cannot be the name of a file`,
		"plugin:50%":       `"plugin:50%" is not a component: "50%" cannot be the name of a file`,
		"plugin:a%0a":      `"plugin:a%0a" is not a component: "a%0a" cannot be the name of a file`,
		"theme:a\x00":      `"theme:a\x00" is not a component: "a\x00" cannot be the name of a file`,
		"drop-in:new\nrow": `"drop-in:new\nrow" is not a component: "new\nrow" cannot be the name of a file`,
	} {
		if _, _, err := ParseID(id); err == nil || err.Error() != want {
			t.Errorf("ParseID(%q): %v", id, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, name := range hostile {
		f.Add("plugin:"+name, name)
		f.Add(Component{Kind: KindTheme, Name: name}.ID(), name)
	}
	f.Fuzz(func(t *testing.T, id, name string) {
		if kind, name, err := ParseID(id); err == nil {
			if again := (Component{Kind: kind, Name: name}).ID(); again != id {
				t.Errorf("%q is read as %q", id, again)
			}
		}
		if !validName(name) {
			return
		}
		if kind, got, err := ParseID(Component{Kind: KindPlugin, Name: name}.ID()); kind != KindPlugin || got != name || err != nil {
			t.Errorf("name %q comes back as %q, %v", name, got, err)
		}
	})
}
