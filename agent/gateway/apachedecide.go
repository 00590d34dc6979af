package gateway

import (
	"fmt"
	"strings"
)

// hit asks all conditions of a rule.
func (r Rule) hit(root, script string) answer {
	result := yes
	if r.Unknown != "" {
		result = unknown
	}
	for _, m := range r.Match {
		switch m.hit(root, script) {
		case no:
			return no
		case unknown:
			result = unknown
		}
	}
	return result
}

// decision is what the rules say of one script.
type decision struct {
	php     int             // see Rule.PHP
	unknown string          // why php is not known
	last    map[string]Rule // of each kind, the rule in force
	env     map[string]string
	fixups  []Rule // ProxyFCGISetEnvIf, in order
}

// decide applies the rules as Apache does: proxying first; SetHandler overrides what mod_mime found by the extensions
// (core_override_type); PHP with `engine off` declines.
func (v Vhost) decide(script string) decision {
	d := decision{php: NoPHP, last: map[string]Rule{}, env: map[string]string{}}
	doubts := map[string]Rule{}
	for _, r := range v.Rules {
		if _, taken := d.last["proxypass"]; taken && r.Kind == "proxypass" {
			continue
		}
		switch r.hit(v.Root, script) {
		case yes:
			if r.Kind != "proxypass" {
				delete(doubts, r.Kind)
			}
			d.apply(r)
		case unknown:
			doubts[r.Kind] = r
		}
	}
	for _, kind := range [...]string{"proxypass", "sethandler", "addhandler", "addtype"} {
		if r, ok := doubts[kind]; ok {
			d.unknown = fmt.Sprintf("it depends on %s:%d", r.File, r.Line)
			return d
		}
		r, ok := d.last[kind]
		if !ok || kind == "proxypass" && r.Args[0] == "!" || kind == "sethandler" && strings.EqualFold(r.Args[0], "none") {
			continue
		}
		d.php = r.PHP
		break
	}
	if d.php != ModPHP {
		return d
	}
	if r, ok := doubts["engine"]; ok {
		d.unknown = fmt.Sprintf("it depends on %s:%d", r.File, r.Line)
	}
	if engine, ok := d.last["engine"]; ok && engine.Args[0] == "off" {
		d.php = NoPHP
	}
	return d
}

func (d *decision) apply(r Rule) {
	switch r.Kind {
	case "setenv":
		d.env[r.Args[0]] = r.Args[1]
	case "unsetenv":
		for _, name := range r.Args {
			delete(d.env, name)
		}
	case "proxyfcgisetenvif":
		d.fixups = append(d.fixups, r)
	default:
		d.last[r.Kind] = r
	}
}

// ruled is Vhost.Location for Apache: the PHP location with what the rules add to it for this script.
func (v Vhost) ruled(script string) (PHPLocation, bool) {
	d := v.decide(script)
	if d.unknown != "" || d.php < 0 || d.php >= len(v.PHP) {
		return PHPLocation{}, false
	}
	l := v.PHP[d.php]
	l.setEnv(d)
	return l, true
}

// RunsModPHP says whether Apache itself runs the script of that path, "/index.php".
func (v Vhost) RunsModPHP(script string) bool {
	d := v.decide(script)
	return d.unknown == "" && d.php == ModPHP
}

// ruledScript is Vhost.Script for Apache, whose rewriting in .htaccess is not read here.
func (v Vhost) ruledScript(uri string) (script string, ok bool) {
	candidates := []string{uri}
	if strings.HasSuffix(uri, "/") {
		candidates = candidates[:0]
		for _, name := range v.Index {
			candidates = append(candidates, uri+strings.TrimPrefix(name, "/"))
		}
	}
	for _, c := range candidates {
		if d := v.decide(c); d.unknown == "" && d.php != NoPHP {
			return c, true
		}
	}
	return "", false
}
