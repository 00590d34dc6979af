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
	maxApacheLine  = 16 << 20
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
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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
		line := strings.TrimSuffix(lines[i], "\r")
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) && len(line) < maxApacheLine {
			i++
			line = line[:len(line)-1] + strings.TrimSuffix(lines[i], "\r")
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if taken, err := c.take(f, line, first); err != nil {
			return err
		} else if taken {
			continue
		}
		line = f.expand(line)
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

// expand replaces ${NAME}; an unknown name stays as written, as in Apache (ap_resolve_env).
func (f *apacheFiles) expand(line string) string {
	if !strings.Contains(line, "${") {
		return line
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(line, "${")
		b.WriteString(before)
		if !ok {
			return b.String()
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
}
