package remedy

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"wpmend/php/ini"
)

func TestManaged(t *testing.T) {
	t.Parallel()
	nothing := func(string) bool { return false }
	for _, tc := range []struct {
		file, text string
		there      string
		by         string // "" nobody
	}{
		{"/etc/php/8.2/fpm/pool.d/www.conf", "; Start a new pool named 'www'.\n; Note: this is generated on the fly if you set it\n[www]\n", "", ""},
		{"/etc/php/8.2/fpm/pool.d/shop.conf", "[shop]\n", "/usr/local/hestia/bin", "Hestia"},
		{"/etc/php/8.2/fpm/pool.d/shop.conf", "[shop]\n", "/usr/bin/clpctl", "CloudPanel"},
		{"/opt/cpanel/ea-php82/root/etc/php-fpm.d/shop.test.conf", "[shop]\n", "", "cPanel"},
		{"/opt/plesk/php/8.2/etc/php-fpm.d/shop.test.conf", "", "", "Plesk"},
		{"/usr/local/directadmin/data/users/joe/php/php-fpm82.conf", "", "", "DirectAdmin"},
		{"/opt/alt/php-fpm82/usr/etc/php-fpm.d/users/joe.conf", "", "", "CWP"},
		{"/etc/php82rc/fpm.d/app.conf", "", "", "RunCloud"},
		{"/www/server/php/82/etc/php-fpm.conf", "", "", "aaPanel"},
		{"/srv/pool.conf", "; ATTENTION! DO NOT MODIFY THIS FILE BECAUSE IT WAS GENERATED AUTOMATICALLY\n[x]\n", "", "a program"},
		{"/srv/pool.conf", "[x]\nenv[NOTE] = \"do not edit\"\n", "", ""},
	} {
		exists := nothing
		if tc.there != "" {
			exists = func(path string) bool { return path == tc.there }
		}
		got := managed(tc.file, []byte(tc.text), exists, "shop.test", []string{"pm.max_children = 9"})
		switch {
		case tc.by == "" && got != nil:
			t.Errorf("%s: %v", tc.file, got)
		case tc.by != "" && (got == nil || !strings.HasPrefix(got.By, tc.by) || !strings.Contains(got.Do, "pm.max_children = 9")):
			t.Errorf("%s: %v, want %s", tc.file, got, tc.by)
		}
	}
}

// FuzzUserINI: what is there stays byte for byte, what is set counts, and a second setting keeps the first.
func FuzzUserINI(f *testing.F) {
	f.Add([]byte("; note\r\nmemory_limit=96M"), "why\nnot; \"x")
	f.Add([]byte(""), "")
	f.Add([]byte("a = 1\n; wpmend: begin\nmemory_limit = 3M\n; wpmend: end\nb = 2\n"), "x")
	f.Add([]byte("[PATH=/x]\na=1"), "x")
	f.Fuzz(func(t *testing.T, was []byte, why string) {
		l := Limits{Was: was, Why: why, Now: time.Unix(1e9, 0), PHP: []ini.Setting{{Name: ini.Memory, Value: "128M"}}}
		first, err := l.userINI()
		if err != nil {
			return
		}
		before, own, behind := cutBlock(was)
		kept := append(bytes.Clone(before), behind...)
		if !bytes.HasPrefix(first, kept) {
			t.Fatalf("%q became %q", was, first)
		}
		l.Was, l.PHP = first, []ini.Setting{{Name: ini.MaxExecution, Value: "77"}}
		second, err := l.userINI()
		if err != nil {
			t.Fatalf("%q: %v", first, err)
		}
		f, err := ini.Parse(second)
		memory, _ := f.Get(ini.Memory)
		execution, _ := f.Get(ini.MaxExecution)
		if err != nil || memory != "128M" || execution != "77" {
			t.Fatalf("%q: %q %q %v", second, memory, execution, err)
		}
		if own == nil && !bytes.HasPrefix(second, was) {
			t.Fatalf("%q became %q", was, second)
		}
	})
}
