package fpm

import "testing"

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"/run/php/php8.2-fpm.sock":      "unix:/run/php/php8.2-fpm.sock",
		"unix:/run/php/php8.2-fpm.sock": "unix:/run/php/php8.2-fpm.sock",
		"/var/run/php//./a:b.sock":      "unix:/run/php/a:b.sock",
		"9000":                          "127.0.0.1:9000",
		"*:9000":                        "127.0.0.1:9000",
		":9000":                         "127.0.0.1:9000",
		"0.0.0.0:9000":                  "127.0.0.1:9000",
		"[::]:9000":                     "127.0.0.1:9000",
		"LocalHost:9000":                "127.0.0.1:9000",
		"127.0.0.1:09000":               "127.0.0.1:9000",
		"[::1]:9000":                    "[::1]:9000",
		"[0:0:0:0:0:0:0:1]:9000":        "[::1]:9000",
		"10.1.2.3:9001":                 "10.1.2.3:9001",
		"php:9000":                      "php:9000",
	} {
		a, err := ParseAddress(text)
		if err != nil || a.String() != want {
			t.Errorf("%s: %s, %v; want %s", text, a, err, want)
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Errorf("%s is read again as %s, %v", a, again, err)
		}
	}
	for text, want := range map[string]string{
		"":              "the listen address is empty",
		"php.sock":      `socket "php.sock" is not an absolute path`,
		"unix:php.sock": `socket "unix:php.sock" is not an absolute path`,
		"0":             `socket "0" is not an absolute path`,
		"host:":         `listen address "host:": "" is not a port`,
		"host:65536":    `listen address "host:65536": "65536" is not a port`,
		"a b:1":         `listen address "a b:1" has no host`,
		"/a\nb":         `listen address "/a\nb" holds a control character`,
	} {
		if a, err := ParseAddress(text); err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v; want %s", text, a, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"/run/a.sock", "9000", "[::]:9000", "unix:/a", "localhost:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Errorf("%q is %v, which is read as %v, %v", s, a, again, err)
		}
	})
}
