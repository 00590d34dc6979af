package panel

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"wpmend/php/ini"
)

// plesk is Plesk Obsidian for Linux. The header of its generated pools names the override: the section
// [php-fpm-pool-settings] of /var/www/vhosts/system/DOMAIN/conf/php.ini, which php_settings -u writes into them.
type plesk struct{}

const (
	pleskTool     = "/usr/sbin/plesk"
	pleskSettings = "/usr/local/psa/bin/php_settings"
	pleskSection  = "php-fpm-pool-settings"
	// One line a domain with hosting: name, its status, the subscription's, system user, document root, client's e-mail
	// address and status.
	pleskQuery = "SELECT d.name, d.status, d.webspace_status, s.login, h.www_root, c.email, c.status FROM domains d" +
		" JOIN hosting h ON h.dom_id = d.id JOIN sys_users s ON s.id = h.sys_user_id JOIN clients c ON c.id = d.cl_id ORDER BY d.name"
)

var pleskPool = regexp.MustCompile(`^/opt/plesk/php/[0-9.]+/etc/php-fpm\.d/([^/]+)\.conf$`)

func (plesk) here(h host) bool { return h.has("/usr/local/psa/version") }

func (plesk) sites(ctx context.Context, h host) (List, error) {
	out, err := h.run(ctx, pleskTool, "db", "-Ne", pleskQuery)
	if err != nil {
		return List{}, err
	}
	return pleskList(string(out)), nil
}

// pleskList reads the rows of mysql's batch mode: fields between tabs, in which \t, \n, \\ and \0 stand for what they
// mean (mysql(1), --batch).
func pleskList(text string) List {
	var l List
	unescape := strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\0`, "\x00")
	bad := 0
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if len(fields) != 7 {
			bad++
			continue
		}
		for i, f := range fields {
			if fields[i] = unescape.Replace(f); f == "NULL" {
				fields[i] = ""
			}
		}
		suspended := func(status string) bool { return status != "" && status != "0" }
		l.Sites = append(l.Sites, Site{Domain: fields[0], Account: fields[3], Root: fields[4], Contact: fields[5],
			Suspended: suspended(fields[1]) || suspended(fields[2]) || suspended(fields[6])})
	}
	if bad > 0 {
		l.Notes = append(l.Notes, fmt.Sprintf("%d lines of `plesk db` are not of the form that was asked for", bad))
	}
	return l
}

func (plesk) plan(_ context.Context, h host, p Pool, set []ini.Setting) (Plan, error) {
	fail := func(remedy, reason string, args ...any) (Plan, error) {
		return Plan{}, &Error{"Plesk", fmt.Sprintf(reason, args...), remedy}
	}
	m := pleskPool.FindStringSubmatch(p.File)
	if m == nil || !isDomain(m[1]) {
		return fail("set it in Plesk → the domain → PHP Settings", "%s is not the pool of one domain", p.File)
	}
	file := filepath.Join("/var/www/vhosts/system", m[1], "conf/php.ini")
	if err := h.trusted(filepath.Dir(file)); err != nil {
		return fail("set it in Plesk → the domain → PHP Settings", "%v", err)
	}
	was, err := h.readIf(file)
	if err != nil {
		return fail("", "%v", err)
	}
	text, err := pleskSet(was, set)
	if err != nil {
		return fail("", "%s: %v", file, err)
	}
	act := Act{Do: "settings", Domain: m[1]}
	return Plan{File: file, New: was == nil, Was: string(was), Text: string(text), Apply: act, Undo: act, What: "in [" + pleskSection + "] of " + file}, nil
}

// pleskSet is a domain's php.ini with settings of its pool in it.
func pleskSet(was []byte, set []ini.Setting) ([]byte, error) {
	f, err := ini.Parse(was)
	for _, s := range set {
		if err == nil && s.Name == ini.Control {
			err = fmt.Errorf("%s is the master's, not a pool's", s.Name)
		}
		if err == nil {
			f, err = f.SetIn(pleskSection, s.Name, s.Value)
		}
	}
	if err != nil {
		return nil, err
	}
	return f.Bytes(), nil
}

func (plesk) do(ctx context.Context, h host, a Act) error {
	if a.Do != "settings" {
		return fmt.Errorf("what is meant by %q is not known", a.Do)
	}
	_, err := h.run(ctx, pleskSettings, "-u")
	return err
}

func (plesk) byHand(Act) []string { return []string{pleskSettings + " -u"} }

// pleskEvents are the events after which a domain is another: `plesk bin event_handler --list-events`.
var pleskEvents = []string{"phys_hosting_create", "phys_hosting_update", "phys_hosting_delete", "domain_status_update", "site_status_update"}

const pleskCommand = "/usr/bin/wpmend sites --refresh"

// hooks: event handlers, which run as root after the event and cannot hold it up
// (https://docs.plesk.com/en-US/obsidian/cli-linux, event_handler). Each has a number that only the list tells.
func (plesk) hooks() Hooks {
	h := Hooks{List: []string{pleskTool, "bin", "event_handler", "--list"}, Found: pleskHandlers}
	for _, e := range pleskEvents {
		h.Install = append(h.Install, []string{pleskTool, "bin", "event_handler", "--create", "-command", pleskCommand, "-priority", "50", "-user", "root", "-event", e})
	}
	return h
}

var pleskID = regexp.MustCompile(`(?i)^\s*id\s*:?\s+(\d{1,9})\s*$`)

// pleskHandlers gives the commands that remove wpmend's handlers: the list is one block each, beginning with its number.
func pleskHandlers(listing []byte) (commands [][]string) {
	id := ""
	for line := range strings.Lines(string(listing)) {
		if m := pleskID.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			id = m[1]
		}
		if id != "" && strings.HasSuffix(strings.TrimSpace(line), pleskCommand) {
			commands = append(commands, []string{pleskTool, "bin", "event_handler", "--delete", id})
			id = ""
		}
	}
	return commands
}
