package config

import (
	"fmt"
	"time"

	"wpmend/php"
)

// Size is an amount of bytes, written as "512M" in TOML.
type Size int64

// UnmarshalText reads a size as php.ini writes it.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := php.ParseSize(string(text))
	if err != nil {
		return err
	}
	*s = Size(n)
	return nil
}

// MarshalText writes the size in whole mebibytes where it can.
func (s Size) MarshalText() ([]byte, error) {
	if s > 0 && s%(1<<20) == 0 {
		return fmt.Appendf(nil, "%dM", s>>20), nil
	}
	return fmt.Appendf(nil, "%d", int64(s)), nil
}

// Limits are the ceilings: wpmend raises no limit of a site above them, neither by itself nor for
// `wpmend php limits --set`.
type Limits struct {
	MaxExecutionTime        Duration `toml:"max_execution_time" json:"max_execution_time"`
	MaxInputTime            Duration `toml:"max_input_time" json:"max_input_time"`
	RequestTerminateTimeout Duration `toml:"request_terminate_timeout" json:"request_terminate_timeout"`
	MemoryLimit             Size     `toml:"memory_limit" json:"memory_limit"`
	// UploadSize is that of post_max_size and upload_max_filesize.
	UploadSize Size `toml:"upload_size" json:"upload_size"`
	// MaxChildren is that of pm.max_children; what memory allows is a bound of its own.
	MaxChildren int `toml:"max_children" json:"max_children"`
	// Term is how long a limit that wpmend raised by itself stays so.
	Term Duration `toml:"term" json:"term"`
}

func defaultLimits() Limits {
	return Limits{MaxExecutionTime: Duration(5 * time.Minute), MaxInputTime: Duration(5 * time.Minute), RequestTerminateTimeout: Duration(5 * time.Minute),
		MemoryLimit: 512 << 20, UploadSize: 512 << 20, MaxChildren: 50, Term: Duration(24 * time.Hour)}
}

// fault names the first key whose value is out of range.
func (l Limits) fault() (key, msg string) {
	for _, b := range []struct {
		key      string
		v        Duration
		min, max time.Duration
	}{
		{"max_execution_time", l.MaxExecutionTime, time.Second, 24 * time.Hour},
		{"max_input_time", l.MaxInputTime, time.Second, 24 * time.Hour},
		{"request_terminate_timeout", l.RequestTerminateTimeout, time.Second, 24 * time.Hour},
		{"term", l.Term, time.Minute, 365 * 24 * time.Hour},
	} {
		if v := time.Duration(b.v); v < b.min || v > b.max {
			return b.key, fmt.Sprintf("%s: %s is not between %s and %s", b.key, v, b.min, b.max)
		}
	}
	for key, v := range map[string]Size{"memory_limit": l.MemoryLimit, "upload_size": l.UploadSize} {
		if v < 1<<20 || v > 1<<40 {
			return key, fmt.Sprintf("%s: %d bytes are not between 1M and 1024G", key, v)
		}
	}
	if l.MaxChildren < 1 || l.MaxChildren > 100_000 {
		return "max_children", fmt.Sprintf("max_children: %d is not between 1 and 100000", l.MaxChildren)
	}
	return "", ""
}
