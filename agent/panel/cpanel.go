package panel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"wpmend/php/ini"
)

// cpanel is cPanel & WHM with EasyApache 4: api.docs.cpanel.net (listaccts, get_domain_info) and docs.cpanel.net
// ("PHP-FPM Domain Pools", "Configuration Values of PHP-FPM", "The php_fpm_config Script"). Its commands exit with 0
// whatever happens: what counts is metadata.result.
type cpanel struct{}

const (
	whmapi        = "/usr/local/cpanel/bin/whmapi1"
	cpanelRebuild = "/usr/local/cpanel/scripts/php_fpm_config"
	cpanelData    = "/var/cpanel/userdata"
	cpanelHook    = "/usr/local/cpanel/3rdparty/bin/wpmend-hook"
)

var cpanelPool = regexp.MustCompile(`^/opt/cpanel/ea-php\d+/root/etc/php-fpm\.d/([^/]+)\.conf$`)

func (cpanel) here(h host) bool { return h.has("/usr/local/cpanel/version") }

func (cpanel) sites(ctx context.Context, h host) (List, error) {
	accounts, err := h.run(ctx, whmapi, "--output=json", "listaccts")
	if err != nil {
		return List{}, err
	}
	domains, err := h.run(ctx, whmapi, "--output=json", "get_domain_info")
	if err != nil {
		return List{}, err
	}
	return cpanelList(accounts, domains)
}

// loose is a text that comes as a string, a number, a boolean or null: cPanel's Perl writes what it has at hand.
type loose string

func (l *loose) UnmarshalJSON(text []byte) error {
	var s string
	switch err := json.Unmarshal(text, &s); {
	case err == nil:
		*l = loose(s)
	case len(text) > 0 && (text[0] == '{' || text[0] == '['):
		*l = ""
	case string(text) == "null":
		*l = ""
	default:
		*l = loose(text)
	}
	return nil
}

func (l loose) yes() bool { return l == "1" || l == "true" }

// whmAnswer reads what whmapi1 says; data is only there if it has succeeded.
func whmAnswer(text []byte, command string, data any) error {
	var a struct {
		Metadata struct {
			Result loose `json:"result"`
			Reason loose `json:"reason"`
		} `json:"metadata"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return fmt.Errorf("whmapi1 %s gives no JSON: %w: %s", command, err, brief(text))
	}
	if !a.Metadata.Result.yes() {
		return fmt.Errorf("whmapi1 %s: %s", command, brief([]byte("result "+string(a.Metadata.Result)+", "+string(a.Metadata.Reason))))
	}
	if err := json.Unmarshal(a.Data, data); err != nil {
		return fmt.Errorf("whmapi1 %s: %w", command, err)
	}
	return nil
}

func cpanelList(accounts, domains []byte) (List, error) {
	var a struct {
		Acct []struct {
			User      loose `json:"user"`
			Email     loose `json:"email"`
			Suspended loose `json:"suspended"`
		} `json:"acct"`
	}
	var d struct {
		Domains []struct {
			Domain  loose `json:"domain"`
			User    loose `json:"user"`
			DocRoot loose `json:"docroot"`
			Type    loose `json:"domain_type"`
			Parent  loose `json:"parent_domain"`
		} `json:"domains"`
	}
	if err := errors.Join(whmAnswer(accounts, "listaccts", &a), whmAnswer(domains, "get_domain_info", &d)); err != nil {
		return List{}, err
	}
	var l List
	known := map[loose]Site{}
	for _, acct := range a.Acct {
		mail, _, _ := strings.Cut(string(acct.Email), ",") // the account may have two
		known[acct.User] = Site{Account: string(acct.User), Contact: mail, Suspended: acct.Suspended.yes()}
	}
	parked := map[loose][]string{}
	for _, dom := range d.Domains {
		if dom.Type == "parked" {
			parked[dom.Parent] = append(parked[dom.Parent], string(dom.Domain))
		}
	}
	for _, dom := range d.Domains {
		if dom.Type == "parked" {
			continue // another name of its parent
		}
		s := known[dom.User]
		s.Domain, s.Account, s.Root, s.Aliases = string(dom.Domain), string(dom.User), string(dom.DocRoot), parked[dom.Domain]
		l.Sites = append(l.Sites, s)
	}
	return l, nil
}

func (cpanel) plan(_ context.Context, h host, p Pool, set []ini.Setting) (Plan, error) {
	fail := func(remedy, reason string, args ...any) (Plan, error) {
		return Plan{}, &Error{"cPanel", fmt.Sprintf(reason, args...), remedy}
	}
	m := cpanelPool.FindStringSubmatch(p.File)
	if m == nil || !isDomain(m[1]) {
		return fail("set it in WHM → MultiPHP Manager → System PHP-FPM Configuration", "%s is not the pool of one domain", p.File)
	}
	domain := m[1]
	// The vendor's pages write both names; a pool without either would have been removed.
	var file string
	var was []byte
	for _, name := range []string{".php-fpm.yaml", ".php_fpm.yaml"} {
		at := filepath.Join(cpanelData, p.User, domain+name)
		text, err := h.readIf(at)
		if err != nil {
			return fail("", "%v", err)
		}
		if text != nil {
			file, was = at, text
			break
		}
	}
	if file == "" {
		return fail("switch PHP-FPM on for it in WHM → MultiPHP Manager", "%s has no file %s.php-fpm.yaml in %s", domain, domain, filepath.Join(cpanelData, p.User))
	}
	text := was
	for _, s := range set {
		if s.Name == ini.Control {
			return fail("set it in /var/cpanel/ApachePHPFPM/system.yaml, for all domains", "%s is the master's, not a domain's", s.Name)
		}
		key, value := cpanelKey(s)
		var err error
		if text, err = yamlSet(text, key, value); err != nil {
			return fail("", "%s: %v", file, err)
		}
	}
	act := Act{Do: "rebuild", User: p.User, Domain: domain}
	return Plan{File: file, New: was == nil, Was: string(was), Text: string(text), Apply: act, Undo: act, What: "in " + file}, nil
}

// cpanelKey is a setting as the file has it: FPM's own directives with underscores for dots, all else under a name of
// its own with the text for the pool's file in it.
func cpanelKey(s ini.Setting) (key, value string) {
	name, inner, _ := strings.Cut(strings.TrimSuffix(s.Name, "]"), "[")
	if inner == "" {
		return strings.ReplaceAll(s.Name, ".", "_"), s.Value
	}
	if _, err := strconv.Atoi(s.Value); err != nil {
		return name + "_" + strings.ReplaceAll(inner, ".", "_"), fmt.Sprintf("{ name: '%s', value: '%s' }", s.Name, s.Value)
	}
	return name + "_" + strings.ReplaceAll(inner, ".", "_"), fmt.Sprintf("{ name: '%s', value: %s }", s.Name, s.Value)
}

func (cpanel) do(ctx context.Context, h host, a Act) error {
	if a.Do != "rebuild" || a.Domain == "" {
		return fmt.Errorf("what is meant by %q is not known", a.Do)
	}
	// Whether it has worked shows in the pool's file alone.
	_, err := h.run(ctx, cpanelRebuild, "--rebuild", "--domain="+a.Domain)
	return err
}

func (cpanel) byHand(a Act) []string {
	return []string{cpanelRebuild + " --rebuild --domain=" + a.Domain}
}

// hooks: Standardized Hooks, https://api.docs.cpanel.net/guides/guide-to-standardized-hooks. The script describes itself,
// so that manage_hooks registers and removes all of its events at once.
func (cpanel) hooks() Hooks {
	const manage = "/usr/local/cpanel/bin/manage_hooks"
	return Hooks{Files: []HookFile{{"cpanel/wpmend-hook", cpanelHook, 0o755}},
		Install: [][]string{{manage, "add", "script", cpanelHook}}, Remove: [][]string{{manage, "delete", "script", cpanelHook}}}
}
