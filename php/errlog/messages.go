package errlog

import (
	"bytes"
	"io"
	"strings"
)

const messagePrefix = "PHP message: "

// ScanPHP yields PHP's messages from an error log, WordPress' debug.log, or the standard error of a FastCGI answer,
// until it ends or yield returns false. Messages that span lines are joined; what PHP code itself wrote with
// error_log() is passed over. The only errors are those of r.
func ScanPHP(r io.Reader, yield func(PHPError) bool) error {
	z := zones{}
	return scanRecords(r, startsMessage, func(b []byte) bool {
		text := string(b)
		if !strings.HasPrefix(text, messagePrefix) {
			e, ok := parsePHP(text, z)
			return !ok || yield(e)
		}
		for _, message := range SplitMessages(text) {
			if e, ok := parsePHP(message, z); ok && !yield(e) {
				return false
			}
		}
		return true
	})
}

// startsMessage reports whether a line begins a message, PHP's or another that may stand beside it.
func startsMessage(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	switch line[0] {
	case '[':
		return isStamp(line)
	case 'P':
		return bytes.HasPrefix(line, []byte(messagePrefix)) || isKind(line) || bytes.HasPrefix(line, []byte("Primary script unknown"))
	case 'N':
		return bytes.HasPrefix(line, []byte("NOTICE: "+messagePrefix))
	case 'U':
		return bytes.HasPrefix(line, []byte("Unable to open primary script: "))
	case 'A':
		return bytes.HasPrefix(line, []byte("Access to the script '"))
	}
	return false
}

func isKind(line []byte) bool {
	_, _, ok := kindOf(string(line[:min(len(line), 64)]))
	return ok
}

// trimMessagePrefix takes off what FPM puts before a message: in its log with fastcgi.logging = 0 also the level.
func trimMessagePrefix(s string) string {
	return strings.TrimPrefix(strings.TrimPrefix(s, "NOTICE: "), messagePrefix)
}

// SplitMessages cuts the standard error of one FastCGI answer into its messages, without "PHP message: " and the
// space around. FPM joins them with "; PHP message: "; nginx and others may join by newline.
func SplitMessages(stderr string) []string {
	var messages []string
	var current strings.Builder
	flush := func() {
		if m := strings.TrimSpace(trimMessagePrefix(current.String())); m != "" {
			messages = append(messages, m)
		}
		current.Reset()
	}
	for line := range strings.Lines(stderr) {
		if startsMessage([]byte(line)) {
			flush()
		}
		for {
			before, after, more := strings.Cut(line, "; "+messagePrefix)
			current.WriteString(before)
			if !more {
				break
			}
			flush()
			line = after
		}
	}
	flush()
	return messages
}
