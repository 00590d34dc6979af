// Package ini knows the files in which PHP's settings stand (php.ini, conf.d, .user.ini, and FPM's pool files, which
// are written alike) and which of several settings PHP takes; of the limits among them it knows how they hang together.
// It refuses to know where the files lie, who may write them and what a site is: it takes bytes and settings, and gives
// bytes and settings.
//
// Invariants: a file that is not changed gives back the bytes it came from; a change touches one statement and leaves
// every comment, blank and line end of the others; nothing is guessed: what PHP would compute is marked so.
//
// Where PHP's documentation is silent, what stands here follows zend_ini_scanner.l and zend_ini_parser.y and was
// compared with parse_ini_string() of PHP 8.2; the order in which settings win was tried on php-fpm8.2.
package ini

import (
	"fmt"
	"strings"
)

// File is the text of one file, read. The zero value is an empty file.
type File struct {
	text    []byte
	entries []Entry
	fault   *SyntaxError
}

// Entry is one "name = value" of a file.
type Entry struct {
	Section string // the last [section] before it, "" if there is none
	Name    string // "php_admin_value[memory_limit]" with what is in brackets
	// Value is as PHP takes it: without quotes, and with on, yes, true as "1" and off, no, false, none, null as "".
	Value string
	// Computed says that PHP computes the value (${VARIABLE}, operators): Value is as it is written then.
	Computed bool
	Line     int // where it begins, from 1

	at, end    int // the value's bytes, without blanks and comment around it
	start, eol int // from the beginning of the section or line to behind the line's end
}

// SyntaxError says where PHP stops reading a file. What stands before that place is in force, what stands behind is not.
type SyntaxError struct {
	Line int
	Msg  string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Msg) }

// Parse reads a file. With an error, a *SyntaxError, the File holds what PHP takes of it all the same.
func Parse(text []byte) (File, error) {
	s := scanner{text: string(text), line: 1}
	s.file()
	f := File{text: text, entries: s.entries, fault: s.fault}
	if s.fault != nil {
		return f, s.fault
	}
	return f, nil
}

// Bytes is the file's text.
func (f File) Bytes() []byte { return f.text }

// Entries are the file's settings in their order.
func (f File) Entries() []Entry { return f.entries }

// conditional sections of php.ini count only for some scripts or hosts; all others have no meaning there.
func conditional(section string) bool {
	return strings.HasPrefix(upper(section), "PATH=") || strings.HasPrefix(upper(section), "HOST=")
}

func upper(s string) string { return strings.ToUpper(s[:min(len(s), 5)]) }

// Get is the value of a setting as it holds for every script: the last one outside of [PATH=…] and [HOST=…]. ok is false
// where it is not set, or where PHP computes it.
func (f File) Get(name string) (value string, ok bool) {
	e, ok := f.find(func(e Entry) bool { return e.Name == name && !conditional(e.Section) }, false)
	return e.Value, ok && !e.Computed
}

// GetIn is the value of a setting in one section, such as a pool's. FPM does not care about the case of its own words,
// and of several php_value[…] of one name it takes the first.
func (f File) GetIn(section, name string) (value string, ok bool) {
	e, ok := f.in(section, name)
	return e.Value, ok && !e.Computed
}

func (f File) in(section, name string) (Entry, bool) {
	return f.find(func(e Entry) bool {
		return strings.EqualFold(e.Section, section) && canonical(e.Name) == canonical(name)
	},
		strings.Contains(name, "["))
}

// find gives the last entry that fits, or the first.
func (f File) find(fits func(Entry) bool, first bool) (found Entry, ok bool) {
	for _, e := range f.entries {
		if fits(e) {
			found, ok = e, true
			if first {
				break
			}
		}
	}
	return found, ok
}

// canonical lowers what FPM compares without case; what stands in brackets stays.
func canonical(name string) string {
	base, sub, found := strings.Cut(name, "[")
	if !found {
		return strings.ToLower(name)
	}
	return strings.ToLower(base) + "[" + sub
}
