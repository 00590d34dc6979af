package php

import (
	"fmt"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "40": 40, "8k": 8192, "8K": 8192, "128M": 128 << 20, " 2g ": 2 << 30, "128 M": 128 << 20, "-1": Unlimited,
		"9223372036854775807": 9223372036854775807,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "M", "-2", "+1", "1.5G", "1T", "0x10", "9223372036854775807K", "9223372036854775808", "1M M"} {
		got, err := ParseSize(bad)
		if want := fmt.Sprintf("%q is not a size such as 128M", bad); err == nil || err.Error() != want {
			t.Errorf("%q: %d, %v; want %s", bad, got, err, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "5": 5 * time.Second, "30s": 30 * time.Second, "2m": 2 * time.Minute, "1h": time.Hour, "1d": 24 * time.Hour,
		"2147483647": 2147483647 * time.Second,
	} {
		if got, err := ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "s", "-1", "1.5s", "5ms", "5S", "2147483648", "25000d"} {
		got, err := ParseDuration(bad)
		if want := fmt.Sprintf("%q is not a time such as 30s or 5m", bad); err == nil || err.Error() != want {
			t.Errorf("%q: %v, %v; want %s", bad, got, err, want)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"128M", "-1", "5s", "99999999999999999999", "k"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseSize(s); err == nil {
			if again, err := ParseSize(fmt.Sprint(n)); err != nil || again != n {
				t.Errorf("%q is %d, which is read as %d, %v", s, n, again, err)
			}
		}
		if d, err := ParseDuration(s); err == nil {
			if again, err := ParseDuration(fmt.Sprint(int64(d / time.Second))); err != nil || again != d {
				t.Errorf("%q is %v, which is read as %v, %v", s, d, again, err)
			}
		}
	})
}
