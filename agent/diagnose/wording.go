package diagnose

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// maxEvidence bounds one text, in bytes; a forged message can be of any length.
const maxEvidence = 500

// maxWord bounds what is put into a sentence from outside.
const maxWord = 300

// clean makes of text that anybody may have written one line that a terminal, a mail and a web page show as it is:
// colour codes, line ends and marks that reverse the direction of writing become blanks or nothing.
func clean(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	rest := text
	for rest != "" {
		if n := escape(rest); n > 0 {
			rest = rest[n:]
			continue
		}
		r := []rune(rest[:min(len(rest), 4)])[0]
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case !hidden(r):
			b.WriteRune(r)
		}
		rest = rest[len(string(r)):]
	}
	return b.String()
}

// hidden are control characters and marks that are not seen but change what is.
func hidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

// escape is the length of a terminal's command at the beginning of s (ECMA-48: CSI and OSC), 0 if there is none.
func escape(s string) int {
	if !strings.HasPrefix(s, "\x1b[") && !strings.HasPrefix(s, "\x1b]") {
		return 0
	}
	for i := 2; i < len(s) && i < 64; i++ {
		if c := s[i]; s[1] == '[' && c >= 0x40 && c <= 0x7e || s[1] == ']' && c == 7 {
			return i + 1
		}
	}
	return 2
}

func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// sentence is Sprintf of words that may come from outside.
func sentence(format string, args ...any) string {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = cut(clean(a), maxWord)
		case error:
			args[i] = cut(clean(a.Error()), maxWord)
		case fmt.Stringer:
			args[i] = cut(clean(a.String()), maxWord)
		}
	}
	return fmt.Sprintf(format, args...)
}

// shell quotes a word for a command that somebody will paste.
func shell(word string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%,=", r)
	}
	if word != "" && word[0] != '-' && strings.IndexFunc(word, func(r rune) bool { return !safe(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// size writes bytes as people and configuration files do.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 1<<20:
		return fmt.Sprintf("%d MB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d kB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// seconds writes a duration as configuration files do; none is what 0 stands for.
func seconds(d time.Duration) string {
	if d <= 0 {
		return "none"
	}
	return fmt.Sprintf("%ds", int64((d+time.Second-1)/time.Second))
}

// unit is a unit's name for a command, or what to look for where it is not known.
func unit(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return shell(name)
}
