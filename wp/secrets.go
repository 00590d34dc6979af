package wp

import (
	"maps"
	"regexp"
	"slices"
)

// secretConstant are the names by which wp-config.php keeps secrets: those of
// wp-config-sample.php, and what plugins call theirs.
var secretConstant = regexp.MustCompile(`(?i)(PASS(WORD|WD)?|SECRET|TOKEN|SALT|KEY|CREDENTIALS?)(_|$)`)

// Secrets are the known values of constants that must not be told to anybody, sorted.
func (c Config) Secrets() []string {
	var secrets []string
	for _, name := range slices.Sorted(maps.Keys(c.Constants)) {
		if v := c.Constants[name]; v.Known && v.Text != "" && secretConstant.MatchString(name) {
			secrets = append(secrets, v.Text)
		}
	}
	slices.Sort(secrets)
	return slices.Compact(secrets)
}
