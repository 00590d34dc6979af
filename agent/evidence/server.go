package evidence

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/agent/site"
)

// testTimeout bounds the server's own test of its configuration; it resolves host
// names meanwhile.
const testTimeout = 5 * time.Second

// server looks at the gateway's own process. Its configuration is tested only where
// it does not run or not accept, or where everything is asked: that takes a process
// of its own, and opens its logs.
func server(ctx context.Context, s site.Site, everything bool) diagnose.Server {
	found := diagnose.Server{Kind: s.Gateway.Kind, Unit: s.Gateway.Process.Unit}
	g := s.Gateway
	if master, err := g.Running(); err == nil {
		g.Process, found.PID, found.Unit = master, master.PID, master.Unit
		found.Files, found.MaxFiles = fullest(master.PID)
	}
	dialling, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	found.Listen, found.Dial = probe.Connect(dialling, s, probe.Home(s))
	if found.PID != 0 && found.Dial == nil && !everything {
		return found
	}
	testing, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	var fault *gateway.ConfigError
	if err := gateway.Test(testing, g); errors.As(err, &fault) {
		found.Test, found.TestFile, found.TestLine = err, fault.File, fault.Line
	}
	return found
}

// fullest is the child of a process with the least room for open files, or the
// process itself.
func fullest(pid int) (files, limit int) {
	for _, p := range append(childrenOf(pid), pid) {
		n, most := openFiles(p)
		if most > 0 && (limit == 0 || float64(n)/float64(most) > float64(files)/float64(limit)) {
			files, limit = n, most
		}
	}
	return files, limit
}

// childrenOf reads the kernel's own list (proc(5), /proc/PID/task/TID/children).
func childrenOf(pid int) []int {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	var found []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended meanwhile
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil && !slices.Contains(found, child) {
				found = append(found, child)
			}
		}
	}
	return found
}

// openFiles counts a process's descriptors and gives its soft limit, 0 for what
// cannot be read.
func openFiles(pid int) (files, limit int) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, 0
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return len(names), 0
	}
	return len(names), maxOpenFiles(text)
}

// maxOpenFiles reads the soft limit out of /proc/PID/limits, 0 for "unlimited".
func maxOpenFiles(limits []byte) int {
	for lines := bufio.NewScanner(bytes.NewReader(limits)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), "Max open files")
		if fields := strings.Fields(rest); ok && len(fields) > 0 {
			n, err := strconv.Atoi(fields[0])
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}
