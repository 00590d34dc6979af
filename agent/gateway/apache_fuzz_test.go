package gateway

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

func checkApache(t *testing.T, g Gateway) {
	t.Helper()
	for _, v := range g.Vhosts {
		if v.Rules == nil {
			t.Error("a vhost of Apache's without rules would be read as nginx'")
		}
		if v.Root != "" && (v.Root[0] != '/' || v.Root != "/" && strings.HasSuffix(v.Root, "/")) {
			t.Errorf("root %q", v.Root)
		}
		for _, r := range v.Rules {
			if r.PHP >= len(v.PHP) || r.PHP < ModPHP {
				t.Errorf("rule %+v leads nowhere", r)
			}
		}
		for _, l := range v.Listens {
			if l.Port < 1 || l.Port > 65535 {
				t.Errorf("listen %+v", l)
			}
		}
		v.Serves("shop.example")
		v.Script("/a/")
		for _, script := range []string{"/index.php", "/a/b.php", "/.php"} {
			l, ok := v.Location(script)
			if ok && v.RunsModPHP(script) {
				t.Error("both a pool and Apache run a script")
			}
			if !ok {
				continue
			}
			if (len(l.Peers) == 0) != (l.Unknown != "") {
				t.Errorf("peers %v, unknown %q", l.Peers, l.Unknown)
			}
			params, err := l.Expand(Target{Scheme: "https", Host: "h", Method: "GET", URI: "/x?q", Script: script, Header: http.Header{"A": {"b"}}})
			if err == nil && !strings.HasSuffix(params["SCRIPT_NAME"], script) && l.Proxy.Fixups == nil {
				t.Errorf("parameters %v", params)
			}
		}
	}
}

const apacheSeed = `# In file: /etc/apache2/apache2.conf
#   1:
Listen 80
#   2:
Listen [::1]:443 https
#   3:
<VirtualHost *:80 [::1]:443>
  #   4:
  ServerName https://a.test:8443
  #   5:
  ServerAlias *.a.test w?[b* [ *
  #   6:
  DocumentRoot "/srv/a b/"
  <FilesMatch "\.php$">
    SetHandler "proxy:unix:/run/a \"b\".sock|fcgi://localhost"
    ProxyFCGISetEnvIf "true" A "$1"
  </FilesMatch>
  <DirectoryMatch "^/srv/(?!x)">
    AddType application/x-httpd-php .php
    php_admin_flag engine off
  </DirectoryMatch>
  <Location /p*[a-]>
    ProxyPass fcgi://[::1]:9000/x timeout=3 x
  </Location>
  ProxyPassMatch ^/(.*\.php)$ fcgi://h/$1&$9\$
  RewriteEngine on
  RewriteRule ^/x unix:/a|fcgi://b [P,L]
  RewriteCond %{SERVER_NAME} =a.test
  RewriteRule ^ https://%{SERVER_NAME} [END,R=301]
  SetEnv
  <If true>
    SetHandler none
  </If>
</VirtualHost>
`

// Law: no panic, and what comes out is whole: see checkApache.
func FuzzApacheDump(f *testing.F) {
	f.Add(apacheSeed, "php_module")
	f.Add("# In file: x\nProxyPass / balancer://b\n<Proxy fcgi://h>\nProxySet timeout=9\n</Proxy>\nServerTokens Minor\nListen 1-2\n", "ssl_module")
	f.Fuzz(func(t *testing.T, text, module string) {
		top, err := parseApacheDump([]byte(text))
		if err != nil {
			return
		}
		run := apacheRun{root: "/etc/apache2", main: "/etc/apache2/apache2.conf", modules: map[string]bool{module: true}, user: 33}
		checkApache(t, parseApache(top, run, "Apache/2.4.71 (Debian)"))
	})
}

// Law: what Apache says of itself is taken without a panic, and an include never leads above its depth.
func FuzzApacheRun(f *testing.F) {
	f.Add("Included configuration files:\n  (*) /a.conf\n    (3) /b.conf\n      (1) /c d.conf\nServerRoot: \"/etc/apache2\"\nMain ErrorLog: \"/x\"\nUser: name=\"www-data\" id=33\nLoaded Modules:\n core_module (static)\n php_module (shared)\n")
	f.Add("Included configuration files:\n      (1) /a\n  (*) \n  (*) /b\n    () /c\nUser: name=\"x\" id=99999999999\n")
	f.Fuzz(func(t *testing.T, text string) {
		run := parseApacheRun(text)
		for at, files := range run.includes {
			if at.file == "" && run.main != "" || len(files) == 0 {
				t.Errorf("include %+v: %q", at, files)
			}
		}
	})
}

// Law: any text in the place of the configuration's files gives an error or a whole Gateway, and reads nothing that
// Apache did not name.
func FuzzApacheFiles(f *testing.F) {
	f.Add(strings.ReplaceAll(apacheSeed, "# In file: /etc/apache2/apache2.conf\n", "Define X /srv\nInclude ${X}/y\n"), 2)
	f.Add("<IfModule !mod_x.c>\n<IfVersion >= 2.4>\nListen 80\\\n80\n</IfVersion>\n</IfModule>\n<IfDefine X>\n</IfDefine>\n<Macro A>\n</Macro>\nUnDefine X\n<IfFile /etc/passwd>\n</IfFile>", 1)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string, line int) {
		main, other := filepath.Join(dir, "main.conf"), filepath.Join(dir, "other.conf")
		write(t, main, text)
		write(t, other, "ServerName included.test\n")
		run := apacheRun{root: dir, main: main, modules: map[string]bool{"proxy_fcgi_module": true},
			includes: map[include][]string{{main, line}: {other}}}
		top, _, err := readApacheFiles(run, []string{"-D", "SPECIAL"}, []string{"A=b"}, "2.4.71")
		if err != nil {
			return
		}
		checkApache(t, parseApache(top, run, "Apache/2.4.71"))
	})
}

// A configuration that includes itself, or a FIFO in a file's place, ends with an error that names the file.
func TestApacheFilesAreBounded(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	main := filepath.Join(dir, "a.conf")
	write(t, main, "Include a.conf\n")
	run := apacheRun{root: dir, main: main, includes: map[include][]string{{main, 1}: {main}}}
	if _, _, err := readApacheFiles(run, nil, nil, ""); err == nil || !strings.Contains(err.Error(), main) {
		t.Errorf("a circle of includes: %v", err)
	}
	for what, text := range map[string]string{"nul": "\x00", "open": "<VirtualHost *:80>\n", "closed": "</VirtualHost>\n", "condition": "<IfModule x>\n",
		"deep": strings.Repeat("<Location />\n", maxDepth+1), "crossed": "<IfModule !x>\n<Location />\n</IfModule>\n"} {
		write(t, main, text)
		if _, _, err := readApacheFiles(apacheRun{main: main}, nil, nil, ""); err == nil || !strings.Contains(err.Error(), main) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var doubling strings.Builder
	doubling.WriteString("Define A0 xxxxxxxx\n")
	for i := range 64 {
		fmt.Fprintf(&doubling, "Define A%d ${A%d}${A%d}\n", i+1, i, i)
	}
	write(t, main, doubling.String())
	if _, _, err := readApacheFiles(apacheRun{main: main}, nil, nil, ""); err == nil || !strings.Contains(err.Error(), main) {
		t.Errorf("variables that double: %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	mkfifo(t, fifo)
	for _, name := range []string{fifo, dir, filepath.Join(dir, "none")} {
		if _, _, err := readApacheFiles(apacheRun{main: name}, nil, nil, ""); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseApacheDump([]byte("# In file: x\n" + strings.Repeat("<a>\n", maxDepth+1))); err == nil {
		t.Error("a dump nested too deep is taken")
	}
	if _, err := parseApacheDump([]byte("Syntax OK\n")); err == nil {
		t.Error("what is no dump is taken for one")
	}
}

// What the rules of the panels look like: which listener, name and handler follow.
func TestApachePure(t *testing.T) {
	t.Parallel()
	parse := func(conf string, modules ...string) Gateway {
		top, err := parseApacheDump([]byte("# In file: /c\n" + conf))
		if err != nil {
			t.Fatal(err)
		}
		run := apacheRun{root: "/etc/apache2", main: "/c", docRoot: "/var/www/html", modules: map[string]bool{}, user: 33}
		for _, m := range modules {
			run.modules[m] = true
		}
		return parseApache(top, run, "Apache/2.4.71 (Debian)")
	}
	g := parse("Listen 80\nListen 443\nListen 10.0.0.1:8080\n<VirtualHost *:80>\nServerName a.test\nSSLEngine off\n</VirtualHost>\n"+
		"<VirtualHost *:443>\nServerName a.test\nSSLCertificateFile x\n</VirtualHost>\n<VirtualHost 10.0.0.2:80>\nServerName b.test\n</VirtualHost>\n"+
		"<VirtualHost *:443>\nServerName c.test\nSSLEngine on\nRemoteIPProxyProtocol On\n</VirtualHost>\n", "ssl_module")
	var got []string
	for _, v := range g.Vhosts {
		got = append(got, fmt.Sprintf("%q %v", v.Names, v.Listens))
	}
	want := []string{
		`["a.test"] [{ 80 false false true }]`,
		`["a.test"] [{ 443 true false true }]`,
		`["b.test"] [{10.0.0.2 80 false false true }]`,
		`["c.test"] [{ 443 true true false }]`,
		`[] [{10.0.0.1 8080 false false true }]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("listeners:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	itk := parse("Listen 80\nAddHandler php-script .php\n", "php_module", "mpm_itk_module")
	if itk.Vhosts[0].ModPHP || len(itk.Problems) != 1 {
		t.Errorf("whom mpm_itk runs PHP as is taken for known: %q", itk.Problems)
	}

	for conf, redirects := range map[string]bool{
		"Redirect 301 / https://a.test/":                           true,
		"Redirect /blog https://a.test/":                           false,
		"RedirectMatch ^/(.*)$ https://a.test/$1":                  true,
		"RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301]": false,
		"RewriteEngine On\nRewriteCond %{HTTPS} off\nRewriteRule ^(.*)$ https://%{HTTP_HOST}%{REQUEST_URI} [L,R=301]":                                                                true,
		"RewriteEngine On\nRewriteCond %{HTTP_HOST} ^www\nRewriteRule ^ https://a.test [R]":                                                                                          false,
		"RewriteEngine On\nRewriteCond %{SERVER_NAME} =www.a.test [OR]\nRewriteCond %{SERVER_NAME} =a.test\nRewriteRule ^ https://%{SERVER_NAME}%{REQUEST_URI} [END,NE,R=permanent]": true,
		"RewriteEngine On\nRewriteCond %{SERVER_NAME} =www.a.test\nRewriteRule ^ https://a.test [R=301]":                                                                             false,
		"RewriteEngine On\nRewriteRule ^ https://a.test [R=301]\nSSLEngine on":                                                                                                       true,
		"RewriteEngine On\nRewriteCond %{HTTPS} !=on\nRewriteRule ^ https://a.test [R=301]\nSSLEngine on":                                                                            false,
	} {
		v := parse("Listen 80\n<VirtualHost *:80>\nServerName a.test\nServerAlias www.a.test\n" + conf + "\n</VirtualHost>\n").Vhosts[0]
		if (v.Returns != "") != redirects {
			t.Errorf("%q redirects everything: %v, want %v", conf, !redirects, redirects)
		}
	}

	for conf, want := range map[string]string{
		"AddType application/x-httpd-php .php":                                                                 "mod_php",
		"AddHandler php-script php":                                                                            "mod_php",
		"AddHandler php-script .php\n<Files x.php>\nSetHandler None\n</Files>":                                 "mod_php",
		"AddHandler php-script .php\nphp_admin_value engine 0":                                                 "none",
		"AddHandler php-script .php\n<Directory /var/www/html/wp>\nphp_flag engine off\n</Directory>":          "mod_php",
		"SetHandler default-handler\nAddHandler php-script .php":                                               "none",
		"SetHandler \"expr=proxy:unix:/a|fcgi://b\"":                                                           "none",
		"AddHandler php-script .php\nRemoveHandler .php":                                                       "none",
		"ProxyPassMatch \\.php$ fcgi://127.0.0.1:9000/":                                                        "127.0.0.1:9000",
		"ProxyPass / http://127.0.0.1:8080/\nAddHandler php-script .php":                                       "none",
		"<Location /index.php>\nProxyPass fcgi://[::1]/x\n</Location>":                                         "[::1]:8000",
		"RewriteEngine on\nRewriteRule ^/(.*\\.php)$ fcgi://127.0.0.1:9000/$1 [P]\nAddHandler php-script .php": "none",
		"ProxyPass / balancer://pool/":                                                                         "unknown",
		"SetHandler proxy:unix:relative.sock|fcgi://x":                                                         "unknown",
	} {
		v := parse("Listen 80\n"+conf+"\n", "php_module").Vhosts[0]
		got := "none"
		if v.ModPHP {
			got = "mod_php"
		}
		if l, ok := v.Location("/index.php"); ok {
			if got = "unknown"; l.Unknown == "" {
				got = l.Peers[0].Addr
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", conf, got, want)
		}
	}
}
