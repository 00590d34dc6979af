package gateway

import (
	"slices"
	"strconv"
	"strings"
)

// apacheRun is what the server says of itself besides its directives: -D DUMP_RUN_CFG, DUMP_MODULES and DUMP_INCLUDES.
type apacheRun struct {
	root     string // ServerRoot
	main     string // main configuration file
	docRoot  string // of the main server, the compiled-in one included
	errorLog string // of the main server
	user     uint32
	group    uint32
	modules  map[string]bool // "php_module": true
	includes map[include][]string
}

// include is the place of an Include directive.
type include struct {
	file string
	line int
}

func (r apacheRun) has(module string) bool { return r.modules[module] }

// php says whether PHP is one of Apache's own modules: php_module since PHP 8, before that with the number.
func (r apacheRun) php() bool {
	return r.has("php_module") || r.has("php7_module") || r.has("php5_module")
}

// parseApacheRun reads the dumps (ap_show_modules, core_dump_config, dump_unixd …; config.c for the includes).
func parseApacheRun(text string) apacheRun {
	r := apacheRun{modules: map[string]bool{}, includes: map[include][]string{}}
	var parents []string // of the included file on the line, by depth
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch line {
		case "Included configuration files:", "Loaded Modules:", "VirtualHost configuration:":
			section = line
			continue
		}
		if strings.HasPrefix(line, " ") {
			switch section {
			case "Loaded Modules:":
				if name, _, ok := strings.Cut(strings.TrimSpace(line), " ("); ok {
					r.modules[name] = true
				}
			case "Included configuration files:":
				parents = r.included(line, parents)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			continue
		}
		r.set(name, value)
	}
	return r
}

// included reads one line of the tree of files: "  (*) FILE", "    (146) FILE", two blanks deeper for each level.
func (r *apacheRun) included(line string, parents []string) []string {
	rest := strings.TrimLeft(line, " ")
	depth := (len(line)-len(rest))/2 - 1
	head, file, ok := strings.Cut(rest, ") ")
	number, parens := strings.CutPrefix(head, "(")
	if !ok || !parens || file == "" || depth < 0 || depth > len(parents) || depth > maxDepth {
		return parents
	}
	if depth == 0 {
		if r.main == "" {
			r.main = file
		}
		return append(parents[:0:0], file)
	}
	if n, err := strconv.Atoi(number); err == nil {
		at := include{parents[depth-1], n}
		// A file that several sections include shows what it includes each time.
		if !slices.Contains(r.includes[at], file) {
			r.includes[at] = append(r.includes[at], file)
		}
	}
	return append(parents[:depth:depth], file)
}

func (r *apacheRun) set(name, value string) {
	quoted, _, _ := strings.Cut(strings.TrimPrefix(value, `"`), `"`)
	switch name {
	case "ServerRoot":
		r.root = trimSlash(quoted)
	case "Main DocumentRoot":
		r.docRoot = quoted
	case "Main ErrorLog":
		r.errorLog = quoted
	case "User", "Group":
		// User: name="www-data" id=33
		_, number, _ := strings.Cut(value, " id=")
		number, _, _ = strings.Cut(number, " ")
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return
		}
		if name == "User" {
			r.user = uint32(id)
		} else {
			r.group = uint32(id)
		}
	}
}
