package panel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"wpmend/php/ini"
)

// directadmin is DirectAdmin: docs.directadmin.com (user.conf, hooks, plugins). Its files belong to root or to its own
// user. A pool serves all domains of an account; its file comes from one template for the host, of which a copy in
// templates/custom/ is the documented override, with |*if USER="x"| for what concerns one account.
type directadmin struct{}

const (
	daUsers     = "/usr/local/directadmin/data/users"
	daTemplates = "/usr/local/directadmin/data/templates"
	daTool      = "/usr/local/directadmin/directadmin"
)

var daPool = regexp.MustCompile(`^/usr/local/directadmin/data/users/([^/]+)/php/php-fpm\d+\.conf$`)

// daOwner is who owns its folder besides root: itself.
func daOwner(h host) []uint32 { return ownerOf(h, "/usr/local/directadmin/") }

func (directadmin) here(h host) bool {
	return h.has("/usr/local/directadmin/conf/directadmin.conf", daOwner(h)...)
}

func (directadmin) sites(_ context.Context, h host) (List, error) {
	own := daOwner(h)
	users, err := h.folders(daUsers, own...)
	if err != nil {
		return List{}, err
	}
	var l List
	for _, user := range users {
		dir := filepath.Join(daUsers, user)
		text, err := h.read(filepath.Join(dir, "user.conf"), own...)
		if err == nil {
			var list []byte
			list, err = h.readIf(filepath.Join(dir, "domains.list"), own...)
			account := assigned(string(text))
			for domain := range strings.Lines(string(list)) {
				domain = strings.TrimSpace(domain)
				if domain == "" {
					continue
				}
				s := Site{Domain: domain, Account: user, Contact: account["email"], Suspended: account["suspended"] == "yes"}
				if isDomain(domain) {
					s.Root = filepath.Join("/home", user, "domains", domain, "public_html")
					conf, _ := h.readIf(filepath.Join(dir, "domains", domain+".conf"), own...)
					s.Suspended = s.Suspended || assigned(string(conf))["suspended"] == "yes"
				}
				l.Sites = append(l.Sites, s)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.Notes = append(l.Notes, err.Error())
		}
	}
	return l, nil
}

func (directadmin) plan(_ context.Context, h host, p Pool, set []ini.Setting) (Plan, error) {
	fail := func(remedy, reason string, args ...any) (Plan, error) {
		return Plan{}, &Error{"DirectAdmin", fmt.Sprintf(reason, args...), remedy}
	}
	m := daPool.FindStringSubmatch(p.File)
	if m == nil || m[1] != p.User {
		return fail("set it in "+daTemplates+"/custom/php-fpm.conf", "%s is not the pool of the account %s", p.File, p.User)
	}
	own := daOwner(h)
	file := filepath.Join(daTemplates, "custom/php-fpm.conf")
	was, err := h.readIf(file, own...)
	base := was
	if err == nil && was == nil {
		base, err = h.read(filepath.Join(daTemplates, "php-fpm.conf"), own...)
	}
	if err != nil {
		return fail("", "its template cannot be read: %v", err)
	}
	for _, s := range set {
		if s.Name == ini.Control {
			return fail("set it in the global part of /usr/local/phpXY/etc/php-fpm.conf", "%s is the master's, not a pool's", s.Name)
		}
	}
	text, err := daSet(base, p.User, set)
	if err != nil {
		return fail("", "%s: %v", file, err)
	}
	act := Act{Do: "rewrite", User: p.User}
	return Plan{File: file, New: was == nil, Was: string(was), Text: string(text), Apply: act, Undo: act, What: fmt.Sprintf("for the account %s in %s", p.User, file)}, nil
}

// daSet is the template with an account's own part at its end, where it wins; what an earlier part of the account's set
// is kept.
func daSet(base []byte, user string, set []ini.Setting) ([]byte, error) {
	// The tokens stand on lines of their own: what else is on a token's line would end up in the pool.
	begin, end, comment := `|*if USER="`+user+`"|`, `|*endif|`, "; wpmend: "+user+","
	var out [][]byte
	var kept []ini.Setting
	lines := slices.Collect(bytes.Lines(base))
	for i := 0; i < len(lines); i++ {
		if string(bytes.TrimSpace(lines[i])) != begin || i+1 == len(lines) || !bytes.HasPrefix(lines[i+1], []byte(comment)) {
			out = append(out, lines[i])
			continue
		}
		for i += 2; i < len(lines) && string(bytes.TrimSpace(lines[i])) != end; i++ {
			name, value, ok := strings.Cut(string(bytes.TrimSpace(lines[i])), " = ")
			if !ok {
				return nil, fmt.Errorf("wpmend's own part for %s has been changed by hand", user)
			}
			kept = append(kept, ini.Setting{Name: name, Value: value})
		}
		if i == len(lines) {
			return nil, fmt.Errorf("wpmend's own part for %s has no end", user)
		}
	}
	for _, s := range set {
		kept = append(slices.DeleteFunc(kept, func(k ini.Setting) bool { return k.Name == s.Name }), s)
	}
	text := bytes.Join(out, nil)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	text = append(text, begin+"\n"+comment+" see `wpmend changes`\n"...)
	for _, s := range kept {
		text = append(text, s.Name+" = "+s.Value+"\n"...)
	}
	return append(text, end+"\n"...), nil
}

func (directadmin) do(ctx context.Context, h host, a Act) error {
	if a.Do != "rewrite" {
		return fmt.Errorf("what is meant by %q is not known", a.Do)
	}
	_, err := h.run(ctx, daTool, "build", "rewrite_confs")
	return err
}

func (directadmin) byHand(Act) []string { return []string{daTool + " build rewrite_confs"} }

// hooks come with the plugin: plugins/*/hooks/HOOK.sh runs after each of these, as root
// (https://docs.directadmin.com/developer/hooks/). What fails after an event is shown to the customer as an error, so the
// script never does.
func (directadmin) hooks() Hooks {
	const plugin = "/usr/local/directadmin/plugins/wpmend/"
	h := Hooks{Files: []HookFile{{"directadmin/plugin.conf", plugin + "plugin.conf", 0o644}}}
	for _, hook := range []string{"user_create_post", "user_destroy_post", "domain_create_post", "domain_destroy_post", "user_httpd_write_post"} {
		h.Files = append(h.Files, HookFile{"directadmin/hook.sh", plugin + "hooks/" + hook + ".sh", 0o755})
	}
	for _, level := range []string{"admin", "reseller", "user"} {
		h.Files = append(h.Files, HookFile{"directadmin/index.html", plugin + level + "/index.html", 0o755})
	}
	return h
}
