package wp

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

const (
	maxIncludes = 8         // files that include files
	maxLoaded   = 2 << 20   // bytes of all files; a byte can become a token of 24
	maxDepth    = 200       // expressions and statements in each other
	maxSteps    = 4_000_000 // tokens looked at, over all passes
	maxGaps     = 100       // told of
)

// files is what a reader needs of a [Tree].
type files interface {
	Dir() string
	Lstat(rel string) (fs.FileInfo, error)
	ReadFile(rel string, limit int64) ([]byte, error)
}

// definition is a constant that exists, or that may.
type definition struct {
	scalar
	sure bool // it is certain to be defined by now, if not as what
	file string
	line int
	why  string
}

func (d definition) value() Value {
	if d.kind == unknown {
		return Value{File: d.file, Line: d.line, Why: d.why}
	}
	return Value{Text: d.text, Known: true, File: d.file, Line: d.line}
}

// reader follows wp-config.php the way PHP would go and keeps what is certain.
type reader struct {
	files    files
	entry    string // the folder of the index.php that is asked for
	base     string // the folder of files, links resolved
	consts   map[string]definition
	vars     map[string]definition
	varsOpen bool // any variable may have been set
	varsGap  Gap  // by what
	varsLost bool // there are references: no variable is certain any more
	gaps     []Gap
	funcs    map[string]*function
	classes  bool // the site has classes of its own: methods may do anything
	seen     map[string]*source
	includes []string
	sets     []INISet
	nesting  int // of includes
	stopped  bool
	steps    int
	loaded   int // bytes, of files that could not be split too
}

// function is one that the files read declare.
type function struct {
	source   *source
	from, to int
	busy     bool
}

func newReader(t files, base, core, entry string) *reader {
	return &reader{
		files: t,
		entry: entry,
		base:  base,
		// wp-load.php defines it before it loads wp-config.php.
		consts: map[string]definition{"ABSPATH": {scalar: textOf(strings.TrimSuffix(core, "/") + "/"), sure: true, file: filepath.Join(core, "wp-load.php")}},
		vars:   map[string]definition{},
		funcs:  map[string]*function{},
		seen:   map[string]*source{},
	}
}

// main runs the first file.
func (r *reader) main(rel string) error {
	s, err := r.load(rel)
	if err != nil {
		return err
	}
	r.run(s)
	return nil
}

func (r *reader) run(s *source) {
	s.ran = true
	x := &follower{reader: r, source: s}
	x.run(0, len(s.tokens)-1)
}

// load reads and splits a file once.
func (r *reader) load(rel string) (*source, error) {
	if s, ok := r.seen[rel]; ok {
		return s, nil
	}
	if r.loaded >= maxLoaded {
		return nil, fmt.Errorf("read configuration: more than %d bytes are included", maxLoaded)
	}
	path := filepath.Join(r.base, rel)
	b, err := r.files.ReadFile(rel, maxConfig)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	r.loaded += len(b)
	s, err := parse(path, b)
	if err != nil {
		return nil, err
	}
	s.linked = !r.direct(rel)
	r.seen[rel] = s
	r.declare(s)
	return s, nil
}

// direct tells whether a file is reached without links below the tree's
// folder. PHP's __DIR__ is where the links lead.
func (r *reader) direct(rel string) bool {
	for p := rel; p != "."; p = filepath.Dir(p) {
		if st, err := r.files.Lstat(p); err != nil || st.Mode()&fs.ModeSymlink != 0 {
			return false
		}
	}
	return true
}

// declare notes a file's functions and classes: PHP knows them before it runs
// the first line.
func (r *reader) declare(s *source) {
	for i := 0; i < len(s.tokens)-1; i++ {
		switch s.keyword(i) {
		case "function":
			j := i + 1
			if s.op(j, "&") {
				j++
			}
			if body := s.next(j, "{"); s.tokens[j].kind == kindName && s.op(j+1, "(") && body >= 0 {
				r.funcs[strings.ToLower(s.text(j))] = &function{source: s, from: body, to: s.match[body] + 1}
			}
		case "class", "trait", "enum", "interface":
			if body := s.next(i+1, "{"); body >= 0 {
				r.classes = true
				i = s.match[body]
			}
		}
	}
}

// gap notes that from here on anything may be defined.
func (r *reader) gap(s *source, i int, why string, args ...any) {
	g := Gap{s.path, s.line(i), fmt.Sprintf(why, args...)}
	r.openVars(s, i, g.Why)
	if len(r.gaps) < maxGaps {
		r.gaps = append(r.gaps, g)
	}
}

// openVars notes that from here on any variable may be set.
func (r *reader) openVars(s *source, i int, why string) {
	r.varsOpen = true
	r.varsGap = Gap{s.path, s.line(i), why}
	clear(r.vars)
}

// references notes that assigning to one variable may change another.
func (r *reader) references(s *source, i int) {
	r.varsLost = true
	r.openVars(s, i, "references to variables are in use")
}

// define is PHP's define: the first one holds.
func (r *reader) define(name string, d definition) {
	if old, ok := r.consts[name]; ok {
		old.sure = old.sure || d.sure
		r.consts[name] = old
		return
	}
	if len(r.gaps) > 0 && d.kind != unknown {
		g := r.gaps[0]
		d.scalar = unknownOf("")
		d.why = fmt.Sprintf("it may have been defined before, in %s, line %d: %s", g.File, g.Line, g.Why)
	}
	r.consts[name] = d
}

func (r *reader) assign(name string, d definition) {
	if r.varsLost && d.kind != unknown {
		d.scalar, d.why = unknownOf(""), "references to variables are in use"
	}
	r.vars[name] = d
}

// variable is a variable as found at the end.
func (r *reader) variable(name string) Value {
	if d, ok := r.vars[name]; ok {
		return d.value()
	}
	if r.varsOpen {
		return Value{File: r.varsGap.File, Line: r.varsGap.Line, Why: r.varsGap.Why}
	}
	return Value{}
}

// defined is PHP's defined().
func (r *reader) defined(name string) truth {
	d, ok := r.consts[name]
	switch {
	case ok && d.sure:
		return yes
	case ok, len(r.gaps) > 0, requestConstants[name], strings.HasPrefix(name, "PHP_"), strings.HasPrefix(name, "E_"):
		return maybe
	}
	return no
}

// requestConstants are defined by the script that was asked for, before
// wp-config.php: they differ from request to request.
var requestConstants = map[string]bool{
	"WP_CLI": true, "WP_USE_THEMES": true, "WP_ADMIN": true, "WP_NETWORK_ADMIN": true, "WP_USER_ADMIN": true,
	"WP_BLOG_ADMIN": true, "DOING_AJAX": true, "DOING_CRON": true, "DOING_AUTOSAVE": true, "XMLRPC_REQUEST": true,
	"REST_REQUEST": true, "IFRAME_REQUEST": true, "WP_INSTALLING": true, "WP_REPAIRING": true, "SHORTINIT": true,
	"WP_LOAD_IMPORTERS": true, "WP_SETUP_CONFIG": true, "WP_UNINSTALL_PLUGIN": true, "WP_MAIL_INTERVAL": true,
}

// step counts work; false when there has been too much.
func (r *reader) step(s *source, i int) bool {
	if r.steps++; r.steps < maxSteps {
		return true
	}
	if !r.stopped {
		r.stopped = true
		r.gap(s, i, "the code is too long to be followed")
	}
	return false
}
