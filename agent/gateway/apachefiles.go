package gateway

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

const (
	maxApacheFiles = 100_000 // files read for one configuration
	maxApacheLine  = 1 << 20 // bytes, with its variables filled in
)

// apacheFiles reads the configuration's files, for servers without mod_info. Which files an Include stands for is
// Apache's own word (DUMP_INCLUDES), never a pattern that is looked up here.
type apacheFiles struct {
	run      apacheRun
	version  string
	env      map[string]string
	defines  map[string]string // -D and Define
	tree     apacheTree
	problems problems
	files    int
	bytes    int
}

// readApacheFiles reads them all. args and env are the master's.
func readApacheFiles(run apacheRun, args, env []string, version string) ([]*apacheDirective, problems, error) {
	f := &apacheFiles{run: run, version: version, env: map[string]string{}, defines: map[string]string{}}
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		f.env[name] = value
	}
	for i, a := range args {
		if a == "-D" && i+1 < len(args) {
			name, value, _ := strings.Cut(args[i+1], "=")
			f.defines[name] = value
		}
	}
	if err := f.file(run.main, 0); err != nil {
		return nil, nil, fmt.Errorf("read the Apache configuration: %w", err)
	}
	top, err := f.tree.done()
	return top, f.problems, err
}

func (f *apacheFiles) file(name string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: files are included deeper than %d", name, maxDepth)
	}
	if f.files++; f.files > maxApacheFiles {
		return fmt.Errorf("more than %d files are included", maxApacheFiles)
	}
	text, err := readConfigFile(name, maxDump-f.bytes)
	if err != nil {
		return err
	}
	f.bytes += len(text)
	return f.text(name, text, depth)
}

// readConfigFile reads a regular file; a FIFO in its place must not hold us up.
func readConfigFile(name string, limit int) (string, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", name)
	}
	text, err := io.ReadAll(io.LimitReader(file, int64(limit)+1))
	if err != nil {
		return "", err
	}
	if len(text) > limit {
		return "", fmt.Errorf("the configuration has more than %d bytes", maxDump)
	}
	return string(text), nil
}

// text reads the lines of one file.
func (f *apacheFiles) text(name, text string, depth int) error {
	if strings.IndexByte(text, 0) >= 0 {
		return fmt.Errorf("%s holds a NUL byte", name)
	}
	c := apacheConditions{file: name}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		first := i + 1
		for i+1 < len(lines) && strings.HasSuffix(strings.TrimSuffix(lines[i], "\r"), `\`) {
			i++
		}
		line := continued(lines[first-1 : i+1])
		if line == "" || line[0] == '#' {
			continue
		}
		taken, err := c.take(f, line, first)
		if err != nil {
			return err
		}
		if taken {
			continue
		}
		if line, err = f.expand(line); err != nil {
			return fmt.Errorf("%s:%d: %w", name, first, err)
		}
		word, rest := cutBlank(line)
		switch strings.ToLower(word) {
		case "include", "includeoptional":
			for _, file := range f.run.includes[include{name, first}] {
				if err := f.file(file, depth+1); err != nil {
					return err
				}
			}
		case "define", "undefine":
			f.define(strings.ToLower(word), apacheWords(rest))
		case "<macro":
			// What becomes of macros only mod_info tells.
			f.problems.add(fmt.Sprintf("%s:%d", name, first), "a macro is not followed: load mod_info, which shows what it stands for")
			if i = endOf("</macro>", lines, i); i < 0 {
				return fmt.Errorf("%s:%d: <Macro> is not closed", name, first)
			}
		default:
			if err := f.tree.add(line, name, first); err != nil {
				return err
			}
		}
	}
	return c.done()
}

// continued joins lines that end with a backslash to those after them.
func continued(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if i < len(lines)-1 {
			line = strings.TrimSuffix(line, `\`)
		}
		b.WriteString(line)
	}
	return strings.TrimSpace(b.String())
}

func endOf(end string, lines []string, from int) int {
	for i := from; i < len(lines); i++ {
		if strings.EqualFold(strings.TrimSpace(lines[i]), end) {
			return i
		}
	}
	return -1
}

func (f *apacheFiles) define(word string, args []string) {
	switch {
	case len(args) == 0:
	case word == "undefine":
		delete(f.defines, args[0])
	case len(args) > 1:
		f.defines[args[0]] = args[1]
	default:
		f.defines[args[0]] = ""
	}
}

// expand replaces ${NAME}; an unknown name stays as written, as in Apache (ap_resolve_env). Variables that hold others
// could double with every line.
func (f *apacheFiles) expand(line string) (string, error) {
	if !strings.Contains(line, "${") {
		return line, nil
	}
	var b strings.Builder
	for b.Len() <= maxApacheLine {
		before, rest, ok := strings.Cut(line, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		value, known := f.defines[name]
		if !known {
			value, known = f.env[name]
		}
		if !closed || !known {
			b.WriteString("${")
			line = rest
			continue
		}
		b.WriteString(value)
		line = after
	}
	return "", fmt.Errorf("the line has more than %d bytes with its variables filled in", maxApacheLine)
}
