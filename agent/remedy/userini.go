package remedy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"wpmend/php/ini"
)

// The lines around wpmend's own part of a .user.ini.
const (
	blockBegins = "; wpmend: begin"
	blockEnds   = "; wpmend: end"
)

// header says in the file itself who set it, when and why.
func (l Limits) header() []string {
	lines := []string{"; Set by wpmend at " + stamp(l.Now) + ": " + oneLine(l.Why)}
	if l.Incident != "" {
		lines = append(lines, "; Taken back by: wpmend incidents undo "+l.Incident)
	}
	if !l.Until.IsZero() {
		lines = append(lines, "; Holds until "+stamp(l.Until)+", then wpmend takes it back.")
	}
	return lines
}

// oneLine makes a comment of untrusted text: one line, and not a long one.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "…"
	}
	return text
}

// userINI is the file with wpmend's own part at its end, where it wins over the lines before it. The settings of an
// earlier part are kept.
func (l Limits) userINI() ([]byte, error) {
	before, own, behind := cutBlock(l.Was)
	if _, err := ini.Parse(slices.Concat(before, behind)); err != nil {
		return nil, fmt.Errorf("PHP does not read it to its end, so that what is added would not count: %w", err)
	}
	f, err := ini.Parse(own)
	if err != nil {
		return nil, err
	}
	settings := ini.File{}
	for _, e := range f.Entries() {
		if settings, err = settings.Set(e.Name, e.Value); err != nil {
			return nil, err
		}
	}
	for _, s := range l.PHP {
		if settings, err = settings.Set(s.Name, s.Value); err != nil {
			return nil, err
		}
	}
	nl := "\n"
	if bytes.Contains(l.Was, []byte("\r\n")) {
		nl = "\r\n"
	}
	text := slices.Concat(before, behind)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, nl...)
	}
	lines := append([]string{blockBegins}, l.header()...)
	for line := range strings.Lines(string(settings.Bytes())) {
		lines = append(lines, strings.TrimRight(line, "\r\n"))
	}
	text = append(text, strings.Join(append(lines, blockEnds), nl)+nl...)
	all, err := ini.Parse(text)
	if err != nil {
		return nil, err
	}
	for _, s := range l.PHP {
		if v, _ := all.Get(s.Name); v != s.Value {
			return nil, fmt.Errorf("%s would be %q at its end: a [section] stands in the way", s.Name, v)
		}
	}
	return text, nil
}

// cutBlock takes wpmend's own part out: the last one that is whole.
func cutBlock(text []byte) (before, own, behind []byte) {
	begin, end, at, from := -1, -1, 0, -1
	for line := range bytes.Lines(text) {
		switch string(bytes.TrimRight(line, "\r\n")) {
		case blockBegins:
			from = at
		case blockEnds:
			if from >= 0 {
				begin, end, from = from, at+len(line), -1
			}
		}
		at += len(line)
	}
	if begin < 0 {
		return text, nil, nil
	}
	return text[:begin:begin], text[begin:end], text[end:]
}
