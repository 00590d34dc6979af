package process

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// stat is what we need of /proc/PID/stat.
type stat struct {
	state  byte
	ppid   int
	kernel bool
	start  uint64
}

// A zombie keeps its PID but serves nothing any more.
func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

// PF_KTHREAD of linux/sched.h, in the flags field since 2.6.27.
const kernelThread = 0x00200000

// parseStat reads /proc/PID/stat (proc(5)). The name in parentheses is the program's choice and may hold spaces,
// newlines and parentheses, so the fields are counted from the last one.
func parseStat(text string) (stat, error) {
	i := strings.LastIndexByte(text, ')')
	if i < 0 {
		return stat{}, errors.New("stat without a name")
	}
	fields := strings.Fields(text[i+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return stat{}, errors.New("stat is cut short")
	}
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, fmt.Errorf("parent in stat: %w", err)
	}
	flags, err := strconv.ParseUint(fields[6], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("flags in stat: %w", err)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("start time in stat: %w", err)
	}
	return stat{state: fields[0][0], ppid: ppid, kernel: flags&kernelThread != 0, start: start}, nil
}

// parseUIDs reads the real and the effective user from /proc/PID/status.
func parseUIDs(status string) (real, effective uint32, err error) {
	for line := range strings.Lines(status) {
		rest, ok := strings.CutPrefix(line, "Uid:")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			break
		}
		r, err := strconv.ParseUint(fields[0], 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("user in status: %w", err)
		}
		e, err := strconv.ParseUint(fields[1], 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("user in status: %w", err)
		}
		return uint32(r), uint32(e), nil
	}
	return 0, 0, errors.New("status names no user")
}

// parseArgv splits /proc/PID/cmdline. A program that writes a title over its arguments (nginx, PHP-FPM) pads the rest
// with NULs or blanks: then one element is left, without the padding.
func parseArgv(cmdline string) []string {
	cmdline = strings.TrimRight(cmdline, "\x00")
	if cmdline == "" {
		return nil
	}
	argv := strings.Split(cmdline, "\x00")
	if len(argv) == 1 {
		argv[0] = strings.TrimRight(argv[0], " ")
	}
	return argv
}

// parseUnit takes the systemd system unit from /proc/PID/cgroup: the first element below the slices, as systemd's own
// cg_path_get_unit does, in the unified hierarchy ("0::") or in v1's "name=systemd".
func parseUnit(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimRight(line, "\n"), ":", 3)
		if len(parts) != 3 || !(parts[0] == "0" && parts[1] == "" || parts[1] == "name=systemd") {
			continue
		}
		for element := range strings.SplitSeq(strings.TrimPrefix(parts[2], "/"), "/") {
			// systemd puts an underscore before names that would clash with the kernel's files.
			element = strings.TrimPrefix(element, "_")
			if strings.HasSuffix(element, ".slice") {
				continue
			}
			if strings.HasSuffix(element, ".service") || strings.HasSuffix(element, ".scope") {
				return element
			}
			break
		}
	}
	return ""
}
