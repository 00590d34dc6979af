package evidence

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

// hosting is a host with three sites: two on one pool, one of them behind Apache.
func hosting() []site.Site {
	users := map[string][]string{"/log/shop": shop.Vhosts[0].Names, "/log/all": {"shop.example", "bank.example"}}
	pool := fpm.Pool{Name: "www"}
	master := fpm.Master{ErrorLog: "/log/fpm"}
	v := shop.Vhosts[0]
	v.AccessLogs, v.ErrorLogs = []string{"/log/shop", "/log/all"}, []string{"/log/nginx"}
	bank := gateway.Vhost{Names: []string{"bank.example"}, Listens: v.Listens, AccessLogs: []string{"/log/all"}, ErrorLogs: []string{"/log/nginx"}}
	cafe := gateway.Vhost{Names: []string{"cafe.example"}, Listens: v.Listens, ErrorLogs: []string{"/log/apache"}}
	pool.Directives = []fpm.Directive{{Key: "php_admin_value[error_log]", Value: "/log/php"}}
	nginx := gateway.Gateway{Kind: "nginx", LogUsers: users}
	apache := gateway.Gateway{Kind: "apache", LogUsers: map[string][]string{"/log/apache": {"cafe.example"}}}
	return []site.Site{
		{ID: "shop", Domain: "shop.example", Root: "/srv/shop", Vhosts: []gateway.Vhost{v}, Gateway: nginx, Master: master, Pool: pool},
		{ID: "bank", Domain: "bank.example", Root: "/srv/bank", Vhosts: []gateway.Vhost{bank}, Gateway: nginx, Master: master, Pool: pool},
		{ID: "cafe", Domain: "cafe.example", Root: "/srv/cafe", Vhosts: []gateway.Vhost{cafe}, Gateway: apache, Master: master, Pool: fpm.Pool{Name: "cafe"}},
	}
}

// said are the symptoms of all that is known of one file.
func said(t *testing.T, file, text string) []string {
	t.Helper()
	got := []string{}
	known := false
	for _, l := range Logs(hosting()) {
		if l.File != file {
			continue
		}
		known = true
		for _, y := range l.Symptoms([]byte(text), now.Add(-15*time.Minute)) {
			u := "-"
			if y.URL != nil {
				u = y.URL.String()
			}
			got = append(got, strings.Join(strings.Fields(strings.Join([]string{y.Site, u, y.Request, y.What}, " ")), " "))
			if y.Source != file || y.Time.After(time.Now()) || y.Time.Before(now.Add(-15*time.Minute)) {
				t.Errorf("symptom %+v", y)
			}
		}
	}
	if !known {
		t.Fatalf("%s is not followed", file)
	}
	return got
}

func TestLogsOfSites(t *testing.T) {
	t.Parallel()
	var files []string
	for _, l := range Logs(hosting()) {
		files = append(files, fmt.Sprint(l.File, " ", len(l.sites)))
	}
	want := []string{"/log/all 2", "/log/apache 1", "/log/fpm 2", "/log/fpm 1", "/log/nginx 2", "/log/php 2", "/log/shop 1"}
	slices.Sort(files)
	slices.Sort(want)
	if d := cmp.Diff(want, files); d != "" {
		t.Error(d)
	}
}

func TestSymptoms(t *testing.T) {
	t.Parallel()
	m := time.Minute
	stamp := now.Format("02-Jan-2006 15:04:05")
	apacheStamp := now.Format("[Mon Jan 02 15:04:05.000000 2006] ")
	fatal := `PHP message: PHP Fatal error:  Uncaught Error: x in %s:3`
	for file, c := range map[string]struct {
		text string
		want []string
	}{
		"/log/shop": {
			accessLine(0, "GET /fine/", 200, 900) + accessLine(0, "GET /shop/?a=1", 502, 157) + accessLine(0, "GET /shop/?wpmend=OURS", 502, 157) + accessLine(0, "POST /checkout/?key=x", 500, 0) +
				accessLine(0, "GET /wp-json/wp/v2/posts/1?_method=DELETE", 500, 0) + accessLine(0, "GET /empty/", 200, 0) + accessLine(0, "GET /wp-cron.php", 200, 0) + accessLine(0, "HEAD /", 200, 0) +
				accessLine(0, "GET /gone/", 404, 0) + accessLine(0, "GET /slow/", 504, 160) + accessLine(0, "GET /busy/", 503, 160) + accessLine(20*m, "GET /old/", 502, 157) + accessLine(-m, "GET /ahead/", 502, 1) + "junk\x00\xff\n",
			[]string{"shop https://shop.example/shop/?a=1 GET /shop/ answered 502", "shop - POST /checkout/ answered 500", "shop - GET answered 500", "shop https://shop.example/empty/ GET /empty/ answered an empty page",
				"shop https://shop.example/slow/ GET /slow/ answered 504", "shop https://shop.example/busy/ GET /busy/ answered 503", "shop https://shop.example/ahead/ GET /ahead/ answered 502"},
		},
		"/log/all": {
			"shop.example:80 " + accessLine(0, "GET /a/", 502, 1) + "bank.example:80 " + accessLine(0, "GET /b/", 502, 1) + "evil.example:80 " + accessLine(0, "GET /c/", 502, 1) + accessLine(0, "GET /whose/", 502, 1),
			[]string{"shop https://shop.example/a/ GET /a/ answered 502", "bank https://bank.example/b/ GET /b/ answered 502"},
		},
		"/log/nginx": {
			errorLine(0, "bank.example", "GET /x/", "upstream timed out (110: Connection timed out)") + errorLine(0, "evil.example", "GET /y/", "upstream timed out (110: Connection timed out)") +
				errorLine(0, "shop.example", "GET /w/", `FastCGI sent in stderr: "PHP message: PHP Warning:  x in /a.php on line 1"`) +
				errorLine(0, "shop.example", "GET /f/", `FastCGI sent in stderr: "`+fmt.Sprintf(fatal, "/srv/shop/a.php")+"\nStack trace:\n#0 {main}\n"+`  thrown in /srv/shop/a.php on line 3"`),
			[]string{"bank https://bank.example/x/ GET /x/ answered 504", "shop https://shop.example/f/ GET /f/ answered 500"},
		},
		"/log/apache": {
			apacheStamp + "[proxy_fcgi:error] [pid 7] [client 10.0.0.1:1] (70014)End of file found: AH01075: Error dispatching request to : \n" +
				apacheStamp + "[proxy_fcgi:error] [pid 7] [client 10.0.0.1:1] AH01071: Got error 'PHP message: PHP Warning:  x in /srv/cafe/a.php on line 1'\n" +
				apacheStamp + "[proxy_fcgi:error] [pid 7] [client 10.0.0.1:1] AH01071: Got error '" + fmt.Sprintf(fatal, "/usr/share/core.php") + "'\n" +
				apacheStamp + "[core:notice] [pid 7] AH00094: Command line: '/usr/sbin/apache2'\n",
			[]string{"cafe - AH01075 in Apache's log", "cafe - a fatal error of PHP"},
		},
		"/log/fpm": {
			"[" + stamp + "] WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.250000 seconds from start\n" +
				"[" + stamp + "] WARNING: [pool cafe] server reached pm.max_children setting (5), consider raising it\n" +
				"[" + stamp + "] WARNING: [pool www] child 12 exited on signal 15 (SIGTERM) after 3.250000 seconds from start\n" +
				"[" + stamp + "] NOTICE: [pool www] child 12 exited with code 0 after 3.250000 seconds from start\n" +
				"[" + stamp + "] WARNING: [pool www] child 19, script '/srv/bank/index.php' (request: \"POST /u\") execution timed out (6.150000 sec), terminating\n" +
				"[" + stamp + "] WARNING: [pool www] child 19, script '/srv/bank/index.php' (request: \"POST /u\") executing too slow (6.150000 sec), logging\n",
			[]string{"shop - a worker ended by signal 11", "bank - a worker ended by signal 11", "bank - a request was terminated for its time", "cafe - all 5 workers of the pool are busy"},
		},
		"/log/php": {
			"[" + now.UTC().Format("02-Jan-2006 15:04:05") + " UTC] PHP Fatal error:  x in /srv/bank/a.php on line 1\n[" + now.UTC().Format("02-Jan-2006 15:04:05") + " UTC] PHP Warning:  x in /srv/shop/a.php on line 1\n" +
				"[" + now.UTC().Format("02-Jan-2006 15:04:05") + " UTC] PHP Fatal error:  x in /usr/share/core.php on line 1\n",
			[]string{"bank - a fatal error of PHP"},
		},
	} {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			got := said(t, file, c.text)
			if file == "/log/fpm" { // the cafe's gateway is another, so its log is listed by itself
				slices.Sort(got)
				slices.Sort(c.want)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A flood is told by its beginning, one of hosts without an end too.
func TestSymptomsOfAFlood(t *testing.T) {
	t.Parallel()
	var own, hosts strings.Builder
	for i := range 5000 {
		own.WriteString(accessLine(0, fmt.Sprintf("GET /p/%d/", i), 502, 1))
		fmt.Fprintf(&hosts, "h%d.example:80 %s", i, accessLine(0, "GET /", 502, 1))
	}
	if n := len(said(t, "/log/shop", own.String())); n != siteSymptoms {
		t.Errorf("%d symptoms, want %d", n, siteSymptoms)
	}
	if got := said(t, "/log/all", hosts.String()); len(got) != 0 {
		t.Errorf("symptoms of nobody's hosts: %v", got)
	}
}

// Whatever stands in a log: what it makes wpmend ask belongs to a site of the log,
// and its own probes are no symptoms.
func FuzzSymptoms(f *testing.F) {
	f.Add([]byte(accessLine(0, "GET /shop/", 502, 1)))
	f.Add([]byte("bank.example:80 " + accessLine(0, "GET http://bank.example/x?wpmend=A", 500, 0)))
	f.Add([]byte(errorLine(0, "bank.example", "GET /x/", "upstream timed out (110: Connection timed out)")))
	f.Add([]byte("[22-Nov-2026 10:00:00] WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.250000 seconds from start\n"))
	f.Add([]byte("[22-Nov-2026 10:00:00 UTC] PHP Fatal error:  x in /srv/bank/a.php on line 1\n"))
	sites := map[string]site.Site{}
	for _, s := range hosting() {
		sites[s.ID] = s
	}
	logs := Logs(hosting())
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, l := range logs {
			told := map[string]int{}
			for _, y := range l.Symptoms(text, time.Time{}) {
				s, known := sites[y.Site]
				if !known || y.Source != l.File || y.What == "" {
					t.Fatalf("symptom %+v", y)
				}
				if told[y.Site]++; told[y.Site] > siteSymptoms {
					t.Fatalf("more than %d symptoms of %s", siteSymptoms, y.Site)
				}
				if y.URL == nil {
					continue
				}
				again, err := url.Parse(y.URL.String())
				if err != nil || !s.Serves(again.Hostname()) || probe.Nonce(again) != "" || strings.ContainsFunc(y.Request, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Fatalf("asks %s for %s (%q)", y.URL, y.Site, y.Request)
				}
			}
		}
	})
}

func BenchmarkSymptoms(b *testing.B) {
	text := []byte(strings.Repeat(strings.Repeat(accessLine(0, "GET /shop/page/?a=1", 200, 5120), 99)+accessLine(0, "GET /shop/", 502, 157), 40))
	for _, l := range Logs(hosting()) {
		if l.File != "/log/shop" {
			continue
		}
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if n := len(l.Symptoms(text, now.Add(-time.Hour))); n != siteSymptoms {
				b.Fatal(n)
			}
		}
	}
}
