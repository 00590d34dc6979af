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

// MarshalText writes the size as it is read.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String gives whole mebibytes where it can.
func (s Size) String() string {
	if s > 0 && s%(1<<20) == 0 {
		return fmt.Sprintf("%dM", s>>20)
	}
	return fmt.Sprint(int64(s))
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
