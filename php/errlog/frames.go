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
		return Frame{Func: withoutArguments(name)}, true
	}
	m := frameCall.FindStringSubmatch(call)
	if m == nil {
		return Frame{}, false
	}
	frame := Frame{Func: withoutArguments(m[3])}
	frame.File, frame.Line = realPlace(m[1], atoi(m[2]))
	return frame, true
}

// withoutArguments cuts "ns\fn('secret')" to its name. A closure's name holds brackets of its own since PHP 8.4:
// "{closure:Foo::bar():12}()".
func withoutArguments(call string) string {
	from := 0
	if i := strings.Index(call, "{closure"); i >= 0 {
		if end := strings.Index(call[i:], "}("); end >= 0 {
			from = i + end
		}
	}
	if i := strings.IndexByte(call[from:], '('); i >= 0 {
		return call[:from+i]
	}
	return call
}
