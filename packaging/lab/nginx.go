package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const nginxBinary = "/usr/sbin/nginx"

// NginxConfig is the path of nginx's configuration.
func (l *Lab) NginxConfig() string { return filepath.Join(l.Dir, "nginx", "nginx.conf") }

// NginxErrorLog is the path of a site's error log.
func (l *Lab) NginxErrorLog(site int) string {
	return filepath.Join(l.Dir, "logs", l.sites[site].Domain+".error.log")
}

// NginxAccessLog is the path of a site's access log.
func (l *Lab) NginxAccessLog(site int) string {
	return filepath.Join(l.Dir, "logs", l.sites[site].Domain+".access.log")
}

// NginxMaster returns the pid of nginx's master; 0: it does not run.
func (l *Lab) NginxMaster() int {
	if d := l.daemon("nginx"); d.alive() {
		return d.pid
	}
	return 0
}

func (l *Lab) startNginx() error {
	dir := filepath.Dir(l.NginxConfig())
	if err := os.MkdirAll(filepath.Join(dir, "sites"), 0o755); err != nil {
		return fmt.Errorf("cannot configure nginx: %w", err)
	}
	if l.o.TLS {
		if err := l.writeCertificate(dir); err != nil {
			return fmt.Errorf("cannot make the lab's certificate: %w", err)
		}
	}
	files := map[string]string{l.NginxConfig(): l.nginxMain(), filepath.Join(dir, "fastcgi.conf"): nginxFastCGI}
	for i, s := range l.sites {
		files[filepath.Join(dir, "sites", s.Domain+".conf")] = l.nginxSite(i)
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return fmt.Errorf("cannot configure nginx: %w", err)
		}
	}
	return l.StartGateway()
}

// nginxMain is what Debian's nginx.conf is, with every path inside the lab.
func (l *Lab) nginxMain() string {
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "\t%s_temp_path %s/tmp/nginx-%s;\n", kind, l.Dir, kind)
	}
	return `user www-data;
worker_processes 1;
pid ` + l.Dir + `/run/nginx.pid;
error_log ` + l.Dir + `/logs/nginx.error.log;

events {
	worker_connections 256;
}

http {
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	sendfile on;
	server_names_hash_bucket_size 128;
	access_log ` + l.Dir + `/logs/nginx.access.log;
` + temp.String() + `	include ` + filepath.Dir(l.NginxConfig()) + `/sites/*.conf;
}
`
}

// nginxFastCGI is Debian's fastcgi.conf, kept here so that an edit of the host's
// does not change a test.
const nginxFastCGI = `fastcgi_param  SCRIPT_FILENAME    $document_root$fastcgi_script_name;
fastcgi_param  QUERY_STRING       $query_string;
fastcgi_param  REQUEST_METHOD     $request_method;
fastcgi_param  CONTENT_TYPE       $content_type;
fastcgi_param  CONTENT_LENGTH     $content_length;

fastcgi_param  SCRIPT_NAME        $fastcgi_script_name;
fastcgi_param  REQUEST_URI        $request_uri;
fastcgi_param  DOCUMENT_URI       $document_uri;
fastcgi_param  DOCUMENT_ROOT      $document_root;
fastcgi_param  SERVER_PROTOCOL    $server_protocol;
fastcgi_param  REQUEST_SCHEME     $scheme;
fastcgi_param  HTTPS              $https if_not_empty;

fastcgi_param  GATEWAY_INTERFACE  CGI/1.1;
fastcgi_param  SERVER_SOFTWARE    nginx/$nginx_version;

fastcgi_param  REMOTE_ADDR        $remote_addr;
fastcgi_param  REMOTE_PORT        $remote_port;
fastcgi_param  REMOTE_USER        $remote_user;
fastcgi_param  SERVER_ADDR        $server_addr;
fastcgi_param  SERVER_PORT        $server_port;
fastcgi_param  SERVER_NAME        $server_name;

# PHP only, required if PHP was built with --enable-force-cgi-redirect
fastcgi_param  REDIRECT_STATUS    200;
`

func (l *Lab) nginxSite(i int) string {
	s := l.sites[i]
	pass, upstream := s.Socket, ""
	if filepath.IsAbs(s.Socket) {
		pass = "unix:" + s.Socket
	}
	if l.o.Upstream {
		upstream = fmt.Sprintf("upstream %s {\n\tserver %s;\n}\n\n", s.Pool, pass)
		pass = s.Pool
	}
	tls := ""
	if l.o.TLS {
		dir := filepath.Dir(l.NginxConfig())
		tls = fmt.Sprintf("\tlisten %s:443 ssl;\n\tssl_certificate %s/lab.crt;\n\tssl_certificate_key %s/lab.key;\n", l.Address, dir, dir)
	}
	base := strings.TrimSuffix("/"+l.o.Subfolder, "/")
	subfolder := ""
	if base != "" {
		subfolder = fmt.Sprintf("\n\tlocation %s/ {\n\t\ttry_files $uri $uri/ %s/index.php?$args;\n\t}\n", base, base)
	}
	return upstream + `server {
	listen ` + l.Address + `:80;
` + tls + `	server_name ` + strings.Join(s.names(), " ") + `;
	root ` + s.DocRoot + `;
	index index.php index.html;
	error_log ` + l.NginxErrorLog(i) + `;
	access_log ` + l.NginxAccessLog(i) + `;

	location / {
		try_files $uri $uri/ /index.php?$args;
	}
` + subfolder + s.nginxNetwork() + `
	location ~ \.php$ {
		try_files $uri =404;
		include ` + filepath.Dir(l.NginxConfig()) + `/fastcgi.conf;
		fastcgi_index index.php;
		fastcgi_pass ` + pass + `;
	}
}
`
}

// names are the site's hosts.
func (s Site) names() []string {
	names := []string{s.Domain, "www." + s.Domain}
	if s.Network == Subdomains {
		names = append(names, "*."+s.Domain)
	}
	return names
}

// nginxNetwork leads the files of a blog in a folder to the one copy there is, as
// WordPress' own guide for networks on nginx has it.
func (s Site) nginxNetwork() string {
	if s.Network != Subfolders {
		return ""
	}
	core := strings.TrimPrefix(s.Core, s.DocRoot)
	return fmt.Sprintf(`
	if (!-e $request_filename) {
		rewrite /wp-admin$ $scheme://$host$request_uri/ permanent;
		rewrite ^(/[^/]+)?(/wp-(?:admin|includes|content)/.*) %[1]s$2 last;
		rewrite ^(/[^/]+)?(/wp-[^/]+\.php)$ %[1]s$2 last;
	}
`, core)
}

// writeCertificate puts one self-signed certificate for all sites of the lab into dir.
func (l *Lab) writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: l.sites[0].Domain},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
	for _, s := range l.sites {
		cert.DNSNames = append(cert.DNSNames, s.names()...)
	}
	certDER, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER})
	if err := os.WriteFile(filepath.Join(dir, "lab.crt"), certPEM, 0o644); err != nil {
		return err
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return os.WriteFile(filepath.Join(dir, "lab.key"), keyPEM, 0o600)
}
