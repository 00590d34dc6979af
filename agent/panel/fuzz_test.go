package panel

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"wpmend/php/ini"
)

func unmarshalStrict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Whatever is read and taken for well-formed is, printed again, read as the same.
func FuzzQuoted(f *testing.F) {
	f.Add("DOMAIN='a.example' IP='10.0.0.1' ALIAS='' SUSPENDED='no'")
	f.Add(`A='x'B=y C=a\ b D='it'\''s'`)
	f.Add("A='it''s' ")
	f.Fuzz(func(t *testing.T, line string) {
		pairs, ok := quoted(line)
		if !ok {
			return
		}
		var b strings.Builder
		for k, v := range pairs {
			b.WriteString(k + "='" + strings.ReplaceAll(v, "'", `'\''`) + "' ")
		}
		if again, ok := quoted(b.String()); !ok || !maps.Equal(again, pairs) {
			t.Fatalf("%q is %q, and printed again %q", line, pairs, again)
		}
	})
}

// A file that is changed says the key once, with the new value, and keeps every other line.
func FuzzYAML(f *testing.F) {
	f.Add([]byte("---\n_is_present: 1\npm_max_children: 5\n"), "pm_max_children")
	f.Add([]byte("---\na:\n  name: x\n\n# c\nb: { name: 'x', value: 1 }"), "a")
	f.Fuzz(func(t *testing.T, text []byte, key string) {
		if !isKey(key) || strings.Contains(key, "-") {
			return
		}
		once, err := yamlSet(text, key, "7")
		if err != nil {
			return
		}
		lines := func(text []byte) (kept []string) {
			for l := range strings.Lines(string(text)) {
				if strings.TrimRight(l, "\n") != key+": 7" {
					kept = append(kept, strings.TrimRight(l, " \r\n"))
				}
			}
			return kept
		}
		if n := strings.Count("\n"+string(once), "\n"+key+": 7\n"); n != 1 {
			t.Fatalf("%d times in %q", n, once)
		}
		for _, l := range lines(once) {
			if !slices.Contains(lines(text), l) {
				t.Fatalf("%q is new in %q", l, once)
			}
		}
		twice, err := yamlSet(once, key, "7")
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("set again: %v\n%q\n%q", err, once, twice)
		}
	})
}

// No answer of a panel's gives a site that is no name, and none makes wpmend fall.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(whmAccounts), []byte(whmDomains))
	f.Add([]byte("shop.example\t0\t0\tshop\t/x\ta@example.com\t0\n"), []byte("[{\"domain\":\"a.b\",\"admin\":[],\"state\":1}]"))
	f.Add([]byte("Id 1\nCommand /usr/bin/wpmend sites --refresh\n"), []byte("0"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		lists := []List{pleskList(string(a))}
		if l, err := cpanelList(a, b); err == nil {
			lists = append(lists, l)
		}
		if l, err := cyberList(b); err == nil {
			lists = append(lists, l)
		}
		for _, l := range lists {
			for _, s := range valid(l).Sites {
				if !isDomain(s.Domain) || !isUser(s.Account) || s.Account == "root" || strings.ContainsAny(s.Contact+s.Root, "\n\x00") || s.Root != "" && s.Root[0] != '/' {
					t.Fatalf("%+v", s)
				}
			}
		}
		for _, c := range pleskHandlers(a) {
			if len(c) != 5 || strings.Trim(c[4], "0123456789") != "" {
				t.Fatalf("%q", c)
			}
		}
	})
}

// A template that is filled holds the settings at its pool, keeps its first lines, and is still read as PHP reads it.
func FuzzTemplates(f *testing.F) {
	f.Add([]byte(hestiaFiles["/usr/local/hestia/data/templates/web/php-fpm/PHP-8_2.tpl"]), "shop.example")
	f.Add([]byte("[php-fpm-pool-settings]\npm = static\n"), "alice")
	f.Add([]byte("|*if USER=\"alice\"|\n; wpmend: alice, x\na = 1\n|*endif|\n"), "alice")
	f.Fuzz(func(t *testing.T, base []byte, name string) {
		if text, err := hestiaFill(base, "shop.example", false, one); err == nil {
			f, err := ini.Parse(text)
			if err != nil {
				t.Fatalf("%v in %q", err, text)
			}
			pool := ""
			for _, e := range f.Entries() {
				if e.Name == "listen" {
					pool = e.Section
				}
			}
			if v, _ := f.GetIn(pool, "request_terminate_timeout"); v != "120s" {
				t.Fatalf("%q in %q", v, text)
			}
		}
		if text, err := pleskSet(base, one); err == nil {
			f, err := ini.Parse(text)
			if v, _ := f.GetIn(pleskSection, "pm.max_children"); v != "12" || err != nil {
				t.Fatalf("%q in %q, %v", v, text, err)
			}
		}
		if !isUser(name) {
			return
		}
		if text, err := daSet(base, name, one); err == nil {
			again, err := daSet(text, name, one)
			if err != nil || !bytes.Equal(text, again) {
				t.Fatalf("set again: %v\n%q\n%q", err, text, again)
			}
		}
	})
}
