package gateway

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// hosting is the dump of a host with n WordOps-like sites, each in a file of its own.
func hosting(b *testing.B, n int) []byte {
	b.Helper()
	params, err := os.ReadFile("/etc/nginx/fastcgi_params")
	if err != nil {
		b.Fatal(err)
	}
	files := []string{"/etc/nginx/nginx.conf", "error_log /var/log/nginx/error.log;\nhttp {\n upstream php { server unix:/run/php/a.sock; }\n include sites-enabled/*;\n}"}
	for i := range n {
		files = append(files, fmt.Sprintf("/etc/nginx/sites-enabled/site%04d.example", i), strings.ReplaceAll(`server {
	server_name NAME www.NAME;
	listen 443 ssl http2;
	listen [::]:443 ssl http2;
	access_log /var/log/nginx/NAME.access.log;
	error_log /var/log/nginx/NAME.error.log;
	root /var/www/NAME/htdocs;
	index index.php index.html;
	include common/php.conf;
	include /var/www/NAME/conf/nginx/*.conf;
}
server { listen 80; server_name NAME www.NAME; return 301 https://NAME$request_uri; }`, "NAME", fmt.Sprintf("site%04d.example", i)))
		if i == 0 {
			files = append(files, "/etc/nginx/common/php.conf", `location / { try_files $uri $uri/ /index.php$is_args$args; }
location ~ \.php$ { try_files $uri =404; include fastcgi_params; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; fastcgi_pass php; }
location ~ /\.(?!well-known\/) { deny all; }
location ~* \.(css|js|svg|jpe?g)$ { expires max; access_log off; }`, "/etc/nginx/fastcgi_params", string(params))
		}
	}
	return dumpOf(files...)
}

func BenchmarkParseNginx(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			text := hosting(b, n)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				g, err := ParseNginx(text, "/usr/share/nginx")
				if err != nil || len(g.Vhosts) != 2*n || len(g.Problems) != 0 {
					b.Fatal(err, len(g.Vhosts), g.Problems)
				}
			}
		})
	}
}

func BenchmarkLocation(b *testing.B) {
	g, err := ParseNginx(hosting(b, 1), "/usr/share/nginx")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, ok := g.Vhosts[0].Location("/index.php"); !ok {
			b.Fatal("none")
		}
	}
}

func benchmarkScan(b *testing.B, record string) {
	text := strings.Repeat(record, 10<<20/len(record))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		n := 0
		if err := ScanNginxLog(strings.NewReader(text), time.UTC, func(LogRecord) bool { n++; return true }); err != nil || n == 0 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkScanNginxLog(b *testing.B) {
	b.Run("mixed", func(b *testing.B) {
		benchmarkScan(b, `2026/11/22 20:59:13 [crit] 12#13: *7 connect() to unix:/run/php/a.sock failed (2: No such file or directory) while connecting to upstream, client: 192.0.2.1, server: a.example, request: "GET /?p=1 HTTP/1.1", upstream: "fastcgi://unix:/run/php/a.sock:", host: "a.example"
2026/11/22 20:59:13 [error] 12#12: *7 FastCGI sent in stderr: "PHP message: PHP Fatal error:  Uncaught Error: x in /a/b.php:3
Stack trace:
#0 /a/c.php(12): f()
#1 {main}
  thrown in /a/b.php on line 3" while reading response header from upstream, client: 1.1.1.1, server: a, request: "GET / HTTP/1.1", upstream: "fastcgi://unix:/a:", host: "a"
`)
	})
	b.Run("hostile", func(b *testing.B) {
		benchmarkScan(b, "2026/11/22 20:59:13 [error] 1#1: \""+strings.Repeat(", client: a, server: b, request: \"", 250)+"\n")
	})
}

func BenchmarkScanAccess(b *testing.B) {
	text := strings.Repeat(`192.0.2.1 - - [22/Nov/2026:20:59:13 +0100] "GET /shop/?p=12 HTTP/1.1" 200 17326 "https://a.example/" "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
2001:db8::7 - bob [22/Nov/2026:20:59:14 +0100] "POST /wp-admin/admin-ajax.php HTTP/2.0" 502 150 "-" "curl/8.1"
`, 40<<10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		n := 0
		if err := ScanAccess(strings.NewReader(text), time.UTC, func(AccessRecord) bool { n++; return true }); err != nil || n == 0 {
			b.Fatal(n, err)
		}
	}
}
