package php

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unlimited is what php.ini writes for "no limit" (memory_limit = -1).
const Unlimited int64 = -1

// ParseSize reads a size as php.ini writes it, in bytes: "134217728", "128M", "1g" (K, M and G are powers of 1024), or
// "-1", which is [Unlimited]. PHP itself takes whatever number it finds at the beginning; here the rest is an error.
func ParseSize(s string) (int64, error) {
	text := strings.TrimSpace(s)
	if text == "-1" {
		return Unlimited, nil
	}
	digits, factor := text, int64(1)
	if text != "" {
		switch text[len(text)-1] {
		case 'k', 'K':
			factor = 1 << 10
		case 'm', 'M':
			factor = 1 << 20
		case 'g', 'G':
			factor = 1 << 30
		}
		if factor > 1 {
			digits = strings.TrimSpace(text[:len(text)-1])
		}
	}
	n, err := parseDigits(digits)
	if err != nil || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is not a size such as 128M", s)
	}
	return n * factor, nil
}

// ParseDuration reads a time as php-fpm.conf writes it: digits with s, m, h or d behind them; without, seconds
// (fpm_conf_set_time in fpm_conf.c).
func ParseDuration(s string) (time.Duration, error) {
	text := strings.TrimSpace(s)
	digits, unit := text, time.Second
	if text != "" {
		switch text[len(text)-1] {
		case 's':
			digits = text[:len(text)-1]
		case 'm':
			digits, unit = text[:len(text)-1], time.Minute
		case 'h':
			digits, unit = text[:len(text)-1], time.Hour
		case 'd':
			digits, unit = text[:len(text)-1], 24*time.Hour
		}
	}
	n, err := parseDigits(digits)
	// FPM keeps seconds in an int.
	if err != nil || n > math.MaxInt32/int64(unit/time.Second) {
		return 0, fmt.Errorf("%q is not a time such as 30s or 5m", s)
	}
	return time.Duration(n) * unit, nil
}

func parseDigits(s string) (int64, error) {
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, strconv.ErrSyntax
		}
	}
	return strconv.ParseInt(s, 10, 64)
}
