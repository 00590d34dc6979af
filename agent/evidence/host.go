package evidence

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"wpmend/agent/diagnose"
)

// Pressed says whether the host is at the limit of what it can do just now.
func Pressed() bool { return host().Pressed() != "" }

// host reads the machine's own state from /proc.
func host() diagnose.Host {
	h := diagnose.Host{CPUs: runtime.NumCPU(), CPUStall: -1, MemoryStall: -1, IOStall: -1}
	h.Load = firstNumber(read("/proc/loadavg"))
	for name, share := range map[string]*float64{"cpu": &h.CPUStall, "memory": &h.MemoryStall, "io": &h.IOStall} {
		if stall, ok := someStall(read("/proc/pressure/" + name)); ok {
			*share = stall
		}
	}
	memory := meminfo(read("/proc/meminfo"))
	h.Memory, h.MemoryAvailable, h.Swap, h.SwapFree = memory["MemTotal"], memory["MemAvailable"], memory["SwapTotal"], memory["SwapFree"]
	h.Files, h.MaxFiles = fileNr(read("/proc/sys/fs/file-nr"))
	return h
}

// read gives a small file of /proc, "" where it is not there (a container, an old kernel).
func read(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(text)
}

func firstNumber(text string) float64 {
	for field := range strings.FieldsSeq(text) {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return 0
}

// someStall reads "some avg10=12.34 …" of a pressure file as a share
// (https://docs.kernel.org/accounting/psi.html).
func someStall(text string) (share float64, ok bool) {
	for line := range strings.Lines(text) {
		rest, some := strings.CutPrefix(line, "some ")
		value, found := strings.CutPrefix(strings.TrimSpace(rest), "avg10=")
		if !some || !found {
			continue
		}
		value, _, _ = strings.Cut(value, " ")
		percent, err := strconv.ParseFloat(value, 64)
		if err != nil || percent < 0 || percent > 100 {
			return 0, false
		}
		return percent / 100, true
	}
	return 0, false
}

// meminfo gives the amounts in bytes.
func meminfo(text string) map[string]int64 {
	found := map[string]int64{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) != 2 || fields[1] != "kB" {
			continue
		}
		if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil && n >= 0 && n < 1<<50 {
			found[name] = n << 10
		}
	}
	return found
}

// fileNr reads "allocated free maximum" (proc(5), /proc/sys/fs/file-nr).
func fileNr(text string) (files, limit int64) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return 0, 0
	}
	files, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, 0
	}
	if limit, err = strconv.ParseInt(fields[2], 10, 64); err != nil {
		return 0, 0
	}
	return files, limit
}
