package evidence

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/errlog"
	"wpmend/php/lint"
	"wpmend/wp"
)

// A customer writes another's file into his own log, as one that does not parse: wpmend
// would read it as root and hand it to a process of the customer's, who can look into
// his own processes. No file that he cannot read himself gets there.
func TestAttackLint(t *testing.T) {
	t.Parallel()
	const attacker, victim = 33, 54321
	base, err := os.MkdirTemp("", "wpmend-lint")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(base) })
	if err := os.Chmod(base, 0o755); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(base, "a/www")
	const secret = "<?php define( 'DB_PASSWORD', 'SECRET );\n" // does not parse: it would be told
	for _, f := range []struct {
		name string
		uid  int
		mode os.FileMode
	}{
		{"a/www/wp-config.php", attacker, 0o600}, {"a/www/roots.php", 0, 0o600}, {"a/www/b/wp-config.php", victim, 0o600},
		{"a/wp-config.php", victim, 0o600}, {"b/wp-config.php", victim, 0o600}, {"wp-config.php", 0, 0o644},
	} {
		name := filepath.Join(base, f.name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(secret), f.mode), os.Chown(name, f.uid, f.uid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(root, attacker, attacker), os.Chown(filepath.Dir(root), attacker, attacker)); err != nil {
		t.Fatal(err)
	}
	binary := "/usr/bin/php8.2"
	attacks := []struct {
		file string
		told bool // that it does not parse: it was read and handed over
	}{
		{"a/www/wp-config.php", true}, // his own: so the test shows something
		{"a/www/roots.php", false},
		{"a/www/b/wp-config.php", false},
		{"a/wp-config.php", false}, // the one that WordPress takes, but his PHP cannot
		{"b/wp-config.php", false},
		{"a/www/../../b/wp-config.php", false},
		{"wp-config.php", false}, // any may read it, but it is nothing of the site's
	}
	escapes := 0
	for _, a := range attacks {
		l := linting{site: site.Site{Root: root, Owner: attacker, Group: attacker}, wp: site.WordPress{Config: wp.Config{File: root + "/none.php"}},
			errors: []diagnose.Line[errlog.PHPError]{{Record: errlog.PHPError{Kind: "Parse error", File: base + "/" + a.file}}}}
		tree, err := wp.OpenTree(root, attacker)
		if err != nil {
			t.Fatal(err)
		}
		told := false
		for _, f := range l.files(context.Background(), tree) {
			fault, err := f.lint(context.Background(), tree, lint.PHP{Binary: binary, UID: attacker, GID: attacker})
			if err != nil {
				t.Errorf("%s: %v", a.file, err)
			}
			told = told || fault != nil
		}
		tree.Close()
		if told != a.told {
			escapes++
			t.Errorf("%s: handed over %v, want %v", a.file, told, a.told)
		}
	}
	t.Logf("attacks: %d, escapes: %d", len(attacks)-1, escapes)
}
