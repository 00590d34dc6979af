package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

// now is a whole second, as logs have it.
var now = time.Now().Truncate(time.Second)

func accessLine(ago time.Duration, request string, status, size int) string {
	return fmt.Sprintf("1.2.3.4 - - [%s] \"%s HTTP/1.1\" %d %d \"-\" \"-\"\n", now.Add(-ago).Format("02/Jan/2006:15:04:05 -0700"), request, status, size)
}

func errorLine(ago time.Duration, server, request, message string) string {
	return fmt.Sprintf("%s [error] 1#1: *1 %s while reading response header from upstream, client: 1.2.3.4, server: %s, request: \"%s HTTP/1.1\", upstream: \"fastcgi://unix:/a.sock:\", host: \"%s\"\n",
		now.Add(-ago).Format("2006/01/02 15:04:05"), message, server, request, server)
}

// logged is the shop with logs of its own and one that all vhosts share.
func logged(t *testing.T, own, shared, errors string) site.Site {
	t.Helper()
	dir := t.TempDir()
	s := shop
	s.Gateway = gateway.Gateway{Kind: "nginx", LogUsers: map[string][]string{
		dir + "/own": shop.Vhosts[0].Names, dir + "/shared": {"shop.example", "bank.example"}}}
	v := shop.Vhosts[0]
	v.AccessLogs, v.ErrorLogs = []string{dir + "/own", dir + "/shared"}, []string{dir + "/errors"}
	s.Vhosts = []gateway.Vhost{v}
	for name, text := range map[string]string{"own": own, "shared": shared, "errors": errors} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func words4(found []FailingURL) []string {
	got := []string{}
	for _, f := range found {
		got = append(got, fmt.Sprintf("%s %d ×%d %s", f.URL.RequestURI(), f.Status, f.Count, filepath.Base(f.Source)))
	}
	return got
}

func TestFailing(t *testing.T) {
	t.Parallel()
	m := time.Minute
	timeout := "upstream timed out (110: Connection timed out)"
	own := accessLine(9*m, "GET /fine/", 200, 900) + accessLine(9*m, "GET /shop/", 502, 157) + accessLine(8*m, "GET /shop/", 502, 157) + accessLine(7*m, "HEAD /shop/", 502, 0) +
		accessLine(3*m, "GET /once/?utm_source=x", 500, 0) + accessLine(3*m, "POST /checkout/", 500, 0) + accessLine(2*m, "GET /empty/", 200, 0) +
		accessLine(2*m, "GET /wp-cron.php?doing_wp_cron=1", 200, 0) + accessLine(2*m, "HEAD /", 200, 0) + accessLine(2*m, "GET /logo.png", 502, 157) +
		accessLine(2*m, "GET /xmlrpc.php", 502, 157) + accessLine(2*m, "GET /limited/", 503, 197) + accessLine(m, "GET /?add-to-cart=1", 502, 157) +
		accessLine(80*m, "GET /earlier/", 502, 157) + accessLine(80*m, "GET /earlier/", 502, 157) + accessLine(30*time.Hour, "GET /long-ago/", 502, 157) +
		accessLine(m, "GET /gone/", 404, 10) + "\x00\xff junk\n"
	shared := "shop.example:80 " + accessLine(m, "GET /named/", 502, 157) + accessLine(m, "GET /whose/", 502, 157) + "bank.example:80 " + accessLine(m, "GET /account/", 502, 157)
	errors := errorLine(8*m, "shop.example", "GET /shop/", timeout) + errorLine(2*m, "shop.example", "GET /feed.css", timeout) +
		errorLine(2*m, "shop.example", "GET /slow/", timeout) + errorLine(2*m, "bank.example", "GET /bank/", timeout) +
		errorLine(2*m, "shop.example", "GET /warned/", `FastCGI sent in stderr: "PHP message: PHP Warning:  x in /a.php on line 1"`) +
		errorLine(2*m, "shop.example", "GET /fatal/", `FastCGI sent in stderr: "PHP message: PHP Fatal error:  x in /a.php on line 1"`)
	s := logged(t, own, shared, errors)
	want := []string{
		"/shop/ 502 ×3 own", "/named/ 502 ×1 shared", "/empty/ 200 ×1 own", "/fatal/ 500 ×1 errors", "/slow/ 504 ×1 errors", "/once/ 500 ×1 own",
		"/earlier/ 502 ×2 own", // of an earlier trouble
		"/feed.css 504 ×1 errors", "/limited/ 503 ×1 own", "/xmlrpc.php 502 ×1 own",
	}
	found, err := Failing(s, now.Add(-24*time.Hour), 100)
	if d := cmp.Diff(want, words4(found)); d != "" || err != nil {
		t.Error(d, err)
	}
	if found, err := Failing(s, now.Add(-24*time.Hour), 2); err != nil || !slices.Equal(words4(found), want[:2]) {
		t.Errorf("%v, %v", words4(found), err)
	}
	if found, err := Failing(s, now, 100); err != nil || found == nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

// On Apache 503 is what 502 is on nginx: not what comes last.
func TestFailingBehindApache(t *testing.T) {
	t.Parallel()
	s := logged(t, accessLine(0, "GET /dead/", 503, 5)+accessLine(0, "GET /wp-login.php", 500, 5)+accessLine(0, "GET /wp-login.php", 500, 5), "", "")
	s.Gateway.Kind = "apache"
	found, err := Failing(s, now.Add(-time.Hour), 9)
	if d := cmp.Diff([]string{"/dead/ 503 ×1 own", "/wp-login.php 500 ×2 own"}, words4(found)); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestFailingReadsARotatedLogAndBoundsAFlood(t *testing.T) {
	t.Parallel()
	flood := strings.Builder{}
	for i := range 2 * maxURLs {
		flood.WriteString(accessLine(time.Minute, fmt.Sprintf("GET /nothing-%d/", i), 502, 0))
	}
	s := logged(t, flood.String()+accessLine(0, "GET /nothing-1/", 502, 0), "", "")
	old := s.Vhosts[0].AccessLogs[0] + ".1"
	if err := os.WriteFile(old, []byte(accessLine(2*time.Minute, "GET /before/", 502, 0)), 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := Failing(s, now.Add(-time.Hour), 3*maxURLs)
	if err != nil || len(found) != maxURLs || words4(found)[0] != "/nothing-1/ 502 ×2 own" ||
		!slices.ContainsFunc(found, func(f FailingURL) bool { return f.URL.Path == "/before/" }) {
		t.Errorf("%d of %d, %v, first %v", len(found), 2*maxURLs, err, words4(found)[0])
	}
}

// A log that leads elsewhere or blocks is an error that names it; the others count.
func TestFailingSurvivesHostileLogs(t *testing.T) {
	t.Parallel()
	s := logged(t, accessLine(0, "GET /shop/", 502, 157), "", "")
	shared := s.Vhosts[0].AccessLogs[1]
	if err := os.Remove(shared); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/shadow", shared); err != nil {
		t.Fatal(err)
	}
	found, err := Failing(s, now.Add(-time.Hour), 9)
	if len(found) != 1 || err == nil || !strings.Contains(err.Error(), shared) {
		t.Errorf("%v, %v", words4(found), err)
	}
}

func TestFirstFailure(t *testing.T) {
	t.Parallel()
	m := time.Minute
	for name, tc := range map[string]struct {
		log  string
		want time.Duration // ago; -1: none
	}{
		"down for ten minutes":                {accessLine(20*m, "GET /", 200, 9) + accessLine(10*m, "GET /", 502, 9) + accessLine(5*m, "POST /", 502, 9), 10 * m},
		"nobody came for hours":               {accessLine(400*m, "GET /", 200, 9) + accessLine(300*m, "GET /", 502, 9) + accessLine(5*m, "GET /", 502, 9), 300 * m},
		"an earlier trouble is over":          {accessLine(300*m, "GET /", 502, 9) + accessLine(200*m, "GET /", 200, 9) + accessLine(5*m, "GET /", 502, 9), 5 * m},
		"one URL, and others well in between": {accessLine(50*m, "GET /a", 502, 9) + accessLine(30*m, "GET /", 200, 9) + accessLine(5*m, "GET /a", 502, 9), 50 * m},
		"in disorder":                         {accessLine(5*m, "GET /", 502, 9) + accessLine(20*m, "GET /", 200, 9) + accessLine(10*m, "GET /", 502, 9), 10 * m},
		"all is well":                         {accessLine(20*m, "GET /", 200, 9), -1},
		"after the moment asked for":          {accessLine(-5*m, "GET /", 502, 9), -1},
	} {
		s := logged(t, tc.log, "", "")
		want := now.Add(-tc.want)
		if tc.want < 0 {
			want = time.Time{}
		}
		if got, err := firstFailure(s, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
}
