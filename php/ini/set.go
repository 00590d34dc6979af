package ini

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Set gives a setting a value as it holds for every script: where [File.Get] finds it, else in a new line. An error
// means that the value or the name cannot be written, or that PHP does not read the file to its end.
func (f File) Set(name, value string) (File, error) {
	e, ok := f.find(func(e Entry) bool { return e.Name == name && !conditional(e.Section) }, false)
	line, err := f.line(name, value)
	switch {
	case err != nil:
		return File{}, err
	case ok:
		return f.replace(e, value)
	}
	return f.insert(f.unconditional(), line)
}

// SetIn gives a setting a value in one section, where [File.GetIn] finds it, else in a new line at the end of that
// section, else in a new section.
func (f File) SetIn(section, name, value string) (File, error) {
	e, ok := f.in(section, name)
	line, err := f.line(name, value)
	if err == nil && (section == "" || strings.ContainsAny(section, "[]\"'\\$;\r\n\x00") || strings.Trim(section, blanks) != section) {
		err = fmt.Errorf("%q cannot be written as a section", section)
	}
	switch {
	case err != nil:
		return File{}, err
	case ok:
		return f.replace(e, value)
	}
	last, ok := f.find(func(e Entry) bool { return strings.EqualFold(e.Section, section) }, false)
	if ok {
		return f.insert(last.eol, line)
	}
	return f.insert(len(f.text), "["+section+"]"+f.newline()+line)
}

var safeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*(\[[A-Za-z_][A-Za-z0-9_.-]*\])?$`)

func (f File) line(name, value string) (string, error) {
	if f.fault != nil {
		return "", fmt.Errorf("PHP does not read the file to its end: %w", f.fault)
	}
	if _, word := words[strings.ToLower(name)]; word || !safeName.MatchString(name) {
		return "", fmt.Errorf("%q is no name of a setting", name)
	}
	quoted, err := quote(value)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return name + " = " + quoted, nil
}

func (f File) replace(e Entry, value string) (File, error) {
	quoted, err := quote(value)
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", e.Name, err)
	}
	return Parse(slices.Concat(f.text[:e.at], []byte(quoted), f.text[e.end:]))
}

// insert puts a line at a place that is the beginning of one, or the end of the file.
func (f File) insert(at int, line string) (File, error) {
	nl := f.newline()
	before := f.text[:at]
	if at > 0 && f.text[at-1] != '\n' && f.text[at-1] != '\r' {
		line = nl + line
	}
	return Parse(slices.Concat(before, []byte(line+nl), f.text[at:]))
}

// unconditional is a place at which a setting holds for every script: before the first [PATH=…] or [HOST=…] if the file
// ends in one, else its end.
func (f File) unconditional() int {
	s := scanner{text: string(f.text), line: 1}
	first := -1
	for s.at < len(s.text) && s.fault == nil {
		s.skip(blanks)
		if s.at == len(s.text) {
			break
		}
		switch c := s.text[s.at]; {
		case c == '\n' || c == '\r':
			s.newline()
		case c == ';':
			s.comment()
		case c == '[':
			start := bytes.LastIndexAny(f.text[:s.at], "\r\n") + 1
			s.header()
			switch {
			case !conditional(s.section):
				first = -1
			case first < 0:
				first = start
			}
		default:
			s.entry()
		}
	}
	if first >= 0 {
		return first
	}
	return len(f.text)
}

// newline is the line end that the file uses.
func (f File) newline() string {
	if i := bytes.IndexAny(f.text, "\r\n"); i >= 0 {
		if f.text[i] == '\n' {
			return "\n"
		}
		if i+1 < len(f.text) && f.text[i+1] == '\n' {
			return "\r\n"
		}
		return "\r"
	}
	return "\n"
}

// plain values need no quotes; a word would, since it may be the name of a constant.
var plain = regexp.MustCompile(`^(-?[0-9][A-Za-z0-9]*|/[A-Za-z0-9_./-]*)$`)

// quote writes a value so that it is read as itself.
func quote(value string) (string, error) {
	if strings.ContainsAny(value, "\x00\r\n") {
		return "", errors.New("a value may not hold a line break or a NUL")
	}
	if plain.MatchString(value) {
		return value, nil
	}
	if !strings.ContainsAny(value, "\"\\$") {
		return `"` + value + `"`, nil
	}
	if !strings.Contains(value, "'") {
		return "'" + value + "'", nil
	}
	return "", errors.New(`a value with ' may not hold ", \ or $`)
}
