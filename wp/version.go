package wp

import (
	"fmt"
	"regexp"
)

// versionFile is what makes a folder a WordPress, together with wp-load.php.
const versionFile = "wp-includes/version.php"

// maxVersionFile: WordPress's own has 1 kB.
const maxVersionFile = 64 << 10

var versionLine = regexp.MustCompile(`(?m)^\s*\$wp_version\s*=\s*['"]([0-9A-Za-z.+_-]{1,64})['"]\s*;`)

// Version reads WordPress's own version from its wp-includes/version.php.
func Version(t *Tree) (string, error) {
	b, err := t.ReadFile(versionFile, maxVersionFile)
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(b)
	if m == nil {
		return "", fmt.Errorf("%s does not set $wp_version", t.path(versionFile))
	}
	return string(m[1]), nil
}
