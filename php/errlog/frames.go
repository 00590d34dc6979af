package errlog

import "strings"

const frameMain = "{main}"

// parseFrames reads the "#0 FILE(LINE): CALL" lines that follow "Stack trace:", as far as they are numbered without
// a gap; a second trace begins again at #0 and so ends the first. Lines between are the rest of an argument.
func parseFrames(text string) []Frame {
	var frames []Frame
	for len(text) > 0 {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		call := cursor(line)
		numbered := call.word("#")
		n, ok := call.digits()
		if !numbered || !ok || n != len(frames) || n > 0 && line[1] == '0' || n == 0 && len(line)-len(call) != 2 || !call.word(" ") {
			if len(frames) > 0 && strings.HasPrefix(line, "#0 ") {
				break
			}
			continue
		}
		frame, whole := parseFrame(string(call))
		if !whole {
			break
		}
		frames = append(frames, frame)
		if frame.Func == frameMain {
			break
		}
	}
	return frames
}

// parseFrame reads one frame without its number.
func parseFrame(call string) (Frame, bool) {
	if call == frameMain {
		return Frame{Func: frameMain}, true
	}
	if name, ok := strings.CutPrefix(call, "[internal function]: "); ok {
		function, whole := withoutArguments(name)
		return Frame{Func: function}, whole
	}
	place, line, rest, ok := calledAt(call)
	if !ok {
		return Frame{}, false
	}
	function, whole := withoutArguments(rest)
	file, line := realPlace(place, line)
	return Frame{Func: function, File: file, Line: line}, whole
}

// calledAt splits "FILE(LINE): CALL" at the first place that can be its line.
func calledAt(s string) (file string, line int, call string, ok bool) {
	for from := 1; from < len(s); {
		i := strings.IndexByte(s[from:], '(')
		if i < 0 {
			break
		}
		i += from
		c := cursor(s[i+1:])
		if n, ok := c.digits(); ok && c.word("): ") {
			return s[:i], n, string(c), true
		}
		from = i + 1
	}
	return "", 0, "", false
}

// withoutArguments cuts "ns\fn('secret')" to its name; a name without arguments was itself cut off. A closure's name
// holds brackets of its own since PHP 8.4: "{closure:Foo::bar():12}()".
func withoutArguments(call string) (name string, whole bool) {
	from := 0
	if i := strings.Index(call, "{closure"); i >= 0 {
		if end := strings.Index(call[i:], "}("); end >= 0 {
			from = i + end
		}
	}
	i := strings.IndexByte(call[from:], '(')
	if i < 0 {
		return "", false
	}
	return call[:from+i], true
}
