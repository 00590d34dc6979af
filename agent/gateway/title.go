package gateway

import (
	"path/filepath"
	"strings"
)

// options are those of a master's command line that change its configuration.
type options struct{ config, prefix, globals, errorLog string }

// parseTitle reads the command line behind "nginx: master process ". nginx joins its arguments with blanks there
// (ngx_master_process_cycle), so an argument with blanks runs to the next word that looks like an option.
func parseTitle(title string) options {
	var o options
	words := strings.Split(title, " ")
	for i := 0; i < len(words); i++ {
		letter, value, ok := option(words[i])
		if !ok {
			continue
		}
		for i+1 < len(words) {
			if _, _, next := option(words[i+1]); next {
				break
			}
			i++
			if value != "" {
				value += " "
			}
			value += words[i]
		}
		value = strings.TrimRight(value, " ")
		switch letter {
		case 'c':
			o.config = value
		case 'p':
			o.prefix = value
		case 'g':
			o.globals = value
		case 'e':
			o.errorLog = value
		}
	}
	return o
}

// option recognises "-c", "-c/path", "-cconf" and flags ("-q"); a word in a -g text hardly ever begins with a dash.
func option(word string) (letter byte, value string, ok bool) {
	if len(word) < 2 || word[0] != '-' || strings.IndexByte("cpgeqtTvVs?h", word[1]) < 0 {
		return 0, "", false
	}
	return word[1], word[2:], true
}

// arguments are the same options for `nginx -T`, with every path complete: it runs in another folder than the master
// did. prefix is where its relative paths start.
func (o options) arguments(b build, cwd string) (args []string, prefix string) {
	prefix = b.prefix
	if o.prefix != "" {
		prefix = o.prefix
		if !filepath.IsAbs(prefix) {
			prefix = filepath.Join(cwd, prefix)
		}
		args = append(args, "-p", prefix)
	}
	config := o.config
	if config == "" {
		config = b.config
	}
	if config != "" {
		if !filepath.IsAbs(config) {
			config = filepath.Join(prefix, config)
		}
		args = append(args, "-c", config)
	}
	if o.globals != "" {
		args = append(args, "-g", o.globals)
	}
	if o.errorLog != "" {
		args = append(args, "-e", o.errorLog)
	}
	return args, prefix
}

// build is what `nginx -V` says of a binary.
type build struct{ version, prefix, config, errorLog, accessLog string }

// parseBuild reads `nginx -V`. What configure was not told has the defaults of nginx' auto/options and auto/install.
func parseBuild(text string) build {
	b := build{prefix: "/usr/local/nginx", config: "conf/nginx.conf", errorLog: "logs/error.log", accessLog: "logs/access.log"}
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, "nginx version: "); ok {
			b.version = parseVersion(strings.TrimSpace(v))
		}
		arguments, ok := strings.CutPrefix(line, "configure arguments: ")
		if !ok {
			continue
		}
		for _, a := range shellWords(arguments) {
			name, value, _ := strings.Cut(a, "=")
			switch name {
			case "--prefix":
				b.prefix = value
			case "--conf-path":
				b.config = value
			case "--error-log-path":
				b.errorLog = value
			case "--http-log-path":
				b.accessLog = value
			}
		}
	}
	return b
}

// parseVersion reads "nginx/1.22.1 (Debian)". OpenResty adds a fourth number to nginx' own version.
func parseVersion(s string) string {
	name, version, ok := strings.Cut(s, "/")
	version, _, _ = strings.Cut(version, " ")
	if !ok || version == "" {
		return ""
	}
	if name == "openresty" {
		if parts := strings.Split(version, "."); len(parts) > 3 {
			version = strings.Join(parts[:3], ".")
		}
	}
	return version
}

// shellWords splits configure's arguments; those with blanks stand in single quotes.
func shellWords(s string) []string {
	var words []string
	var b strings.Builder
	inside, quoted := false, false
	for _, c := range strings.TrimSpace(s) {
		switch {
		case c == '\'':
			quoted, inside = !quoted, true
		case c == ' ' && !quoted:
			if inside {
				words = append(words, b.String())
			}
			b.Reset()
			inside = false
		default:
			b.WriteRune(c)
			inside = true
		}
	}
	if inside {
		words = append(words, b.String())
	}
	return words
}
