package config

import "strings"

// nearest is the one of the names that was probably meant by name, or "".
func nearest(name string, names []string) string {
	if len(name) > 64 {
		return ""
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	best, least := "", 2+len(last)/4
	for _, n := range names {
		d := distance(strings.ToLower(name), n)
		if other := 1 + distance(strings.ToLower(last), n[strings.LastIndexByte(n, '.')+1:]); other < d {
			d = other // in another table
		}
		if d < least {
			best, least = n, d
		}
	}
	return best
}

// distance counts the typing errors between two words: a letter missing, too many, wrong, or two exchanged (the
// optimal string alignment distance).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			wrong := 1
			if a[i-1] == b[j-1] {
				wrong = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+wrong)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
