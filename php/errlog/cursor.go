package errlog

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// cursor reads a text from its front; what does not fit leaves it as it was. It takes the place of patterns where
// every line of a log is read.
type cursor string

// word takes w off.
func (c *cursor) word(w string) bool {
	rest, ok := strings.CutPrefix(string(*c), w)
	if ok {
		*c = cursor(rest)
	}
	return ok
}

// digits takes a number off; one that fits no int is 0, like none.
func (c *cursor) digits() (n int, ok bool) {
	end := 0
	for end < len(*c) && isDigit((*c)[end]) {
		end++
	}
	if end == 0 {
		return 0, false
	}
	n = atoi(string((*c)[:end]))
	*c = (*c)[end:]
	return n, true
}

// seconds takes "2.180000" off.
func (c *cursor) seconds() (d time.Duration, ok bool) {
	end, dots := 0, 0
	for end < len(*c) && (isDigit((*c)[end]) || (*c)[end] == '.' && end > 0 && dots == 0) {
		if (*c)[end] == '.' {
			dots++
		}
		end++
	}
	if dots == 0 || (*c)[end-1] == '.' {
		return 0, false
	}
	d = seconds(string((*c)[:end]))
	*c = (*c)[end:]
	return d, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// endNumber splits "TEXTsepDIGITS" at its last separator.
func endNumber(s, sep string) (before string, n int, ok bool) {
	i := len(s)
	for i > 0 && isDigit(s[i-1]) {
		i--
	}
	if i == len(s) || !strings.HasSuffix(s[:i], sep) {
		return "", 0, false
	}
	return s[:i-len(sep)], atoi(s[i:]), true
}

// atoi reads digits; a number that fits no int is 0, like none.
func atoi(s string) int {
	if len(s) > 18 {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0
		}
		return n
	}
	n := 0
	for i := range len(s) {
		n = 10*n + int(s[i]-'0')
	}
	return n
}

// seconds reads "2.180000", to the nanosecond; what fits no duration is 0.
func seconds(s string) time.Duration {
	whole, fraction, _ := strings.Cut(s, ".")
	n := atoi(whole)
	if n > int(math.MaxInt64/time.Second)-1 {
		return 0
	}
	d := time.Duration(n) * time.Second
	for unit := time.Second / 10; unit > 0 && fraction != ""; unit /= 10 {
		d += time.Duration(fraction[0]-'0') * unit
		fraction = fraction[1:]
	}
	return d
}
