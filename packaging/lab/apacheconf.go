package lab

import (
	"fmt"
	"path/filepath"
	"strings"
)

// apacheUser is whom Apache's children run as: with mod_php they run the sites'
// code, so it is the sites' user; else www-data, as Debian has it.
func (l *Lab) apacheUser() (user, group string) {
	if l.o.Handler != ModPHP {
		return "www-data", "www-data"
	}
	return userName(l.uid), groupName(l.gid)
}

// apacheMain is what Debian's apache2.conf is, with every path inside the lab.
func (l *Lab) apacheMain() string {
	modules := []string{"authz_core", "authn_core", "alias", "dir", "mime", "rewrite", "setenvif", "env", "reqtimeout"}
	user, group := l.apacheUser()
	php := ""
	if l.o.Handler == ModPHP {
		modules = append([]string{"mpm_prefork"}, modules...)
		n := l.o.MaxChildren
		php = fmt.Sprintf(`LoadModule php_module %s
PHPIniDir %s
StartServers %d
MinSpareServers 1
MaxSpareServers %d
MaxRequestWorkers %d
ServerLimit %d
<FilesMatch ".+\.ph(?:ar|p|tml)$">
	SetHandler application/x-httpd-php
</FilesMatch>
`, modPHP, filepath.Dir(l.ApacheConfig()), min(3, n), n, n, n)
	} else {
		modules = append([]string{"mpm_event"}, append(modules, "proxy", "proxy_fcgi")...)
		php = "StartServers 1\nServerLimit 1\nThreadsPerChild 32\nThreadLimit 32\nMinSpareThreads 1\nMaxSpareThreads 32\nMaxRequestWorkers 32\n"
	}
	if l.o.TLS {
		modules = append(modules, "socache_shmcb", "ssl")
	}
	var load strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&load, "LoadModule %s_module %smod_%s.so\n", m, apacheModules, m)
	}
	listen := "Listen " + l.Address + ":80\n"
	if l.o.TLS {
		listen += "Listen " + l.Address + ":443\n"
	}
	return `ServerRoot "` + filepath.Dir(l.ApacheConfig()) + `"
ServerName localhost
DefaultRuntimeDir "` + l.Dir + `/run"
PidFile "` + l.Dir + `/run/apache.pid"
Timeout 300
KeepAlive On
KeepAliveTimeout 5
LogLevel warn
ErrorLog "` + l.ApacheServerLog() + `"
` + load.String() + `User ` + user + `
Group ` + group + `
` + listen + `TypesConfig /etc/mime.types
DirectoryIndex index.php index.html
AccessFileName .htaccess
<FilesMatch "^\.ht">
	Require all denied
</FilesMatch>
<Directory />
	Options FollowSymLinks
	AllowOverride None
	Require all denied
</Directory>
<Directory "` + l.Dir + `/www">
	Options FollowSymLinks
	AllowOverride All
	Require all granted
</Directory>
LogFormat "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"" vhost_combined
` + php + `IncludeOptional sites/*.conf
`
}

func (l *Lab) apacheSite(i int) string {
	s := l.sites[i]
	handler := ""
	if l.o.Handler == FPM {
		to := "proxy:fcgi://" + s.Socket
		if filepath.IsAbs(s.Socket) {
			to = "proxy:unix:" + s.Socket + "|fcgi://localhost"
		}
		handler = fmt.Sprintf("\t<FilesMatch \"\\.php$\">\n\t\tSetHandler %q\n\t</FilesMatch>\n", to)
	}
	body := `	ServerName ` + s.Domain + `
	ServerAlias www.` + s.Domain + `
	DocumentRoot "` + s.DocRoot + `"
	ErrorLog "` + l.ApacheErrorLog(i) + `"
	CustomLog "` + l.ApacheAccessLog(i) + `" vhost_combined
` + handler
	text := "<VirtualHost " + l.Address + ":80>\n" + body + "</VirtualHost>\n"
	if l.o.TLS {
		dir := filepath.Dir(l.ApacheConfig())
		text += "<VirtualHost " + l.Address + ":443>\n" + body +
			fmt.Sprintf("\tSSLEngine on\n\tSSLCertificateFile \"%s/lab.crt\"\n\tSSLCertificateKeyFile \"%s/lab.key\"\n", dir, dir) +
			"</VirtualHost>\n"
	}
	return text
}
