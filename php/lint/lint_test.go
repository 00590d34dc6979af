package lint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

const fpmBinary = "/usr/sbin/php-fpm8.2"

func cli(t *testing.T) PHP {
	t.Helper()
	binary, err := CLI(t.Context(), fpmBinary)
	if err != nil {
		t.Fatal(err)
	}
	return PHP{Binary: binary, UID: 33, GID: 33}
}

// The real PHP, on code that is whole and code that is not.
func TestLint(t *testing.T) {
	t.Parallel()
	php := cli(t)
	short := php
	short.ShortTags = true
	for _, tc := range []struct {
		php  PHP
		code string
		line int
		says string
	}{
		{php, "<?php echo 1;", 0, ""},
		{php, "", 0, ""},
		{php, "no code at all", 0, ""},
		{php, "<?php\ndefine('A', 'b')\ndefine('C', 'd');\n", 3, "syntax error"},
		{php, "<?php\nif (true) {\n", 3, "Unclosed '{'"},
		{php, "<?php\n$a = 'in Standard input code on line 99'; function f() {} function f() {}", 2, "Cannot redeclare"},
		{php, "<?php\n\nfoo 'x in Standard input code on line 77';", 3, "unexpected single-quoted string"},
		{php, "<?php eval('x x x');", 0, ""},
		{php, "<?xml version='1.0'?><a/>", 0, ""},
		{short, "<?xml version='1.0'?><a/>", 1, "syntax error"},
		{php, "<?php\n__halt_compiler(); ((((", 0, ""},
		{php, "<?php class A extends NoSuchClass implements NoSuchInterface { use NoSuchTrait; }", 0, ""},
		{php, "<?php \x00\xff\xfe", 1, ""},
		{php, "<?php\n" + strings.Repeat("[", 200_000), 2, ""},
	} {
		f, err := tc.php.Lint(t.Context(), []byte(tc.code))
		switch {
		case err != nil:
			if len(tc.code) < 100 {
				t.Errorf("%.60q: %v", tc.code, err)
			}
		case tc.says == "" && tc.line == 0:
			if f != nil {
				t.Errorf("%.60q: %+v", tc.code, f)
			}
		case f == nil || tc.line != 0 && f.Line != tc.line || !strings.Contains(f.Text, tc.says):
			t.Errorf("%.60q: %+v, want line %d, %q", tc.code, f, tc.line, tc.says)
		}
	}
}

// What a php that is no PHP shows of whoever runs it: not root, no groups, no
// environment, no new rights, and bounds.
func TestWhoRuns(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "php")
	for _, dir := range []string{filepath.Dir(fake), filepath.Dir(filepath.Dir(fake))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script := "#!/bin/sh\ncat >/dev/null\nid; env; grep NoNewPrivs /proc/self/status; ulimit -t; ulimit -f; pwd; exit 1\n"
	if err := os.WriteFile(fake, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SECRET", "x")
	_, err := PHP{Binary: fake, UID: 33, GID: 33}.Lint(t.Context(), []byte("<?php"))
	if err == nil {
		t.Fatal("what is no PHP has judged code")
	}
	said := err.Error()
	for _, want := range []string{"uid=33(www-data) gid=33(www-data) groups=33(www-data)\n", "NoNewPrivs:\t1", "\n3\n0\n/"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks %q", said, want)
		}
	}
	if strings.Contains(said, "SECRET") {
		t.Errorf("%q has our environment", said)
	}
	// Our own threads keep the right to more rights.
	for range 20 {
		status, err := os.ReadFile("/proc/thread-self/status")
		if err != nil || !strings.Contains(string(status), "NoNewPrivs:\t0") {
			t.Fatalf("%v\n%s", err, status)
		}
	}
	if _, err := (PHP{Binary: fake, UID: 0, GID: 33}).Lint(t.Context(), nil); !errors.Is(err, errRoot) {
		t.Errorf("as root: %v", err)
	}
	if _, err := cli(t).Lint(t.Context(), make([]byte, MaxCode+1)); err == nil {
		t.Error("a huge file was looked at")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cli(t).Lint(ended, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestCLI(t *testing.T) {
	t.Parallel()
	if got, err := CLI(t.Context(), fpmBinary); got != "/usr/bin/php8.2" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, fpm := range []string{"", "php-fpm8.2", "/usr/sbin/nginx", "/usr/sbin/php-fpm9.9", "/srv/customer/sbin/php-fpm8.2", "/usr/sbin/php-fpm/../../bin/sh"} {
		if got, err := CLI(t.Context(), fpm); got != "" || !errors.Is(err, ErrNoCLI) {
			t.Errorf("%s: %q, %v", fpm, got, err)
		}
	}
	// Without a version in the name the two are compared; this one says nothing.
	dir := t.TempDir()
	for _, name := range []string{"bin/php", "sbin/php-fpm"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := CLI(t.Context(), dir+"/sbin/php-fpm"); got != "" || !errors.Is(err, ErrNoCLI) {
		t.Errorf("%q, %v", got, err)
	}
}

// Whatever is printed: a fault has a line and text that is fit to be shown.
func FuzzParse(f *testing.F) {
	f.Add("\nParse error: syntax error, unexpected end of file in Standard input code on line 3\nErrors parsing Standard input code\n")
	f.Add("PHP Fatal error:  Cannot redeclare f() (previously declared in Standard input code:1) in Standard input code on line 2")
	f.Fuzz(func(t *testing.T, said string) {
		fault, ok := parse(said)
		if !ok {
			return
		}
		if fault.Line < 1 || !utf8.ValidString(fault.Text) || len(fault.Text) > 600 {
			t.Errorf("%q: %+v", said, fault)
		}
		if !strings.Contains(said, fmt.Sprint("on line ", fault.Line)) && !strings.Contains(said, "on line 0") {
			t.Errorf("%q: line %d is nobody's word", said, fault.Line)
		}
	})
}
