package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/php/transient"
)

const (
	filterTimeout = time.Second
	maxRules      = 8 << 20 // bytes that a packet filter may print
	maxFilters    = 20      // rules that are named
)

// filters are the local packet filter's rules that drop or refuse what goes to one of
// the ports on this host. They are only read.
func filters(ctx context.Context, ports []int) (rules []string, unread string) {
	if len(ports) == 0 {
		return nil, ""
	}
	var problems []error
	asked := false
	for _, q := range []struct {
		binaries []string
		args     []string
		parse    func([]byte, []int) ([]string, error)
	}{
		{[]string{"/usr/sbin/nft", "/sbin/nft"}, []string{"-j", "list", "ruleset"}, nftFilters},
		{[]string{"/usr/sbin/iptables-save", "/sbin/iptables-save"}, nil, iptablesFilters},
		{[]string{"/usr/sbin/ip6tables-save", "/sbin/ip6tables-save"}, nil, iptablesFilters},
	} {
		binary := installed(q.binaries)
		if binary == "" {
			continue
		}
		text, err := printed(ctx, binary, q.args...)
		if err == nil {
			asked = true
			var found []string
			found, err = q.parse(text, ports)
			for _, rule := range found {
				if !slices.Contains(rules, rule) && len(rules) < maxFilters {
					rules = append(rules, rule)
				}
			}
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	switch {
	case len(problems) > 0:
		unread = strings.ReplaceAll(errors.Join(problems...).Error(), "\n", "; ")
	case !asked:
		unread = "neither nft nor iptables-save is installed"
	}
	return rules, unread
}

func installed(binaries []string) string {
	for _, b := range binaries {
		if info, err := os.Stat(b); err == nil && info.Mode().IsRegular() {
			return b
		}
	}
	return ""
}

// printed runs a program of the host's that lists something.
func printed(ctx context.Context, binary string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, filterTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = filterTimeout
	out, said := &bounded{most: maxRules}, &bounded{most: 1 << 10}
	cmd.Stdout, cmd.Stderr = out, said
	if err := transient.Run(ctx, cmd, transient.Options{Time: filterTimeout, Memory: "256M"}); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", binary, errors.Join(ctx.Err(), err), strings.TrimSpace(strings.ToValidUTF8(said.String(), "?")))
	}
	if out.over {
		return nil, fmt.Errorf("%s prints more than %d bytes", binary, maxRules)
	}
	return out.Bytes(), nil
}

// bounded keeps the first bytes that are written to it. The buffer is no embedded
// one: io.Copy would find its ReadFrom and pass Write by.
type bounded struct {
	kept bytes.Buffer
	most int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if room := b.most - b.kept.Len(); len(p) > room {
		b.over = true
		b.kept.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return b.kept.Write(p)
}

func (b *bounded) Bytes() []byte  { return b.kept.Bytes() }
func (b *bounded) String() string { return b.kept.String() }

// filtered says whether a connection failed in a way that a packet filter can bring
// about: an answer never came, or one of ICMP or TCP reset did (nft: reject; iptables:
// REJECT --reject-with), or our own packet was not let out (EPERM).
func filtered(err error) bool {
	var timeout net.Error
	for _, errno := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EPERM, syscall.EACCES, syscall.ETIMEDOUT} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return errors.As(err, &timeout) && timeout.Timeout()
}

// suspectPorts are the TCP ports at which a connection failed although somebody
// listens there, or may.
func suspectPorts(server diagnose.Server, socket diagnose.Socket) []int {
	var ports []int
	for _, c := range []struct {
		address string
		err     error
	}{{server.Listen, server.Dial}, {tcpOf(socket), socket.Dial}} {
		_, port, err := net.SplitHostPort(c.address)
		n, nerr := strconv.Atoi(port)
		if c.err == nil || err != nil || nerr != nil || !filtered(c.err) {
			continue
		}
		if !errors.Is(c.err, syscall.ECONNREFUSED) || listened(n) {
			ports = append(ports, n)
		}
	}
	return ports
}

// allPorts are the TCP ports of the vhost and the pool.
func allPorts(server diagnose.Server, socket diagnose.Socket) []int {
	var ports []int
	for _, address := range []string{server.Listen, tcpOf(socket)} {
		_, port, err := net.SplitHostPort(address)
		if n, nerr := strconv.Atoi(port); err == nil && nerr == nil {
			ports = append(ports, n)
		}
	}
	return ports
}

func tcpOf(s diagnose.Socket) string {
	if s.Unix {
		return ""
	}
	return s.Address
}

// listened reports whether somebody listens at a TCP port (/proc/net/tcp, state 0A).
func listened(port int) bool {
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range bytes.Lines(text) {
			fields := bytes.Fields(line)
			if len(fields) > 3 && bytes.HasSuffix(fields[1], []byte(suffix)) && string(fields[3]) == "0A" {
				return true
			}
		}
	}
	return false
}
