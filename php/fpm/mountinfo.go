package fpm

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountPoint is one line of a mount table.
type mountPoint struct {
	id      int
	point   string
	kind    string // of the file system: ext4, nfs4
	options []string
}

// flags are the options that a mount laid over this one, or bound from it, must keep.
func (m mountPoint) flags() uintptr {
	known := map[string]uintptr{"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC}
	var flags uintptr
	for _, o := range m.options {
		flags |= known[o]
	}
	return flags
}

// readMounts is the mount table that the calling thread sees.
func readMounts() ([]mountPoint, error) {
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(string(text))
}

// parseMounts reads /proc/PID/mountinfo (proc(5)).
func parseMounts(text string) ([]mountPoint, error) {
	var table []mountPoint
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		var m mountPoint
		var err error
		if len(fields) > 9 {
			m.id, err = strconv.Atoi(fields[0])
			m.point, m.options = unmangle(fields[4]), strings.Split(fields[5], ",")
			// The optional fields before the dash are of any number.
			for i := 6; i < len(fields)-1; i++ {
				if fields[i] == "-" {
					m.kind = fields[i+1]
					break
				}
			}
		}
		if err != nil || m.kind == "" || !strings.HasPrefix(m.point, "/") {
			return nil, fmt.Errorf("the mount table has a line %q", line)
		}
		table = append(table, m)
	}
	return table, nil
}

// unmangle turns \040 back into the byte that would have split the line.
func unmangle(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
