package lab

import (
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Resolver is a name server of the lab's own, for the names of its sites.
type Resolver struct {
	conn net.PacketConn

	mu     sync.Mutex
	answer netip.Addr
}

// Resolver starts the lab's name server, once. It says that each of the lab's sites
// is at the lab's own address, until a fault makes it say otherwise; other names do
// not exist. It ends with the lab.
func (l *Lab) Resolver() (*Resolver, error) { return l.resolver() }

func (l *Lab) resolver() (*Resolver, error) {
	if l.dns != nil {
		return l.dns, nil
	}
	conn, err := net.ListenPacket("udp", l.Address+":0")
	if err != nil {
		return nil, err
	}
	l.dns = &Resolver{conn: conn, answer: netip.MustParseAddr(l.Address)}
	go l.dns.serve()
	return l.dns, nil
}

// Address is where it answers, host:port.
func (r *Resolver) Address() string { return r.conn.LocalAddr().String() }

// lead makes all sites' names lead to an address.
func (r *Resolver) lead(to netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = to
}

func (r *Resolver) serve() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := r.conn.ReadFrom(buffer)
		if err != nil {
			return // closed
		}
		var question dnsmessage.Message
		if question.Unpack(buffer[:n]) != nil || len(question.Questions) == 0 {
			continue
		}
		if answer, err := r.reply(question).Pack(); err == nil {
			r.conn.WriteTo(answer, from) // one that is lost is asked for again
		}
	}
}

func (r *Resolver) reply(asked dnsmessage.Message) *dnsmessage.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	q := asked.Questions[0]
	reply := &dnsmessage.Message{Header: dnsmessage.Header{ID: asked.ID, Response: true, RecursionDesired: asked.RecursionDesired, RecursionAvailable: true}, Questions: asked.Questions[:1]}
	if !strings.HasSuffix(q.Name.String(), ".lab.test.") {
		reply.RCode = dnsmessage.RCodeNameError
	} else if q.Type == dnsmessage.TypeA && r.answer.Is4() {
		reply.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: r.answer.As4()}}}
	}
	return reply
}
