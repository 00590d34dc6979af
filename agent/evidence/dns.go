package evidence

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	dnsTimeout = 2 * time.Second
	// maxDNS is the longest answer by TCP (RFC 1035, 4.2.2).
	maxDNS = 64 << 10
	// maxAliases bounds a chain of CNAMEs; resolvers stop at about as many.
	maxAliases = 8
)

// errNoName says that a name does not exist, or has no address.
var errNoName = errors.New("the name has no address")

// answer is what a name leads to.
type answer struct {
	addresses []netip.Addr
	aliases   []string // the names on the way, in lower case, without the final dot
}

// lookup asks one name server for a name's addresses, past /etc/hosts, where servers
// often have their own sites at 127.0.0.1. errNoName comes with the server's word for it.
func lookup(ctx context.Context, server, name string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	type result struct {
		answer
		err error
	}
	types := []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}
	results := make(chan result, len(types))
	for _, of := range types {
		go func() {
			a, err := follow(ctx, server, name, of)
			results <- result{a, err}
		}()
	}
	var found answer
	var failed error
	for range types {
		r := <-results
		found.addresses = append(found.addresses, r.addresses...)
		for _, alias := range r.aliases {
			if !slices.Contains(found.aliases, alias) {
				found.aliases = append(found.aliases, alias)
			}
		}
		if r.err != nil && !errors.Is(r.err, errNoName) {
			failed = r.err
		}
	}
	slices.SortFunc(found.addresses, netip.Addr.Compare)
	switch {
	case len(found.addresses) > 0:
		return found, nil
	case failed != nil:
		return found, fmt.Errorf("ask %s for %s: %w", server, name, failed)
	}
	return found, fmt.Errorf("ask %s for %s: %w", server, name, errNoName)
}

// follow asks for one type of address, and again for the alias where the server does
// not say where that leads.
func follow(ctx context.Context, server, name string, of dnsmessage.Type) (found answer, err error) {
	for range maxAliases {
		q, err := dnsQuestion(name, of)
		if err != nil {
			return found, err
		}
		a, err := exchange(ctx, server, q)
		if err != nil {
			return found, err
		}
		addresses, aliases := a.of(name, of)
		found.aliases = append(found.aliases, aliases...)
		if len(addresses) > 0 || len(aliases) == 0 {
			found.addresses = addresses
			if len(addresses) == 0 {
				err = errNoName
			}
			return found, err
		}
		name = aliases[len(aliases)-1]
	}
	return found, fmt.Errorf("more than %d aliases", maxAliases)
}

func dnsQuestion(name string, of dnsmessage.Type) (dnsmessage.Question, error) {
	n, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return dnsmessage.Question{}, fmt.Errorf("%q is no name that can be asked for: %w", name, err)
	}
	return dnsmessage.Question{Name: n, Type: of, Class: dnsmessage.ClassINET}, nil
}

// exchange asks by UDP, and again by TCP where the answer does not fit.
func exchange(ctx context.Context, server string, q dnsmessage.Question) (reply, error) {
	for _, network := range []string{"udp", "tcp"} {
		r, err := askDNS(ctx, network, server, q)
		if err != nil || !r.truncated {
			return r, err
		}
	}
	return reply{}, errors.New("its answer is cut off even by TCP")
}

func askDNS(ctx context.Context, network, server string, q dnsmessage.Question) (r reply, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, server)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return reply{}, err
		}
	}
	var number [2]byte
	if _, err := rand.Read(number[:]); err != nil {
		return reply{}, err
	}
	id := binary.BigEndian.Uint16(number[:])
	message := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true}, Questions: []dnsmessage.Question{q}}
	packed, err := message.Pack()
	if err != nil {
		return reply{}, err
	}
	if network == "tcp" {
		packed = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	}
	if _, err := conn.Write(packed); err != nil {
		return reply{}, err
	}
	b := make([]byte, maxDNS)
	for {
		n := 0
		if network == "udp" {
			n, err = conn.Read(b)
		} else if _, err = io.ReadFull(conn, b[:2]); err == nil {
			n, err = io.ReadFull(conn, b[:binary.BigEndian.Uint16(b)])
		}
		if err != nil {
			return reply{}, err
		}
		r, err := parseReply(b[:n], id, q)
		if network == "udp" && errors.Is(err, errOtherReply) {
			continue // somebody else's, or forged
		}
		return r, err
	}
}

var errOtherReply = errors.New("not the answer to our question")

// reply is what a name server answered.
type reply struct {
	truncated bool
	aliases   map[string]string // name → what it stands for
	addresses map[string][]netip.Addr
}

// of follows the aliases in the answer from a name.
func (r reply) of(name string, of dnsmessage.Type) (addresses []netip.Addr, aliases []string) {
	at := plainName(name)
	for range maxAliases {
		for _, a := range r.addresses[at] {
			if a.Is4() == (of == dnsmessage.TypeA) {
				addresses = append(addresses, a)
			}
		}
		next, ok := r.aliases[at]
		if len(addresses) > 0 || !ok {
			break
		}
		aliases = append(aliases, next)
		at = next
	}
	return addresses, aliases
}

// parseReply reads an answer; bytes from the network, whoever sent them.
func parseReply(b []byte, id uint16, q dnsmessage.Question) (reply, error) {
	var p dnsmessage.Parser
	head, err := p.Start(b)
	if err != nil {
		return reply{}, fmt.Errorf("%w: %w", errOtherReply, err)
	}
	asked, err := p.AllQuestions()
	if err != nil {
		return reply{}, fmt.Errorf("%w: %w", errOtherReply, err)
	}
	if head.ID != id || !head.Response || len(asked) != 1 || asked[0].Type != q.Type || !strings.EqualFold(asked[0].Name.String(), q.Name.String()) {
		return reply{}, errOtherReply
	}
	r := reply{truncated: head.Truncated, aliases: map[string]string{}, addresses: map[string][]netip.Addr{}}
	switch head.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return r, nil
	default:
		return reply{}, fmt.Errorf("it answers %s", strings.TrimPrefix(head.RCode.String(), "RCode"))
	}
	for {
		h, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return r, nil
		}
		if err == nil {
			err = r.take(&p, h)
		}
		if err != nil {
			if r.truncated {
				return r, nil
			}
			return reply{}, fmt.Errorf("its answer cannot be read: %w", err)
		}
	}
}

func (r reply) take(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) error {
	name := plainName(h.Name.String())
	switch h.Type {
	case dnsmessage.TypeA:
		a, err := p.AResource()
		if err == nil {
			r.addresses[name] = append(r.addresses[name], netip.AddrFrom4(a.A))
		}
		return err
	case dnsmessage.TypeAAAA:
		a, err := p.AAAAResource()
		if err == nil {
			r.addresses[name] = append(r.addresses[name], netip.AddrFrom16(a.AAAA))
		}
		return err
	case dnsmessage.TypeCNAME:
		c, err := p.CNAMEResource()
		if err == nil {
			r.aliases[name] = plainName(c.CNAME.String())
		}
		return err
	}
	return p.SkipAnswer()
}

func plainName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// nameServer is where names are asked for: what the configuration says, else the
// first of /etc/resolv.conf.
func nameServer(configured string) (string, error) {
	if configured != "" {
		if _, _, err := net.SplitHostPort(configured); err == nil {
			return configured, nil
		}
		return net.JoinHostPort(configured, "53"), nil
	}
	text, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return "", fmt.Errorf("which name server to ask: %w", err)
	}
	if server, ok := firstServer(text); ok {
		return server, nil
	}
	return "", errors.New("which name server to ask: /etc/resolv.conf names none: set resolver in [edge]")
}

// firstServer reads resolv.conf(5).
func firstServer(text []byte) (string, bool) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(fields[1]); err == nil {
			return netip.AddrPortFrom(addr, 53).String(), true
		}
	}
	return "", false
}
