package fpm

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// waiting is how many connections at the addresses nobody has accepted yet, in the network namespace of a process; what
// cannot be read counts as none. FPM's own status page gives 0 for unix sockets on Linux.
func waiting(pid int, at []Address) int {
	n := 0
	for table, count := range map[string]func(io.Reader, []Address) int{"unix": waitingUnix, "tcp": waitingTCP, "tcp6": waitingTCP} {
		f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "net", table))
		if err != nil {
			continue
		}
		n += count(f, at)
		f.Close()
	}
	return n
}

// waitingUnix reads /proc/net/unix. The server's end of a connection carries the path of the socket that it came to,
// and has no inode before it is accepted (net/unix/af_unix.c, unix_seq_show).
func waitingUnix(table io.Reader, at []Address) (n int) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		rest := lines.Text()
		var inode string
		for i := 0; i < 7; i++ {
			inode, rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		}
		if inode == "0" && slices.Contains(at, Address{Network: "unix", Addr: rest}) {
			n++
		}
	}
	return n
}

// waitingTCP reads /proc/net/tcp or tcp6: the receive queue of a listening socket (state 0A) is that of its
// connections (net/ipv4/tcp_ipv4.c, get_tcp4_sock).
func waitingTCP(table io.Reader, at []Address) (n int) {
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 5 || f[3] != "0A" {
			continue
		}
		local, ok := parseLocal(f[1])
		if !ok || !slices.ContainsFunc(at, func(a Address) bool { return a.Network == "tcp" && a.Addr == local.String() }) {
			continue
		}
		if _, queue, ok := strings.Cut(f[4], ":"); ok {
			if q, err := strconv.ParseUint(queue, 16, 31); err == nil {
				n += int(q)
			}
		}
	}
	return n
}

// parseLocal reads an address of /proc/net/tcp, whose words of four bytes stand in the host's order: little-endian on
// all architectures that we are built for.
func parseLocal(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(host)
	if !ok || err != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	ip, _ := netip.AddrFromSlice(bytes.Clone(b))
	return netip.AddrPortFrom(ip, uint16(p)), true
}
