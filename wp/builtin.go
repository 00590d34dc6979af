package wp

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// callDefine is a call of define.
func (e *eval) callDefine(from int, args []scalar) scalar {
	if e.dry || e.stopped {
		return unknownOf("define()")
	}
	if len(args) < 2 || args[0].kind != text {
		e.gap(e.source, from, "a constant whose name is computed")
		return unknownOf("define()")
	}
	free := e.defined(args[0].text)
	e.define(args[0].text, e.definition(from, args[1]))
	return free.not().scalar()
}

// isset is certain for a plain variable only.
func (e *eval) isset(open int) scalar {
	s := e.source
	if s.match[open] != open+2 || s.kind(open+1) != kindVariable {
		return maybe.scalar()
	}
	name := s.text(open + 1)[1:]
	d, ok := e.vars[name]
	switch {
	case ok && d.kind != unknown:
		return boolOf(d.kind != null)
	case ok, e.varsOpen, e.varsLost, strings.HasPrefix(name, "_"), name == "GLOBALS", name == "argc", name == "argv", strings.HasPrefix(name, "wp_"):
		return maybe.scalar()
	}
	return boolOf(false)
}

func (e *eval) exists(path string, file bool) truth {
	if !filepath.IsAbs(path) {
		return maybe
	}
	rel, err := e.locate(e.source, path)
	if err != nil {
		return maybe
	}
	st, err := e.files.Lstat(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return no
	case err != nil || st.Mode()&fs.ModeSymlink != 0:
		return maybe
	}
	return truthOf(!file || st.Mode().IsRegular())
}

func dirnameOf(args []scalar) scalar {
	if len(args) == 0 || len(args) > 2 || args[0].kind != text {
		return unknownOf("dirname()")
	}
	n := 1
	if len(args) == 2 {
		var err error
		if n, err = strconv.Atoi(args[1].text); args[1].kind != integer || err != nil || n < 1 {
			return unknownOf("dirname()")
		}
	}
	return textOf(dirname(args[0].text, n))
}

// dirname is PHP's: "/a/b/" is in "/a", "a" in "." and "" in "".
func dirname(path string, levels int) string {
	for ; levels > 0; levels-- {
		before := path
		p := strings.TrimRight(path, "/")
		switch i := strings.LastIndexByte(p, '/'); {
		case path == "":
		case p == "":
			path = "/"
		case i < 0:
			path = "."
		default:
			if path = strings.TrimRight(p[:i], "/"); path == "" {
				path = "/"
			}
		}
		if path == before {
			break
		}
	}
	return path
}
