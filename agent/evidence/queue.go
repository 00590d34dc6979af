package evidence

import (
	"encoding/binary"
	"iter"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"wpmend/php/fpm"
)

// listener is a listening socket: how many connections wait to be accepted and how many may; -1 unknown.
type listener struct{ queue, backlog int }

var unknownListener = listener{-1, -1}

// queue is the accept queue of whoever listens at an address, as `ss -l` shows it: FPM's own status page gives 0 for
// unix sockets. It is unknown where nobody listens, where the kernel cannot be asked (sock_diag(7)), and for a listener
// in another network namespace.
func queue(at fpm.Address) (waiting, backlog int) {
	l, _ := listening(at)
	return l.queue, l.backlog
}

// listening also tells whether such a listener is there for certain.
func listening(at fpm.Address) (listener, bool) {
	switch at.Network {
	case "unix":
		return listeningUnix(at.Addr)
	case "tcp":
		return listeningTCP(at.Addr)
	}
	return unknownListener, false
}

// What sock_diag asks for and answers with: struct unix_diag_req, unix_diag_msg, inet_diag_req_v2 and inet_diag_msg
// (linux/unix_diag.h, linux/inet_diag.h).
const (
	sockDiagByFamily = 20
	stateListen      = 10
	stateEstablished = 1
	stateCloseWait   = 8

	unixShow     = 1 | 2 | 16 // UDIAG_SHOW_NAME, UDIAG_SHOW_VFS, UDIAG_SHOW_RQLEN
	unixMsgLen   = 16
	unixName     = 0
	unixVFS      = 1
	unixQueueLen = 4

	inetReqLen  = 56
	inetMsgLen  = 72
	inetInfo    = 2  // INET_DIAG_INFO
	lastReceive = 52 // tcpi_last_data_recv in struct tcp_info, ms
)

// nl works the byte order out on first use, unguarded: a race if that is in two goroutines.
var _ = nl.NativeEndian()

func sockDiag(request []byte) ([][]byte, error) {
	req := nl.NewNetlinkRequest(sockDiagByFamily, unix.NLM_F_DUMP)
	req.AddRawData(request)
	return req.Execute(unix.NETLINK_SOCK_DIAG, sockDiagByFamily)
}

// attributes are those behind a message's head, rtnetlink(7); nl.ParseRouteAttr panics where the last one is not padded.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			size := int(binary.NativeEndian.Uint16(b))
			if size < unix.SizeofRtAttr || size > len(b) || !yield(binary.NativeEndian.Uint16(b[2:]), b[unix.SizeofRtAttr:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

// listeningUnix finds the listener behind a socket's file. The name alone does not do: a file that was deleted and made
// anew by somebody else has the same.
func listeningUnix(path string) (listener, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return unknownListener, false
	}
	file, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return unknownListener, false
	}
	request := make([]byte, 24)
	request[0] = unix.AF_UNIX
	binary.NativeEndian.PutUint32(request[4:], 1<<stateListen)
	binary.NativeEndian.PutUint32(request[12:], unixShow)
	found, err := sockDiag(request)
	if err != nil {
		return unknownListener, false
	}
	for _, msg := range found {
		if l, ok := parseUnix(msg, path, file.Ino, file.Dev); ok {
			return l, true
		}
	}
	return unknownListener, false
}

// parseUnix reads one unix_diag_msg. The kernel gives 32 bits of the inode's number, and a device that some file systems
// (btrfs, overlayfs) show otherwise to stat(2): there the name must be the same.
func parseUnix(msg []byte, path string, ino, dev uint64) (l listener, ok bool) {
	if len(msg) < unixMsgLen || msg[2] != stateListen {
		return unknownListener, false
	}
	l = unknownListener
	var inode, device, named bool
	for kind, v := range attributes(msg[unixMsgLen:]) {
		switch {
		case kind == unixName:
			named = strings.TrimRight(string(v), "\x00") == path
		case kind == unixVFS && len(v) >= 8:
			inode = binary.NativeEndian.Uint32(v) == uint32(ino)
			d := binary.NativeEndian.Uint32(v[4:])
			device = d>>20 == unix.Major(dev) && d&0xfffff == unix.Minor(dev)
		case kind == unixQueueLen && len(v) >= 8:
			l = listener{int(binary.NativeEndian.Uint32(v)), int(binary.NativeEndian.Uint32(v[4:]))}
		}
	}
	return l, inode && (device || named)
}

// listeningTCP finds who listens at an address, or else at all addresses with that port.
func listeningTCP(address string) (listener, bool) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return unknownListener, false
	}
	all, some := unknownListener, false
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		found, err := sockDiag(inetRequest(family, 1<<stateListen, 0, at.Port()))
		if err != nil {
			continue
		}
		for _, msg := range found {
			l, own, ok := parseInet(msg)
			switch {
			case !ok || own.Port() != at.Port():
			case own.Addr() == at.Addr():
				return l, true
			case own.Addr().IsUnspecified():
				all, some = l, true
			}
		}
	}
	return all, some
}

// inetRequest is one for sockets of one local port.
func inetRequest(family byte, states uint32, extensions byte, port uint16) []byte {
	request := make([]byte, inetReqLen)
	request[0], request[1], request[2] = family, unix.IPPROTO_TCP, extensions
	binary.NativeEndian.PutUint32(request[4:], states)
	binary.BigEndian.PutUint16(request[8:], port)
	return request
}

// parseInet reads one inet_diag_msg; of a listening socket the queues are those of its connections (inet_diag.c,
// tcp_diag_get_info).
func parseInet(msg []byte) (l listener, own netip.AddrPort, ok bool) {
	if len(msg) < inetMsgLen {
		return unknownListener, netip.AddrPort{}, false
	}
	size := net.IPv4len
	if msg[0] == unix.AF_INET6 {
		size = net.IPv6len
	}
	ip, ok := netip.AddrFromSlice(msg[8 : 8+size])
	l = listener{int(binary.NativeEndian.Uint32(msg[56:])), int(binary.NativeEndian.Uint32(msg[60:]))}
	return l, netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(msg[4:])), ok
}

// received is how long ago the last of each request to a TCP address came in, by the inode of the connection.
func received(at fpm.Address) map[uint64]time.Duration {
	_, text, err := net.SplitHostPort(at.Addr)
	if at.Network != "tcp" || err != nil {
		return nil
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil
	}
	ago := map[uint64]time.Duration{}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		found, err := sockDiag(inetRequest(family, 1<<stateEstablished|1<<stateCloseWait, 1<<(inetInfo-1), uint16(port)))
		if err != nil {
			continue
		}
		for _, msg := range found {
			if inode, d, ok := parseReceived(msg); ok {
				ago[inode] = d
			}
		}
	}
	return ago
}

func parseReceived(msg []byte) (inode uint64, ago time.Duration, ok bool) {
	if len(msg) < inetMsgLen {
		return 0, 0, false
	}
	for kind, v := range attributes(msg[inetMsgLen:]) {
		if kind == inetInfo && len(v) >= lastReceive+4 {
			return uint64(binary.NativeEndian.Uint32(msg[68:])), time.Duration(binary.NativeEndian.Uint32(v[lastReceive:])) * time.Millisecond, true
		}
	}
	return 0, 0, false
}
