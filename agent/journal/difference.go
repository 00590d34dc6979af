package journal

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// maxShown bounds how many lines of a difference are shown.
const maxShown = 12

// secret is a line that sets what should not be shown: a file that is replaced may hold
// passwords beside the lines that wpmend changes.
var secret = regexp.MustCompile(`(?i)^(.*?(?:env\[|pass|pw\b|secret|salt|token|auth|_key)[^=\s]*[\s=]+).+`)

// difference says which lines go (-) and which come (+), and nothing of the others.
func difference(before, after []byte) []string {
	gone, come := changed(before, after)
	all := len(gone) + len(come)
	if all == 0 {
		return []string{"no line changes"}
	}
	gone = gone[:min(len(gone), maxShown)]
	come = come[:min(len(come), maxShown-len(gone))]
	var lines []string
	for _, l := range gone {
		lines = append(lines, "- "+line(l))
	}
	for _, l := range come {
		lines = append(lines, "+ "+line(l))
	}
	if more := all - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more lines", more))
	}
	return lines
}

// line shows a line of a file in one line of a terminal.
func line(l string) string {
	l = strings.ReplaceAll(strings.TrimSpace(l), "\t", " ")
	if m := secret.FindStringSubmatch(l); m != nil {
		l = m[1] + "…"
	}
	if cut := []rune(l); len(cut) > 160 {
		l = string(cut[:160]) + "…"
	}
	return shown([]byte(l))
}

// changed are the lines of each content that the other has not, or fewer times.
func changed(before, after []byte) (gone, come []string) {
	count := map[string]int{}
	old, now := lines(before), lines(after)
	for _, l := range now {
		count[l]++
	}
	for _, l := range old {
		if count[l]--; count[l] < 0 {
			gone = append(gone, l)
		}
	}
	clear(count)
	for _, l := range old {
		count[l]++
	}
	for _, l := range now {
		if count[l]--; count[l] < 0 {
			come = append(come, l)
		}
	}
	return gone, come
}

func lines(content []byte) []string {
	if len(content) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(content, []byte("\n"))), "\n")
}

// gone tells whether nothing of a replacement is left in a file that somebody edited
// since: no line that it brought, or, if it brought none, every line that it took away
// is back.
func gone(f *File, now *held) bool {
	if now == nil {
		return f.After != nil
	}
	went, came := changed(f.Before, f.After)
	there := lines(now.data)
	if len(came) > 0 {
		return !slices.ContainsFunc(came, func(l string) bool { return slices.Contains(there, l) })
	}
	return !slices.ContainsFunc(went, func(l string) bool { return !slices.Contains(there, l) })
}
