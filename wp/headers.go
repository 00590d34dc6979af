package wp

import (
	"bytes"
	"strings"
	"unicode"
)

// headSize is how much of a file WordPress looks through for headers
// (get_file_data).
const headSize = 8 << 10

// maxHeader bounds a header's text: it is shown to people, and an 8 kB title
// would hide all else.
const maxHeader = 200

// header finds one field in a file's first bytes as WordPress does: the first
// line on which nothing but comment signs, or "<?php" and they, stand before
// the name and a colon. What follows "*/" or "?>" is not part of it. The
// original is get_file_data and _cleanup_header_comment of
// wp-includes/functions.php.
func header(head []byte, field string) string {
	head = head[:min(len(head), headSize)]
	for line := range bytes.FieldsFuncSeq(head, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if value, ok := headerLine(line, field); ok {
			return value
		}
	}
	return ""
}

func headerLine(line []byte, field string) (string, bool) {
	rest := bytes.TrimLeft(line, " \t")
	if len(rest) >= 5 && strings.EqualFold(string(rest[:5]), "<?php") {
		line = rest[5:]
	}
	line = bytes.TrimLeft(line, " \t/*#@")
	if len(line) <= len(field) || line[len(field)] != ':' || !equalFoldASCII(line[:len(field)], field) {
		return "", false
	}
	line = line[len(field)+1:]
	for _, end := range []string{"*/", "?>"} {
		if i := bytes.Index(line, []byte(end)); i >= 0 {
			line = bytes.TrimRight(line[:i], " \t\v\f")
		}
	}
	return string(bytes.Trim(line, " \t\v\x00")), true // PHP's trim leaves \f
}

// equalFoldASCII compares as PCRE's i does without its u: "ſ" is not an s.
func equalFoldASCII(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// shown makes a header fit for a terminal: valid, printable, short.
func shown(value string) string {
	value = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, ""))
	if len(value) > maxHeader {
		value = strings.ToValidUTF8(value[:maxHeader], "") + "…"
	}
	return value
}

// slugs reads "Requires Plugins": comma-separated, and only what WordPress takes
// for a slug (WP_Plugin_Dependencies::sanitize_dependency_slugs).
func slugs(value string) []string {
	var found []string
	for s := range strings.SplitSeq(value, ",") {
		s = strings.TrimSpace(s)
		if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
			!strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-") && !strings.Contains(s, "--") {
			found = append(found, s)
		}
	}
	return found
}
