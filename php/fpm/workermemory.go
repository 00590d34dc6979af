package fpm

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// OwnMemory is how many bytes a process has for itself, in memory or swapped out: what another of its kind would cost.
// It is what no other process shares by /proc/PID/smaps_rollup (Linux 4.14), and RoughMemory where that cannot be read.
func OwnMemory(pid int) int64 {
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
	if err == nil {
		defer f.Close()
		if n := privateBytes(f); n > 0 {
			return n
		}
	}
	return RoughMemory(pid)
}

// RoughMemory is OwnMemory at a tenth of its price: what is resident and not of a file, which counts what a worker still
// shares with its master as well, some megabytes. 0: unknown.
func RoughMemory(pid int) int64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0
	}
	return parseStatm(string(text))
}

func privateBytes(rollup io.Reader) (sum int64) {
	lines := bufio.NewScanner(rollup)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 {
			continue
		}
		switch f[0] {
		case "Private_Clean:", "Private_Dirty:", "Private_Hugetlb:", "SwapPss:":
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil && n > 0 && n < 1<<40 {
				sum += n << 10
			}
		}
	}
	return sum
}

// parseStatm takes resident minus shared pages (proc(5)).
func parseStatm(text string) int64 {
	f := strings.Fields(text)
	if len(f) < 3 {
		return 0
	}
	resident, err := strconv.ParseInt(f[1], 10, 40)
	if err != nil {
		return 0
	}
	shared, err := strconv.ParseInt(f[2], 10, 40)
	if err != nil || shared > resident || shared < 0 {
		return 0
	}
	return (resident - shared) * int64(os.Getpagesize())
}
