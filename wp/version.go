package wp

import (
	"fmt"
	"path"
	"regexp"
)

// versionFile is what makes a folder a WordPress, together with wp-load.php.
const versionFile = "wp-includes/version.php"

// maxVersionFile: WordPress's own has 1 kB.
const maxVersionFile = 64 << 10

var versionLine = regexp.MustCompile(`(?m)^\s*\$wp_version\s*=\s*['"]([0-9A-Za-z.+_-]{1,64})['"]\s*;`)

// Version reads WordPress's own version from the wp-includes/version.php of its
// core, which lies in that folder of the tree, "" for the tree's own.
func Version(t *Tree, core string) (string, error) {
	file := path.Join(core, versionFile)
	b, err := t.ReadFile(file, maxVersionFile)
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(b)
	if m == nil {
		return "", fmt.Errorf("%s does not set $wp_version", t.path(file))
	}
	return string(m[1]), nil
}
