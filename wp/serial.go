package wp

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// ErrSerial says that bytes are not what PHP's serialize writes.
var ErrSerial = errors.New("broken serialised value")

const (
	maxSerial      = 16 << 20 // bytes
	maxSerialDepth = 128
)

// Node is one value as PHP serialises it. Its bytes are kept, so that what is
// not changed is written as it was found.
type Node struct {
	// Kind is PHP's letter: N null, b bool, i int, d float, s string, a array;
	// O and C objects, E enum cases, r and R references are kept verbatim.
	Kind byte
	// Text is what stands between the marks: the digits of b, i, d, the bytes
	// of s, and for O, C, E, r and R the whole value.
	Text  []byte
	Pairs []Pair // of an array, in order
}

// Pair is one element of an array. Keys are of kind i or s.
type Pair struct{ Key, Value Node }

// Unserialize reads one value, which must be all of b. Serialize gives the
// same bytes back.
func Unserialize(b []byte) (Node, error) {
	if len(b) > maxSerial {
		return Node{}, fmt.Errorf("%w: it has %d bytes, more than the %d that are read", ErrSerial, len(b), maxSerial)
	}
	p := &parser{b: b}
	n, err := p.value(0)
	if err == nil && p.i < len(b) {
		err = p.fail("%d bytes follow the value", len(b)-p.i)
	}
	if err != nil {
		return Node{}, err
	}
	return n, nil
}

type parser struct {
	b []byte
	i int
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: %s", ErrSerial, p.i, fmt.Sprintf(format, args...))
}

// until takes bytes up to and with the next end, which must come within limit
// bytes.
func (p *parser) until(end byte, limit int) ([]byte, error) {
	rest := p.b[p.i:]
	n := bytes.IndexByte(rest[:min(len(rest), limit+1)], end)
	if n < 0 {
		return nil, p.fail("no %q where one must be", end)
	}
	p.i += n + 1
	return rest[:n], nil
}

func (p *parser) expect(s string) error {
	if !bytes.HasPrefix(p.b[p.i:], []byte(s)) {
		return p.fail("no %q where one must be", s)
	}
	p.i += len(s)
	return nil
}

// length takes a count written as PHP writes it: no sign, no leading zero.
func (p *parser) length(end byte) (int, error) {
	at := p.i
	d, err := p.until(end, 10)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(d))
	if err != nil || strconv.Itoa(n) != string(d) || n < 0 {
		p.i = at
		return 0, p.fail("%q is no length", d)
	}
	return n, nil
}

// counted takes n bytes between open and end.
func (p *parser) counted(n int, open, end string) ([]byte, error) {
	if err := p.expect(open); err != nil {
		return nil, err
	}
	if n > len(p.b)-p.i {
		return nil, p.fail("a length of %d where %d bytes are left", n, len(p.b)-p.i)
	}
	text := p.b[p.i : p.i+n]
	p.i += n
	if err := p.expect(end); err != nil {
		return nil, fmt.Errorf("%w; the string before it is not %d bytes long: the value was edited or cut off", err, n)
	}
	return text, nil
}

func (p *parser) value(depth int) (Node, error) {
	if depth > maxSerialDepth {
		return Node{}, p.fail("nested more than %d deep", maxSerialDepth)
	}
	start := p.i
	if p.i+1 >= len(p.b) {
		return Node{}, p.fail("it ends too early")
	}
	kind := p.b[p.i]
	p.i++
	if kind == 'N' {
		return Node{Kind: 'N'}, p.expect(";")
	}
	if err := p.expect(":"); err != nil {
		return Node{}, err
	}
	var err error
	n := Node{Kind: kind}
	switch kind {
	case 'b', 'i', 'd':
		err = p.number(&n)
	case 's':
		var size int
		if size, err = p.length(':'); err == nil {
			n.Text, err = p.counted(size, `"`, `";`)
		}
	case 'a':
		n.Pairs, err = p.pairs(depth)
	case 'r', 'R':
		_, err = p.length(';')
		n.Text = p.b[start:p.i]
	case 'E':
		var size int
		if size, err = p.length(':'); err == nil {
			_, err = p.counted(size, `"`, `";`)
		}
		n.Text = p.b[start:p.i]
	case 'O', 'C':
		err = p.object(kind, depth)
		n.Text = p.b[start:p.i]
	default:
		p.i = start
		err = p.fail("%q begins no value", kind)
	}
	return n, err
}

func (p *parser) number(n *Node) error {
	at := p.i
	d, err := p.until(';', 40)
	if err != nil {
		return err
	}
	ok := false
	switch n.Kind {
	case 'b':
		ok = len(d) == 1 && (d[0] == '0' || d[0] == '1')
	case 'i':
		v, err := strconv.ParseInt(string(d), 10, 64)
		ok = err == nil && strconv.FormatInt(v, 10) == string(d)
	case 'd':
		switch s := string(d); s {
		case "INF", "-INF", "NAN":
			ok = true
		default:
			// ParseFloat takes more than PHP does: hexadecimal, "inf", "_".
			_, err := strconv.ParseFloat(s, 64)
			ok = (err == nil || errors.Is(err, strconv.ErrRange)) && prefixLen(d, len(d), isFloatByte) == len(d)
		}
	}
	if !ok {
		p.i = at
		return p.fail("%q is no value of kind %q", d, n.Kind)
	}
	n.Text = d
	return nil
}

func isFloatByte(c byte) bool {
	return isDigit(c) || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E'
}

// pairs takes an array's elements.
func (p *parser) pairs(depth int) ([]Pair, error) {
	n, err := p.length(':')
	if err != nil {
		return nil, err
	}
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	// The shortest element, i:0;N; , has six bytes.
	if n > (len(p.b)-p.i)/6 {
		return nil, p.fail("an array of %d elements where %d bytes are left", n, len(p.b)-p.i)
	}
	pairs := make([]Pair, 0, n)
	for range n {
		at := p.i
		key, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if key.Kind != 'i' && key.Kind != 's' {
			p.i = at
			return nil, p.fail("a key of kind %q", key.Kind)
		}
		value, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, Pair{key, value})
	}
	return pairs, p.expect("}")
}

// object steps over O:len:"class":n:{…} and C:len:"class":len:{…}.
func (p *parser) object(kind byte, depth int) error {
	size, err := p.length(':')
	if err != nil {
		return err
	}
	if _, err := p.counted(size, `"`, `":`); err != nil {
		return err
	}
	if kind == 'O' {
		_, err := p.pairs(depth)
		return err
	}
	if size, err = p.length(':'); err != nil {
		return err
	}
	_, err = p.counted(size, "{", "}")
	return err
}

// Serialize writes the value as PHP does.
func (n Node) Serialize() []byte { return n.append(nil) }

func (n Node) append(out []byte) []byte {
	switch n.Kind {
	case 'N':
		return append(out, "N;"...)
	case 'b', 'i', 'd':
		return append(append(append(out, n.Kind, ':'), n.Text...), ';')
	case 's':
		out = strconv.AppendInt(append(out, "s:"...), int64(len(n.Text)), 10)
		return append(append(append(out, `:"`...), n.Text...), `";`...)
	case 'a':
		out = strconv.AppendInt(append(out, "a:"...), int64(len(n.Pairs)), 10)
		out = append(out, ":{"...)
		for _, p := range n.Pairs {
			out = p.Value.append(p.Key.append(out))
		}
		return append(out, '}')
	}
	return append(out, n.Text...)
}
