package errlog

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	frameCall = regexp.MustCompile(`^(.+?)\((\d+)\): (.*)$`)
	frameMain = "{main}"
)

// parseFrames reads the "#0 FILE(LINE): CALL" lines that follow "Stack trace:", as far as they are numbered without
// a gap; a second trace begins again at #0 and so ends the first. Lines between are the rest of an argument.
func parseFrames(text string) []Frame {
	var frames []Frame
	for line := range strings.SplitSeq(text, "\n") {
		call, ok := strings.CutPrefix(line, "#"+strconv.Itoa(len(frames))+" ")
		if !ok {
			if len(frames) > 0 && strings.HasPrefix(line, "#0 ") {
				break
			}
			continue
		}
		frame, whole := parseFrame(call)
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
	m := frameCall.FindStringSubmatch(call)
	if m == nil {
		return Frame{}, false
	}
	function, whole := withoutArguments(m[3])
	file, line := realPlace(m[1], atoi(m[2]))
	return Frame{Func: function, File: file, Line: line}, whole
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
