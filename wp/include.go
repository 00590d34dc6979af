package wp

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// include follows an include from the token after the word on.
func (e *eval) include(from int, word string) scalar {
	at := e.i
	v := e.expr(precLowOr)
	if e.dry || e.bad || e.stopped {
		return unknownOf(word)
	}
	if e.loadsWordPress(at, e.i, v) {
		e.stopped = true
		return unknownOf(word)
	}
	s, ok := e.included(from, word, v)
	if !ok {
		return unknownOf(word)
	}
	e.nesting++
	if s.touched && strings.HasSuffix(word, "_once") {
		// It may have run before, and then it does not run now.
		(&follower{reader: e.reader, source: s}).havoc(0, len(s.tokens)-1, true)
	} else {
		e.reader.run(s)
	}
	e.nesting--
	return unknownOf(word)
}

// loadsWordPress tells whether an include hands over to WordPress: there
// wp-config.php is done.
func (x *follower) loadsWordPress(from, to int, v scalar) bool {
	if v.kind == text {
		return filepath.Base(v.text) == "wp-settings.php"
	}
	for i := from; i < to; i++ {
		t := x.tokens[i]
		if s, ok := literal(t.kind, x.src[t.start:t.end]); ok && i+1 >= to-1 && filepath.Base(s) == "wp-settings.php" {
			return true
		}
	}
	return false
}

// included loads an included file. What cannot be read is a gap; what is not
// there or has been included already is nothing.
func (x *follower) included(at int, word string, v scalar) (*source, bool) {
	s := x.source
	if v.kind != text {
		x.gap(s, at, "%s of a file whose name is computed (%s)", word, v.text)
		return nil, false
	}
	rel, err := x.locate(s, v.text)
	if err != nil {
		x.gap(s, at, "%s of %q: %v", word, v.text, err)
		return nil, false
	}
	known := x.seen[rel]
	if known != nil && known.ran && strings.HasSuffix(word, "_once") {
		return nil, false
	}
	if x.nesting == maxIncludes {
		x.gap(s, at, "%s of %q: more than %d files include each other", word, v.text, maxIncludes)
		return nil, false
	}
	loaded, err := x.load(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist) && strings.HasPrefix(word, "include"):
		return nil, false
	case err != nil:
		x.gap(s, at, "%s of %q: %v", word, v.text, err)
		return nil, false
	}
	if known == nil {
		x.includes = append(x.includes, loaded.path)
	}
	return loaded, true
}

// havocInclude goes over a file that may be included.
func (x *follower) havocInclude(i, to int) {
	s := x.source
	end := i + 1
	for end < to && x.step(s, end) && !s.ends(end) && !s.op(end, ")") && !s.op(end, "}") && !s.op(end, ",") {
		if s.opens(end) {
			end = s.match[end]
		}
		end++
	}
	e := &eval{follower: x, i: i + 1, end: min(end, to), dry: true}
	v := e.expr(precLowOr)
	if e.bad {
		v = unknownOf("code that is not followed")
	}
	if x.loadsWordPress(i+1, end, v) {
		return
	}
	loaded, ok := x.included(i, s.keyword(i), v)
	if !ok {
		return
	}
	loaded.touched = true
	x.nesting++
	sub := &follower{reader: x.reader, source: loaded, depth: x.depth}
	sub.havoc(0, len(loaded.tokens)-1, true)
	x.nesting--
}

var errOutsideTree = errors.New("it lies outside of the site's folder")

// locate gives the tree-relative path of an included file.
func (r *reader) locate(s *source, path string) (string, error) {
	if strings.Contains(path, "://") || strings.ContainsRune(path, 0) {
		return "", fmt.Errorf("%q is no file", path)
	}
	if filepath.IsAbs(path) {
		return r.inside(path)
	}
	// include_path starts with ".", the folder of the script that was asked for:
	// index.php's as a rule. The including file's own folder comes after it.
	first, err := r.inside(r.entry + "/" + path)
	if err != nil || strings.HasPrefix(path, ".") {
		return first, err
	}
	second, err := r.inside(filepath.Dir(s.path) + "/" + path)
	if err != nil || first == second {
		return second, err
	}
	if _, err := r.files.Lstat(first); !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%q is relative and could be either of two files", path)
	}
	return second, nil
}

// inside makes an absolute path relative to the tree's folder. Where a link is
// followed by "..", the text of the path does not tell where it leads.
func (r *reader) inside(path string) (string, error) {
	for _, dir := range []string{r.base, r.files.Dir()} {
		rel, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		for i := 0; ; i += 3 {
			n := strings.Index(path[i:]+"/", "/../")
			if n < 0 {
				return rel, nil
			}
			i += n
			before, err := filepath.Rel(dir, path[:i])
			if err != nil || !filepath.IsLocal(before) || !r.direct(before) {
				return "", errors.New(`it has ".." after a link or outside of the site's folder`)
			}
		}
	}
	return "", errOutsideTree
}
