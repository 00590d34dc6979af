package wp

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"database/sql/driver"
	"encoding/pem"
	"fmt"
	"io"
)

// handshake lets the driver connect, and bounds what a server may say before it lets us in. It may send a key for
// the password (RSA, https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html):
// to use one of the length of an answer would take days, in which no context is heard. The driver trusts its server to send
// whole packets, and where it panics on others its connection and a goroutine stay for good, so it gets none.
type handshake struct {
	driver.Connector
	limit *limiter
}

// Connect is the driver's.
func (h handshake) Connect(ctx context.Context) (conn driver.Conn, err error) {
	h.limit.allow(maxHandshake)
	h.limit.greeting.Store(true)
	defer func() {
		h.limit.greeting.Store(false)
		h.limit.dialled(nil, conn == nil)
	}()
	if conn, err = h.Connector.Connect(ctx); err != nil {
		return nil, err
	}
	h.limit.allow(maxAnswer)
	return conn, nil
}

// stage is how far a handshake has come.
type stage int

const (
	greets   stage = iota // the server speaks first
	admits                // it asks for proofs
	prepares              // we have sent a command
)

// packet reads the next one of a handshake whole.
func (c *limitedConn) packet() error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c.counted(), head); err != nil {
		return err
	}
	size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if size > maxHandshake {
		return c.limit.refuse(fmt.Errorf("%w: a packet of %d bytes before it lets us in", errProtocol, size))
	}
	c.ready = append(head, make([]byte, size)...)
	if n, err := io.ReadFull(c.counted(), c.ready[4:]); err != nil {
		c.ready = c.ready[:4+n]
		return err
	}
	if c.asked.Swap(false) {
		c.stage = prepares
	}
	if fault := c.stage.fault(c.ready[4:]); fault != "" {
		c.ready = nil
		return c.limit.refuse(fmt.Errorf("%w: %s", errProtocol, fault))
	}
	if c.stage == greets {
		c.stage = admits
	}
	return nil
}

// fault is what keeps the driver from reading a packet, "" if nothing does. The layouts are those of
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html.
func (s stage) fault(p []byte) string {
	switch {
	case len(p) == 0:
		return "an empty packet"
	case p[0] == 0xff:
		// Number, and in all but old versions a state behind a #.
		if len(p) < 4 || p[3] == '#' && len(p) < 9 {
			return "half an error"
		}
		return ""
	case s == greets:
		return greetingFault(p)
	case p[0] == 0:
		return okFault(p)
	case s == prepares:
		return "an answer to what has none"
	case p[0] == 1:
		return keyFault(p[1:])
	case p[0] == 0xfe:
		return switchFault(p[1:])
	}
	return fmt.Sprintf("a packet of kind %d before it lets us in", p[0])
}

func greetingFault(p []byte) string {
	const (
		// Connection, scramble, filler, capabilities; then, of every server since 4.1, character set, status,
		// capabilities, length, reserved and the scramble's rest.
		least = 4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 6 + 4 + 12 + 1
	)
	_, rest, ended := bytes.Cut(p[1:], []byte{0})
	if !ended || len(rest) < least {
		return "half a greeting"
	}
	return ""
}

// okFault: two numbers of one to nine bytes each, and two of status.
func okFault(p []byte) string {
	at := 1
	for range 2 {
		if at >= len(p) {
			return "half a consent"
		}
		switch p[at] {
		case 0xfc:
			at += 3
		case 0xfd:
			at += 4
		case 0xfe:
			at += 9
		default:
			at++
		}
	}
	if at+2 > len(p) {
		return "half a consent"
	}
	return ""
}

// switchFault: another proof is asked for, by a name and a scramble. Old ones had neither.
func switchFault(p []byte) string {
	const scramble = 20
	name, rest, _ := bytes.Cut(p, []byte{0})
	if string(name) == "mysql_native_password" && len(rest) < scramble {
		return "half a scramble"
	}
	return ""
}

// keyFault: what comes in the midst of a proof is a byte, a scramble or a key, and keys are RSA's.
func keyFault(p []byte) string {
	block, _ := pem.Decode(p)
	if block == nil {
		return ""
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "a key that cannot be read"
	}
	if _, ok := key.(*rsa.PublicKey); !ok {
		return fmt.Sprintf("a key of another kind than RSA (%T)", key)
	}
	return ""
}
