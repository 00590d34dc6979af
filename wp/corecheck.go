package wp

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The ways in which a file of WordPress' core is damaged.
const (
	CoreMissing = "missing"
	CoreEmpty   = "empty"
	CoreChanged = "changed" // not the file that the installed version's manifest names
)

// CoreFault is one damaged file of WordPress' core.
type CoreFault struct {
	File string // relative to the core's folder
	What string // CoreMissing, CoreEmpty or CoreChanged
}

func (f CoreFault) String() string { return f.File + " is " + f.What }

const (
	// maxCoreFile: the largest PHP file of WordPress 6 has 700 kB.
	maxCoreFile = 4 << 20
	// maxManifest: Debian's has 250 kB.
	maxManifest = 8 << 20
	// maxCoreFaults are enough to see a pattern.
	maxCoreFaults = 20
)

// coreEntry are the files through which every page goes; what wp-settings.php
// requires comes on top.
var coreEntry = [...]string{"wp-load.php", "wp-blog-header.php", "wp-settings.php", versionFile}

// coreRequire finds what wp-settings.php loads from the core. All of it is part of
// every release, even what only a network loads.
var coreRequire = regexp.MustCompile(`(?m)^\s*(?:require|include)(?:_once)?[ (]+ABSPATH \. (?:(WPINC) \. )?'/?([A-Za-z0-9_./-]+\.php)'`)

// CoreCheck looks for core files that an update left half done. Core is the core's
// folder within the tree, "" for the tree's own. It compares PHP files with the
// package's manifest where the core is the one that Debian installed. Elsewhere
// nothing on the host tells what a file should hold, so it only sees that every
// page needs it and it is missing or empty: no fault found means little there.
// At most 20 faults are returned.
func CoreCheck(t *Tree, core string) ([]CoreFault, error) {
	settings, err := t.ReadFile(path.Join(core, "wp-settings.php"), maxCoreFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	needed := coreEntry[:]
	for _, m := range coreRequire.FindAllSubmatch(settings, -1) {
		file := string(m[2])
		if len(m[1]) > 0 {
			file = path.Join("wp-includes", file)
		}
		if filepath.IsLocal(file) && !slices.Contains(needed, file) {
			needed = append(slices.Clip(needed), file)
		}
	}
	var faults []CoreFault
	for _, file := range needed {
		info, err := t.Stat(path.Join(core, file))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			faults = append(faults, CoreFault{file, CoreMissing})
		case err != nil:
			return nil, err
		case info.Mode().IsRegular() && info.Size() == 0:
			faults = append(faults, CoreFault{file, CoreEmpty})
		}
	}
	changed, err := coreChanged(t, core)
	for _, f := range changed {
		if !slices.ContainsFunc(faults, func(known CoreFault) bool { return known.File == f.File }) {
			faults = append(faults, f)
		}
	}
	return faults[:min(len(faults), maxCoreFaults)], err
}

// Where Debian's package puts WordPress, and the sums of its files
// (deb-md5sums(5)).
const (
	debianCore     = "/usr/share/wordpress"
	debianManifest = "/var/lib/dpkg/info/wordpress.md5sums"
)

// coreChanged compares the PHP files of the core with Debian's manifest. That the
// core is Debian's is seen by its files being the same files, through whatever link.
func coreChanged(t *Tree, core string) ([]CoreFault, error) {
	ours, err := t.Stat(path.Join(core, loader))
	if err != nil {
		return nil, nil // reported as missing
	}
	debians, err := os.Stat(filepath.Join(debianCore, loader))
	if err != nil || !os.SameFile(ours, debians) {
		return nil, nil
	}
	info, err := os.Stat(debianManifest)
	if err != nil || info.Size() > maxManifest {
		return nil, nil
	}
	manifest, err := os.ReadFile(debianManifest)
	if err != nil {
		return nil, fmt.Errorf("read the manifest of WordPress' package: %w", err)
	}
	return compare(t, core, manifest)
}

// compare takes a manifest of lines "MD5  usr/share/wordpress/FILE".
func compare(t *Tree, core string, manifest []byte) ([]CoreFault, error) {
	var faults []CoreFault
	for line := range strings.Lines(string(manifest)) {
		sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		file, ok := strings.CutPrefix(name, strings.TrimPrefix(debianCore, "/")+"/")
		if !ok || path.Ext(file) != ".php" || !filepath.IsLocal(file) || strings.HasPrefix(file, "wp-content/") {
			continue
		}
		text, err := t.ReadFile(path.Join(core, file), maxCoreFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			faults = append(faults, CoreFault{file, CoreMissing})
		case err != nil:
			return faults, err
		default:
			if got := md5.Sum(text); hex.EncodeToString(got[:]) != sum {
				faults = append(faults, CoreFault{file, CoreChanged})
			}
		}
		if len(faults) == maxCoreFaults {
			break
		}
	}
	return faults, nil
}
