package fcgi

import (
	"encoding/binary"
	"slices"
)

// encodeParams returns the name-value pairs in sorted order, in parts of at most one record where possible.
//
// The specification makes PARAMS one stream, in which a pair may lie across records. PHP parses each record by
// itself and drops the connection when a pair is cut (fcgi_read_request, main/fastcgi.c; seen on 8.2), so records end
// between pairs. Only a pair that no record can hold is split, for the servers that can join it.
func encodeParams(params map[string]string) [][]byte {
	names := make([]string, 0, len(params))
	for name := range params {
		names = append(names, name)
	}
	slices.Sort(names)

	var parts [][]byte
	var part []byte
	for _, name := range names {
		value := params[name]
		if size := pairLen(name, value); len(part) > 0 && len(part)+size > maxContent {
			parts, part = append(parts, part), nil
		}
		part = appendLen(part, len(name))
		part = appendLen(part, len(value))
		part = append(part, name...)
		part = append(part, value...)
	}
	if len(part) > 0 {
		parts = append(parts, part)
	}
	return parts
}

// appendLen writes a length in one byte up to 127, else in four with the top bit set (section 3.4).
func appendLen(b []byte, n int) []byte {
	if n <= 127 {
		return append(b, byte(n))
	}
	return binary.BigEndian.AppendUint32(b, uint32(n)|1<<31)
}

func pairLen(name, value string) int {
	n := len(name) + len(value) + 2
	if len(name) > 127 {
		n += 3
	}
	if len(value) > 127 {
		n += 3
	}
	return n
}
