package gateway

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// apacheConditions are the open <IfModule> and the like of one file; what they hold is part of what is around them.
type apacheConditions struct {
	file string
	open []openCondition
	off  int // how many of them do not hold
}

type openCondition struct {
	name string
	on   bool
}

// take takes the lines that begin or end a condition, and those that are not in force.
func (c *apacheConditions) take(f *apacheFiles, line string, number int) (bool, error) {
	where := fmt.Sprintf("%s:%d", c.file, number)
	word, rest := cutBlank(strings.TrimSuffix(line, ">"))
	word = strings.ToLower(word)
	if name, ok := strings.CutPrefix(word, "</"); ok && isCondition(name) {
		n := len(c.open) - 1
		if n < 0 || c.open[n].name != name {
			return false, fmt.Errorf("%s: %s ends a section that is not open", where, line)
		}
		if !c.open[n].on {
			c.off--
		}
		c.open = c.open[:n]
		return true, nil
	}
	name, ok := strings.CutPrefix(word, "<")
	if !ok || !isCondition(name) {
		return c.off > 0, nil
	}
	rest, err := f.expand(rest)
	if err != nil {
		return false, fmt.Errorf("%s: %w", where, err)
	}
	on := c.off > 0 || f.holds(name, rest, where)
	if !on {
		c.off++
	}
	if c.open = append(c.open, openCondition{name, on}); len(c.open) > maxDepth {
		return false, fmt.Errorf("%s: conditions are nested deeper than %d", where, maxDepth)
	}
	return true, nil
}

func (c *apacheConditions) done() error {
	if n := len(c.open); n > 0 {
		return fmt.Errorf("%s: <%s> is not closed", c.file, c.open[n-1].name)
	}
	return nil
}

func isCondition(name string) bool {
	switch name {
	case "ifmodule", "ifdefine", "ifversion", "iffile", "ifdirective", "ifsection":
		return true
	}
	return false
}

// holds judges a condition; one that cannot be judged is a problem and holds not.
func (f *apacheFiles) holds(kind, text, where string) bool {
	words := apacheWords(text)
	if len(words) == 0 {
		return false
	}
	name, negated := strings.CutPrefix(words[0], "!")
	var on bool
	switch kind {
	case "ifmodule":
		on = f.run.has(moduleName(name))
	case "ifdefine":
		_, on = f.defines[name]
	case "ifversion":
		var known bool
		if on, known = versionHolds(f.version, name, words[1:]); !known {
			f.problems.add(where, "<%s %s> cannot be judged; what it holds is passed over", kind, text)
			return false
		}
	case "iffile":
		_, err := os.Stat(name)
		on = err == nil
	default:
		f.problems.add(where, "<%s %s> cannot be judged; what it holds is passed over", kind, text)
		return false
	}
	return on != negated
}

// moduleName is the name in the list of modules of what <IfModule> may call by its source file.
func moduleName(name string) string {
	file, ok := strings.CutSuffix(name, ".c")
	if !ok {
		return name
	}
	switch file {
	case "prefork", "worker", "event":
		return "mpm_" + file + "_module"
	case "http_core":
		return "http_module"
	case "util_ldap":
		return "ldap_module"
	case "mpm_itk", "itk":
		return "mpm_itk_module"
	}
	return strings.TrimPrefix(file, "mod_") + "_module"
}

// versionHolds judges <IfVersion [OPERATOR] VERSION>; expressions are not judged.
func versionHolds(version, first string, more []string) (on, known bool) {
	operator, wanted := "=", first
	if len(more) > 0 {
		operator, wanted = first, more[0]
	}
	order, ok := compareVersions(version, wanted)
	if !ok {
		return false, false
	}
	switch operator {
	case "=", "==":
		return order == 0, true
	case ">":
		return order > 0, true
	case ">=":
		return order >= 0, true
	case "<":
		return order < 0, true
	case "<=":
		return order <= 0, true
	}
	return false, false
}

// compareVersions compares "2.4.71" with up to three numbers; those left out are 0 (match_version).
func compareVersions(a, b string) (order int, ok bool) {
	have, want := strings.Split(a, "."), strings.Split(b, ".")
	for i := range 3 {
		var x, y uint64
		var err error
		if i < len(have) {
			if x, err = strconv.ParseUint(have[i], 10, 32); err != nil {
				return 0, false
			}
		}
		if i < len(want) {
			if y, err = strconv.ParseUint(want[i], 10, 32); err != nil {
				return 0, false
			}
		}
		if x != y {
			if x < y {
				return -1, true
			}
			return 1, true
		}
	}
	return 0, true
}
