package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// The values of Options.Multisite: where blog 2 of a network is.
const (
	Subfolders = "subfolder" // http://shop.lab.test/blog2
	Subdomains = "subdomain" // http://blog2.shop.lab.test
)

// blog2 is the folder or the first label of a network's second blog.
const blog2 = "blog2"

// network is the kind of network that site i is; "": none.
func (o Options) network(i int) string {
	if i < len(o.Networks) {
		return o.Networks[i]
	}
	return o.Multisite
}

// BlogURL is the home of a network's blog, 1 or 2, without a last slash.
func (s Site) BlogURL(blog int) string {
	switch {
	case blog == 1 || s.Network == "":
		return s.URL
	case s.Network == Subdomains:
		return strings.Replace(s.URL, "://", "://"+blog2+".", 1)
	}
	return s.URL + "/" + blog2
}

// networkConstants are what makes a site a network, as calls of define.
func (s Site) networkConstants(define string) string {
	if s.Network == "" {
		return ""
	}
	line := func(name, value string) string { return fmt.Sprintf("%s( '%s', %s );\n", define, name, value) }
	return line("MULTISITE", "true") + line("SUBDOMAIN_INSTALL", fmt.Sprint(s.Network == Subdomains)) +
		line("DOMAIN_CURRENT_SITE", "'"+s.Domain+"'") + line("PATH_CURRENT_SITE", "'/'") +
		line("SITE_ID_CURRENT_SITE", "1") + line("BLOG_ID_CURRENT_SITE", "1")
}

// networkTables are the columns of WordPress' own (wp_get_db_schema of 6.1).
var networkTables = [][2]string{
	{"blogs", `blog_id bigint(20) NOT NULL auto_increment, site_id bigint(20) NOT NULL default '0', domain varchar(200) NOT NULL default '',
		path varchar(100) NOT NULL default '', registered datetime NOT NULL default '0000-00-00 00:00:00', last_updated datetime NOT NULL default '0000-00-00 00:00:00',
		public tinyint(2) NOT NULL default '1', archived tinyint(2) NOT NULL default '0', mature tinyint(2) NOT NULL default '0',
		spam tinyint(2) NOT NULL default '0', deleted tinyint(2) NOT NULL default '0', lang_id int(11) NOT NULL default '0',
		PRIMARY KEY (blog_id), KEY domain (domain(50),path(5)), KEY lang_id (lang_id)`},
	{"blogmeta", `meta_id bigint(20) unsigned NOT NULL auto_increment, blog_id bigint(20) NOT NULL default '0', meta_key varchar(255) default NULL,
		meta_value longtext, PRIMARY KEY (meta_id), KEY meta_key (meta_key(191)), KEY blog_id (blog_id)`},
	{"site", `id bigint(20) NOT NULL auto_increment, domain varchar(200) NOT NULL default '', path varchar(100) NOT NULL default '',
		PRIMARY KEY (id), KEY domain (domain(140),path(51))`},
	{"sitemeta", `meta_id bigint(20) NOT NULL auto_increment, site_id bigint(20) NOT NULL default '0', meta_key varchar(255) default NULL,
		meta_value longtext, PRIMARY KEY (meta_id), KEY meta_key (meta_key(191)), KEY site_id (site_id)`},
}

// fillNetwork makes a network of a site's tables: blog 2 begins as a copy of blog 1.
func (l *Lab) fillNetwork(ctx context.Context, s Site, tables []string) error {
	p := s.TablePrefix
	exec := func(q string, args ...any) error {
		if _, err := l.db.ExecContext(ctx, q, args...); err != nil {
			return fmt.Errorf("cannot make a network of %s: %w", s.Domain, err)
		}
		return nil
	}
	var statements []string
	for _, t := range networkTables {
		statements = append(statements, fmt.Sprintf("CREATE TABLE `%s%s` (%s) DEFAULT CHARSET=utf8mb4", p, t[0], t[1]))
	}
	for _, table := range tables {
		name := strings.TrimPrefix(table, tablePrefix(0))
		if slices.Contains([]string{"users", "usermeta"}, name) {
			continue
		}
		statements = append(statements, fmt.Sprintf("CREATE TABLE `%[1]s2_%[2]s` LIKE `%[1]s%[2]s`", p, name),
			fmt.Sprintf("INSERT INTO `%[1]s2_%[2]s` SELECT * FROM `%[1]s%[2]s`", p, name))
	}
	statements = append(statements,
		fmt.Sprintf("UPDATE `%[1]s2_options` SET option_name = '%[1]s2_user_roles' WHERE option_name = '%[1]suser_roles'", p),
		fmt.Sprintf("INSERT INTO `%[1]susermeta` (user_id, meta_key, meta_value) SELECT user_id, CONCAT('%[1]s2_', SUBSTRING(meta_key, %[2]d)), meta_value"+
			" FROM `%[1]susermeta` WHERE meta_key IN ('%[1]scapabilities', '%[1]suser_level')", p, len(p)+1))
	for _, q := range statements {
		if err := exec(q); err != nil {
			return err
		}
	}
	second := strings.TrimPrefix(s.BlogURL(2), "http://")
	domain, path, _ := strings.Cut(second, "/")
	path = strings.TrimSuffix("/"+path, "/") + "/"
	for id, at := range [][2]string{{s.Domain, "/"}, {domain, path}} {
		if err := exec(fmt.Sprintf("INSERT INTO `%sblogs` (blog_id, site_id, domain, path, registered, last_updated) VALUES (?, 1, ?, ?, NOW(), NOW())", p), id+1, at[0], at[1]); err != nil {
			return err
		}
	}
	if err := exec(fmt.Sprintf("INSERT INTO `%ssite` (id, domain, path) VALUES (1, ?, '/')", p), s.Domain); err != nil {
		return err
	}
	for key, value := range map[string]string{
		"site_name": "Lab network", "admin_email": "admin@" + s.Domain, "admin_user_id": "1", "registration": "none", "upload_space_check_disabled": "1",
		"site_admins": `a:1:{i:0;s:5:"admin";}`, "allowedthemes": `a:1:{s:17:"twentytwentythree";b:1;}`, "siteurl": s.URL + "/",
		"active_sitewide_plugins": sitewide(plugins("network", l.o.NetworkPlugins)), "ms_files_rewriting": "0", "WPLANG": "",
		"subdomain_install": map[bool]string{true: "1", false: ""}[s.Network == Subdomains], "blog_count": "2", "user_count": "1", "main_site": "1",
	} {
		if err := exec(fmt.Sprintf("INSERT INTO `%ssitemeta` (site_id, meta_key, meta_value) VALUES (1, ?, ?)", p), key, value); err != nil {
			return err
		}
	}
	for name, value := range map[string]string{
		"siteurl": strings.Replace(s.coreURL, s.URL, s.BlogURL(2), 1), "home": s.BlogURL(2), "blogname": "Lab blog 2",
		"active_plugins": serialised(plugins("blog", l.o.BlogPlugins)),
	} {
		if err := exec(fmt.Sprintf("UPDATE `%s2_options` SET option_value = ? WHERE option_name = ?", p), value, name); err != nil {
			return err
		}
	}
	return nil
}

// sitewide is active_sitewide_plugins in PHP's serialised form.
func sitewide(files []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "a:%d:{", len(files))
	for _, f := range files {
		fmt.Fprintf(&b, "s:%d:\"%s\";i:1700000000;", len(f), f)
	}
	return b.String() + "}"
}
