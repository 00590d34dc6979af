package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wpmend/packaging/lab"
)

// A stand-in for wpmend: what heal does is the test's, the rest only answers.
const standIn = `#!/bin/sh
# --config FILE --state DIR COMMAND
root=$(sed 's/only = \["\(.*\)"\]/\1/' "$2")
case $5 in
check) echo "checked $6"; exit 3 ;;
heal) cd "$root/wp-content/plugins" || exit 1
HEAL
;;
*) echo "$5 of $root" ;;
esac
`

func TestShow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault lab.Fault
		heal  string
		want  error
		says  []string
	}{
		"healed": {lab.Fatal, "mv plugin-17 .away", nil, []string{
			`30 of 30 plugins at work`,
			`only = \["(/tmp/wpmend-lab-\d+)/www/shop\.lab\.test"\]`,
			`It breaks: plugin-17 now calls a function that does not exist`,
			`answers 500 Internal Server Error \(`,
			`\$ wpmend --config /tmp/wpmend-lab-\d+/wpmend\.toml --state /tmp/wpmend-lab-\d+/state check shop\.lab\.test\nchecked shop\.lab\.test\n   \(exit code 3, `,
			`29 of 30 plugins at work`,
			`incidents of /tmp/wpmend-lab-\d+/www/shop.lab.test\n`,
		}},
		"not healed":    {lab.Blank200, "exit 4", errNotHealed, []string{`answers 200 OK, an empty page`}},
		"named only":    {lab.Maintenance, "exit 4", nil, []string{`not wpmend's to mend`}},
		"claims, lies":  {lab.Maintenance, "exit 0", errNotHealed, nil},
		"wpmend failed": {lab.Segfault, "exit 1", errors.New("wpmend heal did not work: exit code 1"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(t.TempDir(), "wpmend")
			if err := os.WriteFile(program, []byte(strings.Replace(standIn, "HEAL", c.heal, 1)), 0o700); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err := show(t.Context(), &out, program, c.fault, false)
			if c.want == nil && err != nil || c.want != nil && (err == nil || err.Error() != c.want.Error()) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			for _, want := range c.says {
				if !regexp.MustCompile(want).Match(out.Bytes()) {
					t.Errorf("no %s in\n%s", want, &out)
				}
			}
			dir := regexp.MustCompile(`/tmp/wpmend-lab-\d+`).FindString(out.String())
			if _, err := os.Lstat(dir); dir == "" || !os.IsNotExist(err) {
				t.Errorf("the lab %q is left: %v", dir, err)
			}
		})
	}
}
