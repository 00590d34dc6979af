package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The faults that lie between the gateway and a pool that runs.
const (
	SocketFolder      Fault = "socket-folder"      // the socket's folder lets the gateway's workers not through: 502
	SocketDeleted     Fault = "socket-deleted"     // the socket's file is deleted while its master runs: 502
	SocketStale       Fault = "socket-stale"       // the socket's file is one on which nobody listens, while the master runs: 502
	FirewallDrop      Fault = "firewall-drop"      // the packet filter drops what goes to the pool's port: 504
	FirewallReject    Fault = "firewall-reject"    // the packet filter refuses it: 502
	ClientsDisallowed Fault = "clients-disallowed" // listen.allowed_clients leaves the gateway out: 502
)

// socketFault breaks the way to the pool; ok is false for other faults.
func (l *Lab) socketFault(site int, f Fault) (undo func() error, ok bool, err error) {
	s := l.sites[site]
	unix := filepath.IsAbs(s.Socket)
	switch f {
	case SocketMode, SocketFolder, SocketDeleted, SocketStale:
		if !unix {
			return nil, true, errors.New("the pool listens on TCP and has no socket file")
		}
	case FirewallDrop, FirewallReject, ClientsDisallowed:
		if unix {
			return nil, true, errors.New("the pool listens on a unix socket, which has no port and no clients with addresses")
		}
	default:
		return nil, false, nil
	}
	switch f {
	case SocketMode:
		undo, err = l.closeSocket(s)
	case SocketFolder:
		dir := filepath.Dir(s.Socket)
		undo, err = func() error { return os.Chmod(dir, 0o755) }, os.Chmod(dir, 0o700)
	case SocketDeleted:
		undo, err = l.RestartFPM, os.Remove(s.Socket)
	case SocketStale:
		undo, err = l.RestartFPM, staleSocket(s.Socket)
	case FirewallDrop:
		undo, err = l.firewall(site, "drop")
	case FirewallReject:
		undo, err = l.firewall(site, "reject")
	case ClientsDisallowed:
		undo, err = l.repool(site, appending("listen.allowed_clients = 192.0.2.80"))
	}
	return undo, true, err
}

// staleSocket leaves a socket's file as a process leaves it that is killed.
func staleSocket(path string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	ln.SetUnlinkOnClose(false)
	return errors.Join(os.Chmod(path, 0o666), ln.Close())
}

// nftTable is the table of the packet filter that a lab's rules stand in: named after
// its folder, so that the guard can take it away.
func (l *Lab) nftTable() string {
	return strings.ReplaceAll(filepath.Base(l.Dir), "-", "_")
}

// firewall makes the kernel drop or refuse what goes to the pool's own address and
// port. A gateway that is not answered waits two seconds, not a minute.
func (l *Lab) firewall(site int, verdict string) (func() error, error) {
	host, port, err := net.SplitHostPort(l.sites[site].Socket)
	if err != nil {
		return nil, err
	}
	file := "fastcgi_connect_timeout"
	change := after("fastcgi_index", "\t\t"+file+" 2s;")
	if l.o.Gateway == Apache {
		change = after("CustomLog", "\tProxyTimeout 2")
	}
	restore, err := l.reconfigure(l.VhostConfig(site), change)
	if err != nil {
		return nil, err
	}
	// The guard must know of it before it is there.
	mark := filepath.Join(l.Dir, "nft-table")
	if err := os.WriteFile(mark, []byte(l.nftTable()), 0o600); err != nil {
		return nil, errors.Join(err, restore())
	}
	undo := func() error {
		return errors.Join(nft("delete table inet "+l.nftTable()), os.Remove(mark), restore())
	}
	rules := fmt.Sprintf("table inet %s {\n\tchain input {\n\t\ttype filter hook input priority 0; policy accept;\n\t\tip daddr %s tcp dport %s counter %s\n\t}\n}",
		l.nftTable(), host, port, verdict)
	if err := nft(rules); err != nil {
		return nil, errors.Join(err, os.Remove(mark), restore())
	}
	return undo, nil
}

func nft(rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, clip(string(out), 300))
	}
	return nil
}
