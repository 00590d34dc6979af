package gateway

import (
	"path"
	"regexp"
	"strings"
)

// Rule is one directive of Apache that has a say in who answers a request, with the sections around it. Vhost.Rules
// holds them in the order in which Apache merges the sections: of the rules of one kind that match, the last wins; of
// the first kind, "proxypass", the first (proxy_trans).
type Rule struct {
	Kind    string   // the directive, in lower case; "proxypass" for ProxyPassMatch and RewriteRule [P] too
	Args    []string `json:",omitempty"` // the directive's own
	Match   []Match  `json:",omitempty"` // all must hold; none: every request
	PHP     int      // what it leads to: an index into Vhost.PHP, NoPHP or ModPHP
	Unknown string   `json:",omitempty"` // the section whose condition cannot be judged
	File    string
	Line    int
}

// What Rule.PHP is, besides an index.
const (
	NoPHP  = -1 // a static file, another server, nothing special
	ModPHP = -2 // PHP within Apache
)

// Match is one condition of a section.
type Match struct {
	Of   string // what is looked at: "folder" and "file" (its name) of the script on the disk, "path" of the URL
	Kind string // "prefix" (whole components), "glob" or "~" (regular expression); "ext": one of the file's extensions
	Text string
}

// hit asks a condition about a script; root is the document root.
func (m Match) hit(root, script string) answer {
	subject := script
	switch m.Of {
	case "folder":
		if root == "" {
			return unknown
		}
		subject = path.Join(root, script)
		if m.Kind != "~" { // expressions see the whole name (ap_directory_walk, seen with 2.4.71)
			subject = path.Dir(subject)
		}
	case "file":
		subject = path.Base(script)
	}
	switch m.Kind {
	case "ext":
		_, extensions, _ := strings.Cut(subject, ".")
		for ext := range strings.SplitSeq(extensions, ".") {
			if ext != "" && strings.EqualFold(ext, m.Text) {
				return yes
			}
		}
		return no
	case "prefix":
		return truth(below(m.Text, subject))
	case "glob":
		return globHit(m, subject)
	}
	return matches("~", m.Text, subject)
}

func ancestors(dir string) []string {
	all := []string{dir}
	for dir != "/" && dir != "." {
		dir = path.Dir(dir)
		all = append(all, dir)
	}
	return all
}

// below says whether p is dir or lies under it.
func below(dir, p string) bool {
	dir = strings.TrimSuffix(dir, "/")
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// globHit: a * in <Directory> and <Location> takes no slash (ap_directory_walk and ap_location_walk use APR_FNM_PATHNAME).
func globHit(m Match, subject string) answer {
	if m.Of != "folder" {
		return truth(glob(m.Text, m.Of == "path").MatchString(subject))
	}
	re := glob(strings.TrimSuffix(m.Text, "/"), true)
	for _, dir := range ancestors(subject) {
		if re.MatchString(dir) {
			return yes
		}
	}
	return no
}

// glob makes a regular expression of a pattern with *, ? and […] (apr_fnmatch).
func glob(pattern string, slashes bool) *regexp.Regexp {
	any := "."
	if slashes {
		any = "[^/]"
	}
	var b strings.Builder
	b.WriteString("(?s)^")
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			b.WriteString(any + "*")
		case '?':
			b.WriteString(any)
		case '[':
			set, ok := strings.CutSuffix(pattern[i:i+1+strings.IndexByte(pattern[i:], ']')], "]")
			if ok && len(set) > 1 {
				b.WriteString("[" + strings.NewReplacer(`\`, `\\`, "!", "^", "[", `\[`).Replace(set[1:]) + "]")
				i += len(set)
				continue
			}
			b.WriteString(`\[`)
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	b.WriteString("$")
	re, err := regexp.Compile(b.String())
	if err != nil {
		// A set that is none, "[z-a]": it stands for itself.
		return regexp.MustCompile("^" + regexp.QuoteMeta(pattern) + "$")
	}
	return re
}
