package gateway

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// apacheSection is one directive with the sections around it and the place of these in the order of merging.
type apacheSection struct {
	d       *apacheDirective
	match   []Match
	unknown string
	phase   int // of the innermost section: see the constants
	folders int // how many folders deep a <Directory> reaches; expressions come after all
}

// The order in which Apache merges sections: https://httpd.apache.org/docs/2.4/sections.html#merging.
const (
	inServer = iota
	inDirectory
	inFiles
	inLocation
	inIf
)

// afterFolders is where expressions come: after every plain <Directory> (reorder_sorter).
const afterFolders = 1 << 20

// sections flattens a body. The main server's come before the vhost's, in the order of the files.
func (c *apacheReader) sections(body []*apacheDirective, in apacheSection) []apacheSection {
	var all []apacheSection
	for _, d := range body {
		if !d.section {
			if hasSay(d.name) {
				at := in
				at.d = d
				all = append(all, at)
			}
			continue
		}
		if inner, ok := in.enter(d); ok {
			all = append(all, c.sections(d.body, inner)...)
		}
	}
	return all
}

// hasSay knows the directives that become rules.
func hasSay(name string) bool {
	switch name {
	case "sethandler", "addhandler", "removehandler", "addtype", "proxypass", "proxypassmatch", "rewriterule", "setenv",
		"unsetenv", "proxyfcgisetenvif", "proxyfcgibackendtype", "php_admin_flag", "php_flag", "php_admin_value", "php_value":
		return true
	}
	return false
}

// enter adds a section's condition. Sections that say nothing about scripts (Proxy, Limit, RequireAny, …) are passed
// over with what they hold.
func (in apacheSection) enter(d *apacheDirective) (apacheSection, bool) {
	of, kind, text := "", "prefix", d.arg(0)
	switch d.name {
	case "directory", "directorymatch":
		of = "folder"
	case "files", "filesmatch":
		of, kind = "file", "glob"
	case "location", "locationmatch":
		of = "path"
	case "if", "elseif", "else":
		in.unknown, in.phase = fmt.Sprintf("<%s> at %s", d.name, d.where()), inIf
		return in, true
	default:
		return in, false
	}
	if text == "~" {
		kind, text = "~", d.arg(1)
	} else if strings.HasSuffix(d.name, "match") {
		kind = "~"
	} else if kind == "prefix" && strings.ContainsAny(text, "*?[") {
		kind = "glob"
	}
	if kind == "prefix" {
		text = path.Clean("/" + text)
	}
	in.match = append(slices.Clip(in.match), Match{Of: of, Kind: kind, Text: text})
	switch of {
	case "folder":
		in.phase, in.folders = inDirectory, strings.Count(strings.TrimSuffix(text, "/"), "/")
		if kind == "~" {
			in.folders = afterFolders
		}
	case "file":
		in.phase = inFiles
	case "path":
		in.phase = inLocation
	}
	return in, true
}

// rules turns a server's sections into the rules of v.
func (c *apacheReader) rules(v *Vhost, s apacheServer) {
	sections := slices.Clone(s.sections)
	slices.SortStableFunc(sections, func(a, b apacheSection) int {
		if a.phase != b.phase {
			return a.phase - b.phase
		}
		return a.folders - b.folders
	})
	host := apacheHost{apacheReader: c, server: s, vhost: v}
	var local []Rule // ProxyPass within sections goes before that of the server, and the last of them wins
	for _, section := range sections {
		for _, r := range host.rule(section) {
			if r.Kind == "proxypass" && section.phase != inServer {
				local = append([]Rule{r}, local...)
				continue
			}
			v.Rules = append(v.Rules, r)
		}
	}
	v.Rules = slices.Concat(local, v.Rules)
	if v.Rules == nil {
		v.Rules = []Rule{} // not nil: these are rules of Apache, even if there are none
	}
}
