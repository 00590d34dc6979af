package gateway

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"wpmend/php/process"
)

const (
	maxSockets = 64 << 20 // bytes of the kernel's list of sockets
	tcpListen  = "0A"     // TCP_LISTEN (include/net/tcp_states.h)
)

// accepts is nil when the master listens somewhere and each of its TCP sockets takes a connection.
func accepts(ctx context.Context, master process.Process) error {
	proc := filepath.Join("/proc", strconv.Itoa(master.PID))
	if theirs, err := os.Readlink(proc + "/ns/net"); err == nil {
		if ours, err := os.Readlink("/proc/self/ns/net"); err == nil && theirs != ours {
			return nil // another network: nobody can be reached there from here
		}
	}
	sockets, err := socketsOf(proc)
	if err != nil {
		return fmt.Errorf("see where it listens: %w", err)
	}
	var addrs []netip.AddrPort
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join(proc, "net", table))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("see where it listens: %w", err)
		}
		found, err := listening(io.LimitReader(f, maxSockets), sockets)
		f.Close()
		if err != nil {
			return fmt.Errorf("see where it listens: %w", err)
		}
		addrs = append(addrs, found...)
	}
	for _, addr := range addrs {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", reachable(addr).String())
		if err != nil {
			return fmt.Errorf("%s takes no connections any more: %w", addr, err)
		}
		conn.Close()
	}
	return nil
}

// reachable is where an address for all interfaces is dialled.
func reachable(addr netip.AddrPort) netip.AddrPort {
	ip := addr.Addr()
	switch {
	case !ip.IsUnspecified():
	case ip.Is4():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		ip = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(ip, addr.Port())
}

// socketsOf are the inodes of a process's sockets.
func socketsOf(proc string) (map[string]bool, error) {
	names, err := os.ReadDir(proc + "/fd")
	if err != nil {
		return nil, err
	}
	sockets := map[string]bool{}
	for _, n := range names {
		target, err := os.Readlink(filepath.Join(proc, "fd", n.Name()))
		if inode, ok := strings.CutPrefix(target, "socket:["); err == nil && ok {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return sockets, nil
}

// listening reads /proc/net/tcp or tcp6 (proc(5), tcp4_seq_show): local address in hexadecimal words of the host's
// order, a state, and the inode in the tenth column.
func listening(r io.Reader, sockets map[string]bool) ([]netip.AddrPort, error) {
	var found []netip.AddrPort
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		columns := strings.Fields(lines.Text())
		if len(columns) < 10 || columns[3] != tcpListen || !sockets[columns[9]] {
			continue
		}
		host, port, _ := strings.Cut(columns[1], ":")
		raw, err := hex.DecodeString(host)
		n, perr := strconv.ParseUint(port, 16, 16)
		if err != nil || perr != nil || len(raw)%4 != 0 {
			continue
		}
		for word := range slices.Chunk(raw, 4) {
			slices.Reverse(word) // little endian, as all of wpmend's platforms are
		}
		if ip, ok := netip.AddrFromSlice(raw); ok {
			found = append(found, netip.AddrPortFrom(ip.Unmap(), uint16(n)))
		}
	}
	return found, lines.Err()
}
