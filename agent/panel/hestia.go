package panel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"wpmend/php/ini"
)

// hestia is HestiaCP: https://github.com/hestiacp/hestiacp, read at d128cc6f (August 2026). Its accounts lie in
// data/users/ACCOUNT/{user,web}.conf, from which v-list-users and v-list-web-domains print; they are read here directly,
// since the JSON that these print escapes nothing and asking costs a process for each account.
//
// A pool's file is filled from a backend template whenever its domain is rebuilt, so a domain's limits are set by a
// template of its own.
type hestia struct{}

const (
	hestiaUsers     = "/usr/local/hestia/data/users"
	hestiaTemplates = "/usr/local/hestia/data/templates/web/php-fpm"
	hestiaChange    = "/usr/local/hestia/bin/v-change-web-domain-backend-tpl"
	hestiaTemplate  = "template" // the act
)

var (
	hestiaPool = regexp.MustCompile(`^/etc/php/\d+\.\d+/fpm/pool\.d/([^/]+)\.conf$`)
	// The PHP version is the end of the template's name, and nothing else (func/domain.sh, prepare_web_backend).
	hestiaVersion = regexp.MustCompile(`PHP-[0-9]_[0-9]$`)
	// func/main.sh, is_object_format_valid
	hestiaName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,64}[A-Za-z0-9]$`)
)

func (hestia) here(h host) bool { return h.has("/usr/local/hestia/conf/hestia.conf") }

func (hestia) sites(_ context.Context, h host) (List, error) {
	var l List
	users, err := h.folders(hestiaUsers)
	if err != nil {
		return l, err
	}
	for _, user := range users {
		text, err := h.read(filepath.Join(hestiaUsers, user, "user.conf"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			l.Notes = append(l.Notes, err.Error())
			continue
		}
		account := map[string]string{}
		for line := range strings.Lines(string(text)) {
			pairs, _ := quoted(strings.TrimRight(line, "\r\n"))
			for k, v := range pairs {
				account[k] = v
			}
		}
		domains, err := hestiaDomains(h, user)
		if err != nil {
			l.Notes = append(l.Notes, err.Error())
		}
		for _, d := range domains {
			root := d["CUSTOM_DOCROOT"]
			if root == "" {
				root = filepath.Join("/home", user, "web", d["DOMAIN"], "public_html")
			}
			l.Sites = append(l.Sites, Site{Domain: d["DOMAIN"], Aliases: strings.Split(d["ALIAS"], ","), Account: user, Contact: account["CONTACT"],
				Root: root, Suspended: d["SUSPENDED"] == "yes" || account["SUSPENDED"] == "yes"})
		}
	}
	return l, nil
}

// hestiaDomains reads an account's web.conf, a domain a line.
func hestiaDomains(h host, user string) (domains []map[string]string, err error) {
	file := filepath.Join(hestiaUsers, user, "web.conf")
	text, err := h.readIf(file)
	n, bad := 0, 0
	for line := range strings.Lines(string(text)) {
		n++
		pairs, ok := quoted(strings.TrimRight(line, "\r\n"))
		switch {
		case !ok:
			bad = n
		case pairs["DOMAIN"] != "":
			domains = append(domains, pairs)
		}
	}
	if bad > 0 && err == nil {
		err = fmt.Errorf("%s:%d is not of the form KEY='value'", file, bad)
	}
	return domains, err
}

// hestiaDomain is the one domain of an account.
func hestiaDomain(h host, user, domain string) (map[string]string, error) {
	domains, err := hestiaDomains(h, user)
	for _, d := range domains {
		if d["DOMAIN"] == domain {
			return d, nil
		}
	}
	if err == nil {
		err = &goneError{user, domain}
	}
	return nil, err
}

// goneError says that the panel knows a domain no more.
type goneError struct{ user, domain string }

func (e *goneError) Error() string {
	return fmt.Sprintf("the account %s has no domain %s", e.user, e.domain)
}

func (hestia) plan(_ context.Context, h host, p Pool, set []ini.Setting) (Plan, error) {
	fail := func(remedy, reason string, args ...any) (Plan, error) {
		return Plan{}, &Error{"HestiaCP", fmt.Sprintf(reason, args...), remedy}
	}
	m := hestiaPool.FindStringSubmatch(p.File)
	if m == nil || m[1] != p.Name || !isDomain(p.Name) {
		return fail("set it in the template of the account's pool", "%s is not the pool of one domain (WEB_BACKEND_POOL may be 'user')", p.File)
	}
	domain := p.Name
	d, err := hestiaDomain(h, p.User, domain)
	if err != nil {
		return fail("v-list-web-domains "+p.User, "%v", err)
	}
	now := d["BACKEND"]
	switch {
	case d["SUSPENDED"] == "yes":
		return fail("v-unsuspend-web-domain "+p.User+" "+domain, "%s is suspended", domain)
	case !hestiaName.MatchString(now):
		return fail("choose a backend template for "+domain+" in the panel", "the backend template of %s is %q", domain, now)
	}
	sum := sha256.Sum256([]byte(domain))
	own := strings.TrimSuffix("wpmend-"+hex.EncodeToString(sum[:6])+"-"+hestiaVersion.FindString(now), "-")
	base, err := h.read(filepath.Join(hestiaTemplates, now+".tpl"))
	if err != nil {
		return fail("v-list-web-templates-backend", "its backend template cannot be read: %v", err)
	}
	text, err := hestiaFill(base, domain, now == own, set)
	if err != nil {
		return fail("", "%s.tpl: %v", now, err)
	}
	file := filepath.Join(hestiaTemplates, own+".tpl")
	was, err := h.readIf(file)
	if err != nil {
		return Plan{}, err
	}
	return Plan{File: file, New: was == nil, Was: string(was), Text: string(text),
		Apply: Act{Do: hestiaTemplate, User: p.User, Domain: domain, From: now, To: own},
		Undo:  Act{Do: hestiaTemplate, User: p.User, Domain: domain, From: own, To: now, Yields: true},
		What:  fmt.Sprintf("in the backend template %s of %s", own, domain)}, nil
}

// hestiaFill is a template with the settings in it.
func hestiaFill(base []byte, domain string, own bool, set []ini.Setting) ([]byte, error) {
	f, err := ini.Parse(base)
	if err != nil {
		return nil, err
	}
	pool := ""
	for _, e := range f.Entries() {
		if e.Name == "listen" {
			pool = e.Section
		}
	}
	if pool == "" {
		return nil, errors.New("it has no pool with a listen =")
	}
	for _, s := range set {
		section := pool
		if s.Name == ini.Control {
			section = "global" // the master's, not a pool's
		}
		if f, err = f.SetIn(section, s.Name, s.Value); err != nil {
			return nil, err
		}
	}
	text := f.Bytes()
	if !own {
		text = append([]byte("; wpmend: made for "+domain+" from its template of then; `wpmend changes` says why, and takes it back.\n"), text...)
	}
	return text, nil
}

// do chooses a domain's backend template, and leaves it to wpmend to reload PHP-FPM and to Hestia's next reload of the
// web server to take the vhost, which is written anew without a difference: the pool keeps its socket.
func (hestia) do(ctx context.Context, h host, a Act) error {
	if a.Do != hestiaTemplate || !hestiaName.MatchString(a.From) || !hestiaName.MatchString(a.To) {
		return fmt.Errorf("what is meant by %q from %q to %q is not known", a.Do, a.From, a.To)
	}
	d, err := hestiaDomain(h, a.User, a.Domain)
	var gone *goneError
	if errors.As(err, &gone) && a.Yields {
		return nil // and its pool with it
	}
	if err != nil {
		return err
	}
	if now := d["BACKEND"]; now != a.From && now != a.To {
		if a.Yields {
			return nil
		}
		return fmt.Errorf("the backend template of %s is %s, no more %s", a.Domain, now, a.From)
	}
	if _, err := h.run(ctx, hestiaChange, a.User, a.Domain, a.To, "no"); err != nil {
		return err
	}
	if d, err = hestiaDomain(h, a.User, a.Domain); err != nil {
		return err
	}
	if d["BACKEND"] != a.To {
		return fmt.Errorf("%s said that it was done, but the backend template of %s is %s", filepath.Base(hestiaChange), a.Domain, d["BACKEND"])
	}
	return nil
}

func (hestia) byHand(a Act) []string {
	return []string{strings.Join([]string{hestiaChange, a.User, a.Domain, a.To, "no"}, " ")}
}

// hooks: Hestia runs nothing when an account or a domain changes, so systemd watches the folders in which it links each
// domain's vhost (func/domain.sh, add_web_config).
func (hestia) hooks() Hooks {
	return Hooks{
		Files: []HookFile{
			{"hestia/wpmend-hestia.path", "/etc/systemd/system/wpmend-hestia.path", 0o644},
			{"hestia/wpmend-hestia.service", "/etc/systemd/system/wpmend-hestia.service", 0o644},
		},
		Install: [][]string{{"/usr/bin/systemctl", "daemon-reload"}, {"/usr/bin/systemctl", "enable", "--now", "wpmend-hestia.path"}},
		Remove:  [][]string{{"/usr/bin/systemctl", "disable", "--now", "wpmend-hestia.path"}},
		Removed: [][]string{{"/usr/bin/systemctl", "daemon-reload"}},
	}
}
