package panel

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"wpmend/php/ini"
)

// cyberpanel is CyberPanel: https://github.com/usmannasir/cyberpanel, read at e8a1387e (October 2024). Its command line
// prints what went wrong and exits with 0 (cli/cyberPanel.py), so only its JSON counts. PHP is OpenLiteSpeed's lsphp,
// which has no pool to be tuned.
type cyberpanel struct{}

const (
	cyberTool = "/usr/bin/cyberpanel"
	cyberCode = "/usr/local/CyberCP/cli/cyberPanel.py"
)

func (cyberpanel) here(h host) bool { return h.has("/usr/local/CyberCP/CyberCP/settings.py") }

func (cyberpanel) sites(ctx context.Context, h host) (List, error) {
	// The command is only a way to it.
	if err := h.trusted(cyberCode); err != nil {
		return List{}, fmt.Errorf("%s is not run as root: %w", cyberTool, err)
	}
	out, err := h.run(ctx, cyberTool, "listWebsitesJson")
	if err != nil {
		return List{}, err
	}
	return cyberList(out)
}

// cyberList reads the last line that is a list: warnings of Python's come before it. A lone 0 is how it fails.
func cyberList(out []byte) (List, error) {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	last := bytes.TrimSpace(lines[len(lines)-1])
	if len(last) == 0 || last[0] != '[' {
		return List{}, fmt.Errorf("listWebsitesJson gives no list: %s", brief(out))
	}
	var sites []struct {
		Domain  loose `json:"domain"`
		Email   loose `json:"adminEmail"`
		Account loose `json:"admin"`
		State   loose `json:"state"`
	}
	if err := json.Unmarshal(last, &sites); err != nil {
		return List{}, fmt.Errorf("listWebsitesJson: %w", err)
	}
	var l List
	for _, s := range sites {
		site := Site{Domain: string(s.Domain), Account: string(s.Account), Contact: string(s.Email), Suspended: s.State == "Suspended" || s.State == "0"}
		if domain := strings.ToLower(string(s.Domain)); isDomain(domain) {
			site.Root = filepath.Join("/home", domain, "public_html")
		}
		l.Sites = append(l.Sites, site)
	}
	return l, nil
}

func (cyberpanel) plan(context.Context, host, Pool, []ini.Setting) (Plan, error) {
	return Plan{}, &Error{"CyberPanel", "it gives a site's PHP-FPM pool no override of its own",
		"on OpenLiteSpeed write phpIniOverride { php_value NAME VALUE } into the site's vhost.conf (Websites → Manage → vHost Conf), then: touch /usr/local/lsws/admin/tmp/.lsphp_restart.txt"}
}

func (cyberpanel) do(_ context.Context, _ host, a Act) error {
	return fmt.Errorf("what is meant by %q is not known", a.Do)
}

func (cyberpanel) byHand(Act) []string { return nil }

// hooks: a Django application whose handlers of the panel's signals tell wpmend. CyberPanel wants it listed in its
// settings.py, which only its own plugin installer does: see packaging/panels/README.md.
func (cyberpanel) hooks() Hooks {
	const app = "/usr/local/CyberCP/wpmend/"
	h := Hooks{ByHand: "add 'wpmend', to INSTALLED_APPS in /usr/local/CyberCP/CyberCP/settings.py (take it out again first of all when you remove it), then: systemctl restart lscpd"}
	for _, name := range []string{"__init__.py", "apps.py", "signals.py", "meta.xml"} {
		h.Files = append(h.Files, HookFile{"cyberpanel/wpmend/" + name, app + name, 0o644})
	}
	return h
}
