package fpm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// accepted adds the inodes of the connections that came to one of the addresses, from a table of /proc/PID/net.
func (m Master) accepted(addresses []Address, table string, inodes map[uint64]bool) error {
	at := slices.DeleteFunc(slices.Clone(addresses), func(a Address) bool { return (a.Network == "unix") != (table == "unix") })
	if len(at) == 0 {
		return nil
	}
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(m.Process.PID), "net", table))
	if err != nil {
		return fmt.Errorf("connections of php-fpm with %s: %w", m.Config, err)
	}
	defer f.Close()
	if table == "unix" {
		acceptedUnix(f, at, inodes)
	} else {
		acceptedTCP(f, at, inodes)
	}
	return nil
}

// acceptedUnix reads /proc/net/unix: Num, RefCount, Protocol, Flags, Type, St, Inode, Path. The server's end of a
// connection carries the path of the socket that it came to and is in state 03, connected (SS_CONNECTED); the listening
// socket is in 01.
func acceptedUnix(table io.Reader, at []Address, inodes map[uint64]bool) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		rest := lines.Text()
		var f [7]string
		for i := range f {
			f[i], rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		}
		if f[5] != "03" || !slices.Contains(at, Address{Network: "unix", Addr: cleanSocket(rest)}) {
			continue
		}
		if n, err := strconv.ParseUint(f[6], 10, 64); err == nil && n > 0 {
			inodes[n] = true
		}
	}
}

// acceptedTCP reads /proc/net/tcp or tcp6: all but listening sockets (state 0A) whose own port is one of the pools'. The
// address may be any: a pool that listens on all of them is known to us by 127.0.0.1.
func acceptedTCP(table io.Reader, at []Address, inodes map[uint64]bool) {
	ports := map[string]bool{}
	for _, a := range at {
		ports[a.Addr[strings.LastIndexByte(a.Addr, ':')+1:]] = true
	}
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] == "0A" {
			continue
		}
		local, ok := parseLocal(f[1])
		if !ok || !ports[strconv.Itoa(int(local.Port()))] {
			continue
		}
		if n, err := strconv.ParseUint(f[9], 10, 64); err == nil && n > 0 {
			inodes[n] = true
		}
	}
}
