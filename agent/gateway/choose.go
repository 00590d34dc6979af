package gateway

import "strings"

// Location is the PHP location that takes the path of a script, "/index.php", chosen as nginx does: an exact one, else
// the longest prefix, else (unless that one says ^~) the first regular expression; and the same again inside. It is
// false when that location does not pass to FastCGI, or when it cannot be told which one it is.
func (v Vhost) Location(script string) (PHPLocation, bool) {
	if v.Returns != "" {
		return PHPLocation{}, false
	}
	if v.Rules != nil {
		return v.ruled(script)
	}
	l, _ := search(v.Locations, script)
	if l == nil || l.PHP < 0 || l.PHP >= len(v.PHP) {
		return PHPLocation{}, false
	}
	return v.PHP[l.PHP], true
}

// search is ngx_http_core_find_location. final says that no outer level may choose another location. None and final
// together: an expression cannot be judged, or nginx answers by itself with a redirect from "/x" to "/x/".
func search(all []Location, uri string) (found *Location, final bool) {
	var best *Location
	slash := false
	for i := range all {
		l := &all[i]
		switch l.Kind {
		case "=":
			if l.Path == uri {
				return l, true
			}
		case "", "^~":
			slash = slash || l.PHP >= 0 && l.Path == uri+"/"
			if strings.HasPrefix(uri, l.Path) && (best == nil || len(l.Path) > len(best.Path)) {
				best = l
			}
		}
	}
	if slash {
		return nil, true
	}
	found = best
	if best != nil {
		inner, done := search(best.Inner, uri)
		if done {
			return inner, true
		}
		if inner != nil {
			found = inner
		}
		if best.Kind == "^~" {
			return found, false
		}
	}
	for i := range all {
		l := &all[i]
		if l.Kind != "~" && l.Kind != "~*" {
			continue
		}
		switch matches(l.Kind, l.Path, uri) {
		case unknown:
			return nil, true
		case yes:
			inner, done := search(l.Inner, uri)
			if done || inner != nil {
				return inner, true
			}
			return l, true
		}
	}
	return found, false
}

// maxHops bounds internal redirects; nginx gives up after ten as well (NGX_HTTP_MAX_URI_CHANGES).
const maxHops = 10

// Script is the script that answers for a path, as far as that can be told without looking at the disk: the path
// itself if a PHP location takes it, else what try_files falls back to ("/index.php" for a permalink), else, for a
// folder, its index file.
func (v Vhost) Script(uri string) (script string, ok bool) {
	if v.Returns != "" {
		return "", false
	}
	if v.Rules != nil {
		return v.ruledScript(uri)
	}
	for range maxHops {
		l, final := search(v.Locations, uri)
		tries, index := v.TryFiles, v.Index
		switch {
		case l == nil && final: // not known which location it is
			return "", false
		case l != nil:
			if l.PHP >= 0 && l.PHP < len(v.PHP) {
				if strings.HasSuffix(uri, "/") {
					uri += v.PHP[l.PHP].Index
				}
				return uri, true
			}
			tries, index = l.TryFiles, l.Index
		}
		next, known := fallback(tries, uri)
		if !known {
			next, known = indexFile(index, uri)
		}
		if !known || next == uri {
			return "", false
		}
		uri = next
	}
	return "", false
}

// fallback is the path of try_files' last argument; a status and a named location have none.
func fallback(tries []string, uri string) (string, bool) {
	if len(tries) < 2 {
		return "", false
	}
	last, _, _ := strings.Cut(tries[len(tries)-1], "?")
	last = strings.TrimSuffix(strings.TrimSuffix(last, "$args"), "$is_args")
	next, err := expand(last, func(name string) (string, error) {
		if name == "uri" || name == "document_uri" {
			return uri, nil
		}
		return "", unknownVariable{name: name}
	})
	return next, err == nil && strings.HasPrefix(next, "/")
}

func indexFile(index []string, uri string) (string, bool) {
	if !strings.HasSuffix(uri, "/") {
		return "", false
	}
	for _, name := range index {
		if !strings.HasSuffix(name, ".php") || strings.Contains(name, "$") {
			continue
		}
		if strings.HasPrefix(name, "/") {
			return name, true
		}
		return uri + name, true
	}
	return "", false
}
