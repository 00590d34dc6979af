package wp

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Debian's own core, by its package's sums and through a link, is whole.
func TestCoreCheckOfDebian(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	if err := os.Symlink(debianCore, filepath.Join(parent, "wp")); err != nil {
		t.Fatal(err)
	}
	for dir, core := range map[string]string{debianCore: "", parent: "wp"} {
		tree := openTree(t, dir)
		if faults, err := CoreCheck(tree, core); len(faults) != 0 || err != nil {
			t.Errorf("%s: %v, %v", dir, faults, err)
		}
		manifest, err := os.ReadFile(debianManifest)
		if err != nil {
			t.Fatal(err)
		}
		// The same sums, one of them of another file.
		manifest = append([]byte(strings.Repeat("0", 32)+"  usr/share/wordpress/wp-includes/load.php\n"+
			strings.Repeat("0", 32)+"  usr/share/wordpress/wp-includes/none.php\n"+
			strings.Repeat("0", 32)+"  usr/share/wordpress/../../../etc/x.php\nnonsense\n"), manifest...)
		faults, err := compare(tree, core, manifest)
		want := []CoreFault{{"wp-includes/load.php", CoreChanged}, {"wp-includes/none.php", CoreMissing}}
		if !slices.Equal(faults, want) || err != nil {
			t.Errorf("%s: %v, %v", dir, faults, err)
		}
	}
}

// Elsewhere there is no manifest: what every page needs must be there.
func TestCoreCheckOfACopy(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if out, err := exec.Command("cp", "-rL", debianCore, filepath.Join(root, "wp")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tree := openTree(t, root)
	check := func(want ...CoreFault) {
		t.Helper()
		faults, err := CoreCheck(tree, "wp")
		if !slices.Equal(faults, want) || err != nil {
			t.Errorf("%v, %v, want %v", faults, err, want)
		}
	}
	check()
	in := func(file string) string { return filepath.Join(root, "wp", file) }
	// Somebody's patch is no damage where nothing says what the file should hold.
	if err := os.WriteFile(in("wp-includes/load.php"), []byte("<?php // mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	check()
	if err := os.Truncate(in("wp-includes/load.php"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(in(versionFile)); err != nil {
		t.Fatal(err)
	}
	check(CoreFault{versionFile, CoreMissing}, CoreFault{"wp-includes/load.php", CoreEmpty})
	if err := os.Remove(in("wp-settings.php")); err != nil {
		t.Fatal(err)
	}
	check(CoreFault{"wp-settings.php", CoreMissing}, CoreFault{versionFile, CoreMissing})
	if err := os.Symlink("/etc/shadow", in("wp-settings.php")); err != nil {
		t.Fatal(err)
	}
	if faults, err := CoreCheck(tree, "wp"); !errors.Is(err, ErrRefused) {
		t.Errorf("%v, %v", faults, err)
	}
}
