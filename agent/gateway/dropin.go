package gateway

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// DropIn is a file of our own that the server's configuration includes already, at a level where what it sets is in
// force for one PHP location.
type DropIn struct {
	File  string // absolute; it need not exist
	Level string // "http", "server", "location" or "VirtualHost": whom it concerns; and how many more include it
	By    string // FILE:LINE of the include
}

// NoDropInError says that only an edit of somebody's own file can set the directives, and where.
type NoDropInError struct {
	File string
	Line int
	Why  string
}

func (e *NoDropInError) Error() string {
	return fmt.Sprintf("no file of our own would be in force: %s; the place is %s:%d", e.Why, e.File, e.Line)
}

// FindDropIn looks in the configuration that a reload would read for the narrowest level around a location of v that
// includes a pattern of files, and at which, and below which, none of the directives is set. name is that of the file,
// and ends in ".conf". A *NoDropInError names the place for a person.
func FindDropIn(ctx context.Context, g Gateway, v Vhost, l PHPLocation, name string, directives []string) (DropIn, error) {
	if g.Kind == "apache" {
		return apacheDropIn(g, v, name, directives)
	}
	d, err := askDump(ctx, g)
	if err != nil {
		return DropIn{}, err
	}
	return d.dropIn(v, l, name, directives, isFolder)
}

func isFolder(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.IsDir()
}

// askDump asks for the configuration that a reload would read.
func askDump(ctx context.Context, g Gateway) (*dump, error) {
	binary, args, env, err := g.command(ctx)
	if err != nil {
		return nil, err
	}
	text, _, err := runWith(ctx, bounds{maxRun, maxDump}, env, binary, append([]string{"-T"}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of nginx: %w", err)
	}
	return readDump(text)
}

// each visits the directives of a block and of what it includes; the includes too.
func (d *dump) each(body []directive, depth int, yield func(*directive) bool) bool {
	if depth > maxDepth {
		return false
	}
	for i := range body {
		b := &body[i]
		if d.budget--; d.budget < 0 || !yield(b) {
			return false
		}
		if b.name != "include" || b.isBlock {
			continue
		}
		for _, s := range b.include {
			if !d.each(s.body, depth+1, yield) {
				return false
			}
		}
	}
	return true
}

// around are the blocks around a location, http first and the location's own last; nil if it is not there any more.
func (d *dump) around(v Vhost, l PHPLocation) []*directive {
	var found []*directive
	d.each(d.main.body, 0, func(http *directive) bool {
		if http.name != "http" || !http.isBlock {
			return true
		}
		return d.each(http.block, 0, func(server *directive) bool {
			if server.name != "server" || !server.isBlock || server.file.path != v.File || server.line != v.Line {
				return true
			}
			if inner := d.within(server, l, 0); inner != nil {
				found = append([]*directive{http}, inner...)
			}
			return found == nil
		})
	})
	return found
}

func (d *dump) within(outer *directive, l PHPLocation, depth int) []*directive {
	if depth > maxDepth {
		return nil
	}
	var found []*directive
	d.each(outer.block, 0, func(b *directive) bool {
		switch {
		case b.name != "location" || !b.isBlock:
		case b.file.path == l.File && b.line == l.Line:
			found = []*directive{outer, b}
		default:
			if inner := d.within(b, l, depth+1); inner != nil {
				found = append([]*directive{outer}, inner...)
			}
		}
		return found == nil
	})
	return found
}

func (d *dump) dropIn(v Vhost, l PHPLocation, name string, directives []string, exists func(dir string) bool) (DropIn, error) {
	blocks := d.around(v, l)
	if blocks == nil {
		return DropIn{}, fmt.Errorf("the location at %s:%d is not in the configuration any more", l.File, l.Line)
	}
	for _, block := range slices.Backward(blocks) {
		var set *directive
		var at DropIn
		d.each(block.block, 0, func(b *directive) bool {
			switch {
			case b.isBlock:
			case slices.Contains(directives, b.name) && path.Base(b.file.path) != name:
				set = b
			case b.name == "include" && len(b.args) == 1 && at.File == "":
				pattern := d.absolute(b.args[0])
				file := path.Join(path.Dir(pattern), name)
				if isPattern(path.Base(pattern)) && !isPattern(path.Dir(pattern)) && globMatch(pattern, file) && exists(path.Dir(file)) {
					at = DropIn{File: file, Level: block.name, By: b.where()}
				}
			}
			return set == nil
		})
		switch {
		case set != nil:
			return DropIn{}, &NoDropInError{set.file.path, set.line, set.name + " is set there"}
		case d.budget < 0:
			return DropIn{}, errors.New("the configuration is too large to be searched")
		case at.File != "":
			if n := d.includers(d.main.body, at.File, 0); n > 1 {
				at.Level += fmt.Sprintf(", and %d more that include it", n-1)
			}
			if d.budget < 0 {
				return DropIn{}, errors.New("the configuration is too large to be searched")
			}
			return at, nil
		}
	}
	own := blocks[len(blocks)-1]
	return DropIn{}, &NoDropInError{own.file.path, own.line, "nothing around that location includes a pattern of files"}
}

// includers counts the places that include a file: vhosts often share a folder of snippets.
func (d *dump) includers(body []directive, file string, depth int) (n int) {
	d.each(body, depth, func(b *directive) bool {
		switch {
		case b.isBlock && depth < maxDepth:
			n += d.includers(b.block, file, depth+1)
		case !b.isBlock && b.name == "include" && len(b.args) == 1 && globMatch(d.absolute(b.args[0]), file):
			n++
		}
		return true
	})
	return n
}

// apacheDropIn looks at the text of the vhost: at the level of the server every vhost would be concerned.
func apacheDropIn(g Gateway, v Vhost, name string, directives []string) (DropIn, error) {
	text, err := readConfigFile(v.File, maxDump)
	if err != nil {
		return DropIn{}, err
	}
	pattern, line, fault := vhostInclude(string(text), v, directives)
	if fault != nil {
		return DropIn{}, fault
	}
	none := &NoDropInError{v.File, v.Line, "the vhost includes no pattern of files"}
	if pattern == "" {
		return DropIn{}, none
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(g.Prefix, pattern)
	}
	file := filepath.Join(filepath.Dir(pattern), name)
	if isPattern(filepath.Dir(pattern)) || !globMatch(pattern, file) || !isFolder(filepath.Dir(file)) {
		return DropIn{}, none
	}
	others, err := filepath.Glob(pattern)
	if err != nil {
		return DropIn{}, fmt.Errorf("look for %s: %w", pattern, err)
	}
	for _, other := range others {
		if other == file {
			continue
		}
		text, err := readConfigFile(other, maxDump)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return DropIn{}, err
		}
		for n, words := range wordsByLine(string(text)) {
			if setsOne(words, directives) {
				return DropIn{}, &NoDropInError{other, n, words[0] + " is set there"}
			}
		}
	}
	return DropIn{File: file, Level: "VirtualHost", By: fmt.Sprintf("%s:%d", v.File, line)}, nil
}

// vhostInclude is the first include of a pattern that stands directly in a vhost, and a fault if the vhost sets one of
// the directives itself.
func vhostInclude(text string, v Vhost, directives []string) (pattern string, line int, fault error) {
	depth := 0
	for n, words := range wordsByLine(text) {
		if n <= v.Line {
			continue
		}
		first := strings.ToLower(words[0])
		switch {
		case strings.HasPrefix(first, "</virtualhost"):
			return pattern, line, nil
		case strings.HasPrefix(first, "</"):
			depth--
		case strings.HasPrefix(first, "<"):
			depth++
		case setsOne(words, directives):
			return "", 0, &NoDropInError{v.File, n, words[0] + " is set there"}
		case depth == 0 && pattern == "" && (first == "include" || first == "includeoptional") && len(words) == 2:
			if name := strings.Trim(words[1], `"'`); isPattern(filepath.Base(name)) {
				pattern, line = name, n
			}
		}
	}
	return pattern, line, nil
}

func setsOne(words, directives []string) bool {
	return slices.ContainsFunc(directives, func(d string) bool { return strings.EqualFold(d, words[0]) })
}

// wordsByLine are the words of each line of a file, by the line's number; lines that end in "\" go on.
func wordsByLine(text string) func(yield func(int, []string) bool) {
	return func(yield func(int, []string) bool) {
		number, from, whole := 0, 0, ""
		for line := range strings.Lines(text) {
			if number++; whole == "" {
				from = number
			}
			line = strings.TrimRight(line, "\r\n")
			if rest, more := strings.CutSuffix(line, `\`); more {
				whole += rest + " "
				continue
			}
			words := strings.Fields(whole + line)
			whole = ""
			if len(words) > 0 && words[0][0] != '#' && !yield(from, words) {
				return
			}
		}
	}
}
