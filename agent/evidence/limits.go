package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/php/ini"
	"wpmend/wp"
)

// Chain is the limits of one site, from PHP to the gateway.
type Chain struct {
	Links []ini.Link
	// UserINI is the name of the file that PHP reads in the folders of a site; "" where it reads none.
	UserINI string
	// Keeps is how long a worker keeps what it read there (user_ini.cache_ttl).
	Keeps time.Duration
	// Locks says why no .user.ini could do anything, "" where one can.
	Locks string
	Notes []string // what could not be read, and what the links do not say
}

// maxINI bounds one file of settings, in bytes.
const maxINI = 1 << 20

// LimitChain reads what sets the site's limits, and asks PHP which files it takes. What cannot be read is in the notes.
// It takes about 50 ms, nearly all of it PHP's.
func LimitChain(ctx context.Context, s site.Site) Chain {
	if s.Handler == site.ModPHP {
		return limitChain(s, fpm.Settings{}, nil)
	}
	known, err := s.Master.Settings(ctx)
	return limitChain(s, known, err)
}

// limitChain is the chain with what PHP says of its settings, or why it says nothing.
func limitChain(s site.Site, known fpm.Settings, err error) Chain {
	g := gathering{site: s}
	if s.Handler == site.ModPHP {
		g.note("PHP runs within Apache, so its limits are those of Apache's php.ini, of the vhost and of .htaccess, which are not read here")
		g.server()
		g.Links = ini.Chain(g.settings)
		return g.Chain
	}
	if err != nil {
		g.note("the settings of php.ini are not known: %v", err)
	}
	g.php(known)
	g.pool()
	g.params()
	g.sections()
	g.users(known)
	g.config()
	g.server()
	g.Links = ini.Chain(g.settings)
	return g.Chain
}

// Limits is the chain as the rules read it.
func Limits(ctx context.Context, s site.Site) diagnose.Limits { return LimitChain(ctx, s).Facts() }

// Facts are the amounts that are known and limit something.
func (c Chain) Facts() diagnose.Limits {
	l := diagnose.Limits{SetAt: map[string]string{}}
	for name, to := range map[string]*time.Duration{ini.MaxExecution: &l.MaxExecution, ini.MaxInput: &l.MaxInput, ini.Slowlog: &l.Slowlog,
		ini.Terminate: &l.Terminate, ini.Gateway: &l.Gateway} {
		if link := ini.Find(c.Links, name); link.Known && !link.Unlimited {
			*to = link.Time
		}
	}
	switch link := ini.Find(c.Links, ini.Memory); {
	case link.Known && link.Unlimited:
		l.Memory = -1
	case link.Known:
		l.Memory = link.Bytes
	}
	for _, link := range c.Links {
		if at := Place(link.Set); at != "" {
			l.SetAt[link.Name] = at
		}
	}
	return l
}

// Place says where a setting stands, "" where nothing is known of it.
func Place(s ini.Setting) string {
	switch {
	case s.File != "" && s.Line > 0:
		return fmt.Sprintf("%s:%d", s.File, s.Line)
	case s.File != "":
		return s.File
	}
	return string(s.By)
}

type gathering struct {
	Chain
	site     site.Site
	files    []hostFile
	settings []ini.Setting
}

// hostFile is a php.ini that was read.
type hostFile struct {
	path string
	ini.File
}

func (g *gathering) note(format string, args ...any) {
	g.Notes = append(g.Notes, fmt.Sprintf(format, args...))
}

func (g *gathering) add(by ini.Layer, file string, e ini.Entry) {
	if ini.IsPHP(e.Name) {
		g.settings = append(g.settings, ini.Setting{Name: e.Name, Value: e.Value, By: by, File: file, Line: e.Line, Computed: e.Computed})
	}
}

// php reads php.ini and its scan folder; what PHP itself says has the last word.
func (g *gathering) php(known fpm.Settings) {
	last := map[string]string{}
	for _, file := range known.Files {
		text, err := readHost(file)
		if err != nil {
			g.note("cannot read %s: %v", file, err)
			continue
		}
		f, err := ini.Parse(text)
		if err != nil {
			g.note("PHP stops reading %s at %v", file, err)
		}
		g.files = append(g.files, hostFile{file, f})
		for _, e := range f.Entries() {
			if !conditional(e.Section) {
				g.add(ini.PHPINI, file, e)
				last[e.Name] = e.Value
			}
		}
	}
	for _, name := range ini.Names() {
		value, ok := known.Values[name]
		written, set := last[name]
		if !ini.IsPHP(name) || !ok || set && written == value {
			continue
		}
		by := ini.BuiltIn
		if set || slices.ContainsFunc(g.site.Master.Args, func(a string) bool { return strings.Contains(a, name) }) {
			by = ini.CommandLine
		}
		g.settings = append(g.settings, ini.Setting{Name: name, Value: value, By: by})
	}
}

// readHost reads a file of the host's configuration; a FIFO in its place does not hold us up.
func readHost(file string) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxINI+1))
	if err == nil && len(text) > maxINI {
		err = fmt.Errorf("it is larger than %d bytes", maxINI)
	}
	return text, err
}

// pool reads the pool's own directives and the settings of PHP that it makes.
func (g *gathering) pool() {
	// What FPM takes where nothing is set: none of these three.
	for _, name := range []string{ini.Terminate, ini.Slowlog, ini.Control} {
		g.settings = append(g.settings, ini.Setting{Name: name, Value: "0", By: ini.BuiltIn})
	}
	for _, d := range g.site.Master.Global {
		if d.Key == ini.Control {
			g.settings = append(g.settings, fromPool(d, d.Key, ini.Directive))
		}
	}
	families := map[string]ini.Layer{"php_value": ini.PoolValue, "php_flag": ini.PoolValue, "php_admin_value": ini.PoolAdmin, "php_admin_flag": ini.PoolAdmin}
	for _, d := range g.site.Pool.Directives {
		family, sub, array := strings.Cut(d.Key, "[")
		sub = strings.TrimSuffix(sub, "]")
		switch {
		case d.Key == ini.Terminate || d.Key == ini.Slowlog:
			g.settings = append(g.settings, fromPool(d, d.Key, ini.Directive))
		case array && families[family] != "" && ini.IsPHP(sub):
			s := fromPool(d, sub, families[family])
			s.As = d.Key
			g.settings = append(g.settings, s)
		}
	}
}

func fromPool(d fpm.Directive, name string, by ini.Layer) ini.Setting {
	return ini.Setting{Name: name, Value: d.Value, By: by, File: d.File, Line: d.Line, Computed: strings.Contains(d.Value, "${")}
}

// params reads what the gateway sends along with every request; of several of one name PHP gets the last.
func (g *gathering) params() {
	given := g.site.Location.Params
	if p := g.site.Location.Proxy; p != nil {
		given = p.Fixups
	}
	last := map[string]string{}
	for _, p := range given {
		last[p.Name] = p.Value
	}
	for name, by := range map[string]ini.Layer{"PHP_VALUE": ini.ParamValue, "PHP_ADMIN_VALUE": ini.ParamAdmin} {
		f, err := ini.Parse([]byte(last[name] + "\n"))
		if err != nil {
			g.note("PHP stops reading the gateway's %s: %v", name, err)
		}
		for _, e := range f.Entries() {
			if !ini.IsPHP(e.Name) {
				continue
			}
			s := ini.Setting{Name: e.Name, Value: e.Value, By: by, As: name, File: g.site.Location.File, Line: g.site.Location.Line,
				Computed: e.Computed || strings.Contains(e.Value, "$")}
			g.settings = append(g.settings, s)
			g.note("the gateway sends %s: a worker keeps it for all later requests, of other sites of the pool too (PHP bug 53611)", name)
		}
	}
}

// conditional sections of php.ini hold for some folders or names only.
func conditional(section string) bool {
	kind, _, _ := strings.Cut(section, "=")
	return strings.EqualFold(kind, "PATH") || strings.EqualFold(kind, "HOST")
}

// sections reads the [HOST=…] of the site's names, and then the [PATH=…] that it lies in, the outermost first
// (php_ini_activate_per_host, php_ini_activate_per_dir, in the order of sapi_cgi_activate).
func (g *gathering) sections() {
	type part struct {
		file  string
		entry ini.Entry
		dir   string // "" for a host
	}
	var parts []part
	for _, f := range g.files {
		for _, e := range f.Entries() {
			kind, value, _ := strings.Cut(e.Section, "=")
			dir := strings.TrimRight(value, "/")
			switch {
			case strings.EqualFold(kind, "PATH") && (g.site.Root == dir || strings.HasPrefix(g.site.Root, dir+"/")):
				parts = append(parts, part{f.path, e, dir + "/"})
			case strings.EqualFold(kind, "HOST") && g.site.Serves(strings.ToLower(value)):
				parts = append(parts, part{f.path, e, ""})
			}
		}
	}
	slices.SortStableFunc(parts, func(a, b part) int { return len(a.dir) - len(b.dir) })
	for _, p := range parts {
		g.add(ini.Section, p.file, p.entry)
	}
}

// setting is a value of PHP's that no script can change, for the pool.
func (g *gathering) setting(known fpm.Settings, name string) string {
	for _, family := range []string{"php_admin_value", "php_value"} {
		if v, ok := g.site.Pool.Get(family + "[" + name + "]"); ok {
			return v
		}
	}
	return known.Values[name]
}

// users reads the .user.ini files from the document root down to the site's folder.
func (g *gathering) users(known fpm.Settings) {
	name := g.setting(known, "user_ini.filename")
	ttl, err := strconv.Atoi(g.setting(known, "user_ini.cache_ttl"))
	if err == nil {
		g.Keeps = time.Duration(ttl) * time.Second
	}
	switch {
	case name == "" || strings.ContainsAny(name, "/\x00"):
		g.Locks = "PHP reads no .user.ini here (user_ini.filename)"
		return
	case !g.knowsRoot():
		g.Locks = "the gateway sends no DOCUMENT_ROOT, without which PHP reads no .user.ini"
		return
	}
	g.UserINI = name
	top, folders := g.site.DocRoot, []string{"."}
	if below, err := filepath.Rel(top, g.site.Root); top != "" && err == nil && filepath.IsLocal(below) {
		at := "."
		for _, part := range strings.Split(filepath.ToSlash(below), "/") {
			if at = path.Join(at, part); at != "." {
				folders = append(folders, at)
			}
		}
	} else {
		top = g.site.Root
	}
	t, err := wp.OpenTree(top, g.site.Owner)
	if err != nil {
		g.note("the site's %s is not known: %v", name, err)
		return
	}
	defer t.Close()
	for _, folder := range folders {
		g.user(t, path.Join(folder, name))
	}
}

func (g *gathering) user(t *wp.Tree, rel string) {
	text, err := t.ReadFile(rel, maxINI)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		g.note("the site's .user.ini is not known: %v", err)
		return
	}
	f, err := ini.Parse(text)
	if err != nil {
		g.note("PHP stops reading %s at %v", filepath.Join(t.Dir(), rel), err)
	}
	for _, e := range f.Entries() {
		g.add(ini.UserINI, filepath.Join(t.Dir(), rel), e)
	}
}

// knowsRoot: mod_proxy_fcgi always sends DOCUMENT_ROOT, nginx what its parameters say.
func (g *gathering) knowsRoot() bool {
	l := g.site.Location
	for _, p := range l.Params {
		if p.Name == "DOCUMENT_ROOT" && p.Value != "" {
			return true
		}
	}
	return l.Proxy != nil
}

// config reads what wp-config.php sets.
func (g *gathering) config() {
	c, err := g.site.Config()
	if err != nil {
		g.note("what wp-config.php sets is not known: %v", err)
		return
	}
	for _, s := range c.INI {
		if ini.IsPHP(s.Name) {
			g.settings = append(g.settings, ini.Setting{Name: s.Name, Value: s.Value.Text, By: ini.Script, File: s.Value.File, Line: s.Value.Line, Computed: !s.Value.Known})
		}
	}
	if v, ok := c.Const("WP_MEMORY_LIMIT"); ok {
		g.settings = append(g.settings, ini.Setting{Name: ini.Memory, Value: v.Text, By: ini.WordPress, As: "WP_MEMORY_LIMIT", File: v.File, Line: v.Line, Computed: !v.Known})
	}
	if v, ok := c.Const("WP_MAX_MEMORY_LIMIT"); ok && v.Known {
		g.note("in wp-admin WordPress raises memory_limit to %s (WP_MAX_MEMORY_LIMIT, %s:%d), where it may", v.Text, v.File, v.Line)
	}
}

// server reads the gateway's own limit.
func (g *gathering) server() {
	l := g.site.Location
	if l.ReadTimeout <= 0 {
		return
	}
	as := "fastcgi_read_timeout"
	if g.site.Gateway.Kind == apache {
		as = "ProxyTimeout"
	}
	g.settings = append(g.settings, ini.Setting{Name: ini.Gateway, Value: ini.Format(ini.Gateway, int64(l.ReadTimeout)), By: ini.Server, As: as, File: l.File, Line: l.Line})
}

// Queue is how many connections wait at an address to be accepted, and how many may; -1 unknown.
func Queue(at fpm.Address) (waiting, backlog int) { return queue(at) }
