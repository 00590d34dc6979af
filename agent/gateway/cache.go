package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Cache is one cache of nginx' on the disk, with what its entries of one vhost are named by.
type Cache struct {
	Zone   string `json:"zone"`
	Path   string `json:"path"`   // its folder
	Levels []int  `json:"levels"` // lengths of the names of the folders below it
	// Prefixes begin the key of every answer to a plain request for one of the vhost's names, and of no other vhost's.
	Prefixes []string `json:"prefixes"`
}

// Caches are the caches that requests to a vhost are answered from (fastcgi_cache, proxy_cache), by the configuration
// that a reload would read. What keeps one from being known well enough to be touched is in the errors.
func Caches(ctx context.Context, g Gateway, v Vhost) ([]Cache, []error) {
	if g.Kind != "nginx" {
		return nil, nil
	}
	d, err := askDump(ctx, g)
	if err != nil {
		return nil, []error{err}
	}
	return d.caches(v)
}

// cacheUse is a directive pair of one level: which zone, by which key.
type cacheUse struct{ zone, key string }

// caches of a vhost: the zones and keys that hold at the level of the server or below it.
func (d *dump) caches(v Vhost) (found []Cache, problems []error) {
	zones := map[string]Cache{}
	var used []cacheUse
	d.each(d.main.body, 0, func(http *directive) bool {
		if http.name != "http" || !http.isBlock {
			return true
		}
		d.each(http.block, 0, func(b *directive) bool {
			if !b.isBlock && (b.name == "fastcgi_cache_path" || b.name == "proxy_cache_path") {
				if c, ok := cachePath(b); ok {
					zones[c.Zone] = c
				}
			}
			return true
		})
		outer := d.cacheUses(map[string]cacheUse{}, http)
		return d.each(http.block, 0, func(server *directive) bool {
			if server.name == "server" && server.isBlock && server.file.path == v.File && server.line == v.Line {
				used = d.cachesBelow(used, outer, server, 0)
			}
			return true
		})
	})
	for _, u := range used {
		c, ok := zones[u.zone]
		if !ok {
			problems = append(problems, fmt.Errorf("where the cache %q lies is not known", u.zone))
			continue
		}
		prefixes, err := keyPrefixes(u.key, v.Names)
		if err != nil {
			problems = append(problems, fmt.Errorf("the cache %q: %w", u.zone, err))
			continue
		}
		if i := slices.IndexFunc(found, func(o Cache) bool { return o.Zone == c.Zone }); i >= 0 {
			found[i].Prefixes = append(found[i].Prefixes, prefixes...)
			continue
		}
		c.Prefixes = prefixes
		found = append(found, c)
	}
	return found, problems
}

// cacheUses are the uses that a block hands down, by protocol ("fastcgi", "proxy").
func (d *dump) cacheUses(outer map[string]cacheUse, block *directive) map[string]cacheUse {
	uses := map[string]cacheUse{}
	for protocol, u := range outer {
		uses[protocol] = u
	}
	d.each(block.block, 0, func(b *directive) bool {
		protocol, what, ok := strings.Cut(b.name, "_cache")
		if b.isBlock || !ok || protocol != "fastcgi" && protocol != "proxy" {
			return true
		}
		u := uses[protocol]
		switch what {
		case "":
			u.zone = b.arg(0)
		case "_key":
			u.key = b.arg(0)
		}
		uses[protocol] = u
		return true
	})
	return uses
}

func (d *dump) cachesBelow(used []cacheUse, outer map[string]cacheUse, block *directive, depth int) []cacheUse {
	uses := d.cacheUses(outer, block)
	for protocol, u := range uses {
		if u.key == "" && protocol == "proxy" {
			u.key = "$scheme$proxy_host$request_uri" // ngx_http_proxy_merge_loc_conf
		}
		if u.zone != "" && u.zone != "off" && !slices.Contains(used, u) {
			used = append(used, u)
		}
	}
	if depth < maxDepth {
		d.each(block.block, 0, func(b *directive) bool {
			if b.name == "location" && b.isBlock {
				used = d.cachesBelow(used, uses, b, depth+1)
			}
			return true
		})
	}
	return used
}

// cachePath reads fastcgi_cache_path PATH levels=1:2 keys_zone=NAME:SIZE (ngx_http_file_cache_set_slot).
func cachePath(b *directive) (Cache, bool) {
	c := Cache{Path: trimSlash(b.arg(0))}
	for _, a := range b.args[min(1, len(b.args)):] {
		if zone, ok := strings.CutPrefix(a, "keys_zone="); ok {
			c.Zone, _, _ = strings.Cut(zone, ":")
		}
		if levels, ok := strings.CutPrefix(a, "levels="); ok {
			for level := range strings.SplitSeq(levels, ":") {
				if len(level) != 1 || level != "1" && level != "2" || len(c.Levels) == 3 {
					return c, false
				}
				c.Levels = append(c.Levels, int(level[0]-'0'))
			}
		}
	}
	return c, c.Zone != "" && strings.HasPrefix(c.Path, "/")
}

// keyPrefixes fill in a key's variables up to the path of the request. A key that does not name the host before it
// could be any vhost's.
func keyPrefixes(key string, names []string) ([]string, error) {
	prefixes, host := []string{""}, false
	for rest := key; rest != ""; {
		literal, after, more := strings.Cut(rest, "$")
		prefixes = extend(prefixes, literal)
		if !more {
			break
		}
		name, tail := variableName(after)
		rest = tail
		switch name {
		case "scheme":
			prefixes = extend(prefixes, "http", "https")
		case "request_method":
			prefixes = extend(prefixes, "GET", "HEAD")
		case "host", "http_host", "server_name":
			var plain []string
			for _, n := range names {
				if isPlainName(n) {
					plain = append(plain, n)
				}
			}
			if len(plain) == 0 {
				return nil, fmt.Errorf("its key %q names the host, and the vhost has no plain name", key)
			}
			prefixes, host = extend(prefixes, plain...), true
		case "request_uri", "uri", "document_uri":
			if !host {
				return nil, fmt.Errorf("its key %q does not name the host before the path", key)
			}
			return extend(prefixes, "/"), nil
		case "https":
			prefixes = extend(prefixes, "", "on")
		case "is_args", "args", "query_string":
			prefixes = extend(prefixes, "")
		default:
			return nil, fmt.Errorf("its key %q depends on $%s", key, name)
		}
		if len(prefixes) > 256 {
			return nil, fmt.Errorf("its key %q has too many values", key)
		}
	}
	return nil, fmt.Errorf("its key %q does not name the path", key)
}

func extend(prefixes []string, by ...string) []string {
	var longer []string
	for _, p := range prefixes {
		for _, b := range by {
			longer = append(longer, p+b)
		}
	}
	return longer
}
