package ini

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"wpmend/php"
)

// read turns the value that is in force into an amount.
func (l *Link) read() {
	if l.Set.Computed {
		return
	}
	var n int64
	var err error
	switch value := strings.TrimSpace(l.Set.Value); {
	case IsSize(l.Name):
		n, err = size(value)
		l.Bytes = n
		// main.c, rfc1867.c: neither of these two limits anything when it is not above 0.
		l.Unlimited = l.Name == Memory && n < 0 || l.Name != Memory && n <= 0
	case IsPHP(l.Name):
		n, err = seconds(value)
		l.Time = time.Duration(n) * time.Second
		l.Unlimited = n == 0
	default:
		l.Time, err = php.ParseDuration(value)
		l.Unlimited = l.Time == 0 && l.Name != Control
	}
	l.Known = err == nil
	if !l.Known {
		l.Unlimited, l.Time, l.Bytes = false, 0, 0
	}
}

// seconds reads an integer as PHP does (ZEND_ATOL): what stands behind the digits is passed over.
func seconds(value string) (int64, error) {
	end := 0
	for end < len(value) && (value[end] >= '0' && value[end] <= '9' || end == 0 && value[end] == '-') {
		end++
	}
	n, err := strconv.ParseInt(value[:end], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of seconds", value)
	}
	return n, nil
}

// size reads an amount of bytes; PHP takes the digits that it finds and the letter at the very end
// (zend_ini_parse_quantity).
func size(value string) (int64, error) {
	if n, err := php.ParseSize(value); err == nil {
		return n, nil
	}
	n, err := seconds(value)
	if err != nil || value == "" {
		return 0, fmt.Errorf("%q is no size", value)
	}
	factor := map[byte]int64{'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30}[value[len(value)-1]|0x20]
	if factor == 0 {
		factor = 1
	}
	if n > math.MaxInt64/factor || n < math.MinInt64/factor {
		return 0, fmt.Errorf("%q is no size", value)
	}
	return n * factor, nil
}

// ParseAmount reads what a person gives for a link: "120", "120s" or "2m" for a time, "256M" for a size. "0" for a time
// and "-1" for memory_limit mean no limit. The amount is in nanoseconds or bytes.
func ParseAmount(name, text string) (n int64, unlimited bool, err error) {
	if !known(name) {
		return 0, false, fmt.Errorf("%q is no limit: it is one of %s", name, strings.Join(names, ", "))
	}
	if IsSize(name) {
		n, err = php.ParseSize(text)
		return n, n <= 0 && err == nil, err
	}
	if text == "" {
		return 0, false, fmt.Errorf("%s: no time is given", name)
	}
	d, err := php.ParseDuration(text)
	return int64(d), d == 0 && err == nil && name != Control, err
}

func known(name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// Format writes an amount as the link's own file takes it: 120 for PHP, 120s for FPM and the servers, 256M for sizes.
// Times are rounded up to whole seconds.
func Format(name string, n int64) string {
	if IsSize(name) {
		switch {
		case n > 0 && n%(1<<30) == 0:
			return strconv.FormatInt(n>>30, 10) + "G"
		case n > 0 && n%(1<<20) == 0:
			return strconv.FormatInt(n>>20, 10) + "M"
		case n > 0 && n%(1<<10) == 0:
			return strconv.FormatInt(n>>10, 10) + "K"
		}
		return strconv.FormatInt(n, 10)
	}
	whole := strconv.FormatInt((n+int64(time.Second)-1)/int64(time.Second), 10)
	if IsPHP(name) {
		return whole
	}
	return whole + "s"
}

// Words is the link's limit for people: "120 s", "256M", "none", "unknown".
func (l Link) Words() string {
	switch {
	case !l.Known && l.Set.Value != "":
		return "unknown (" + l.Set.Value + ")"
	case !l.Known:
		return "unknown"
	case l.Unlimited || l.Name == Control && l.Time == 0:
		return "none"
	case IsSize(l.Name):
		return Format(l.Name, l.Bytes)
	}
	return strconv.FormatFloat(l.Time.Seconds(), 'g', -1, 64) + " s"
}
