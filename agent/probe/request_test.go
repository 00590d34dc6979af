package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

func TestHeadHasNoBody(t *testing.T) {
	t.Parallel()
	s := listening(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead {
			t.Errorf("asked with %s", r.Method)
		}
		w.Header().Set("Content-Length", "5000")
	}))
	r := ByFrontRequest(context.Background(), s, Request{Target: Home(s), Method: http.MethodHead}, limits)
	if r.Outcome != Healthy || r.Status != 200 {
		t.Errorf("got %+v", r)
	}
	if o, _ := Judge(Answer{Status: 502, Head: true}); o != BadGateway {
		t.Errorf("502 is %s", o)
	}
}

func TestTheCookieStaysWithItsSite(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	got := map[string]string{}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got[r.Host+r.URL.Path] = r.Header.Get("Cookie")
		mu.Unlock()
		switch r.Host + r.URL.Path {
		case "shop.example/blog/":
			http.Redirect(w, r, "http://www.shop.example/blog/de/", http.StatusFound)
		case "www.shop.example/blog/de/":
			http.Redirect(w, r, "http://shop.example/shop/", http.StatusFound) // another WordPress of the same name
		case "shop.example/shop/":
			http.Redirect(w, r, "http://bank.example/", http.StatusFound)
		}
	})
	s := listening(t, server)
	s.Domain, s.Base = "shop.example/blog", "/blog"
	r := ByFrontRequest(context.Background(), s, Request{Target: Home(s), Cookie: "wordpress_logged_in_x=secret"}, limits)
	if r.Outcome != Unknown || !r.Aside() || strings.Contains(fmt.Sprint(r), "secret") {
		t.Errorf("%+v", r)
	}
	for at, want := range map[string]bool{"shop.example/blog/": true, "www.shop.example/blog/de/": true, "shop.example/shop/": false} {
		if cookie, asked := got[at]; !asked || strings.Contains(cookie, "secret") != want || !strings.Contains(cookie, "wordpress_no_cache=1") {
			t.Errorf("%s got %q", at, cookie)
		}
	}
	if len(got) != 3 {
		t.Errorf("asked %v", got)
	}
}

func TestMethodsAfterARedirect(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{301: "GET", 302: "GET", 303: "GET", 307: "POST", 308: "POST"} {
		s := listening(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				w.Header().Set("Location", "/to/?a=b")
				w.WriteHeader(status)
				return
			}
			if r.Method != want {
				t.Errorf("after %d asked with %s", status, r.Method)
			}
			io.WriteString(w, page)
		}))
		r := ByFrontRequest(context.Background(), s, Request{Target: Home(s), Method: "POST"}, limits)
		if r.Outcome != Healthy || r.URL != Home(s).JoinPath("to/").String()+"?a=b" {
			t.Errorf("after %d: %+v", status, r)
		}
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	t.Parallel()
	s := listening(t, serve(t, func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	for _, q := range []Request{
		{}, {Target: Home(s), Method: "get"}, {Target: Home(s), Method: "GET / HTTP/1.1\r\nX: y"}, {Target: Home(s), Method: strings.Repeat("A", 100)},
		{Target: Home(s), Cookie: "a=b\r\nX-Evil: 1"}, {Target: Home(s), Cookie: strings.Repeat("a", maxCookie+1)},
	} {
		for _, r := range []Result{ByFrontRequest(context.Background(), s, q, limits), ByPoolRequest(context.Background(), s, q, limits)} {
			if r.Outcome != Unknown || r.Detail == "" {
				t.Errorf("%+v: %+v", q, r)
			}
		}
	}
}

// pooled gives a site a pool that answers over FastCGI.
func pooled(t *testing.T, s site.Site, h http.HandlerFunc) site.Site {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l := listenUnix(t, socket)
	go func() { _ = fcgi.Serve(l, h) }()
	s.DocRoot, s.Root = t.TempDir(), ""
	s.Root = s.DocRoot
	s.Pool = fpm.Pool{Name: "www", Directives: []fpm.Directive{{Key: "listen", Value: socket}}}
	params := map[string]string{"SCRIPT_FILENAME": "$document_root$fastcgi_script_name", "REQUEST_METHOD": "$request_method",
		"REQUEST_URI": "$request_uri", "SERVER_PROTOCOL": "$server_protocol", "REQUEST_SCHEME": "$scheme"}
	for name, value := range params {
		s.Location.Params = append(s.Location.Params, gateway.Param{Name: name, Value: value})
	}
	return s
}

func TestBest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		front  int
		to     string
		pool   int
		judged Outcome
		route  Route
	}{
		"the front tells":             {200, "", 500, Healthy, Front},
		"the front fails":             {502, "", 200, BadGateway, Front},
		"a password":                  {401, "", 200, Healthy, Pool},
		"a password before a failure": {401, "", 500, Fatal, Pool},
		"a rate limit":                {429, "", 500, Fatal, Pool},
		"away from the site":          {302, "https://login.example/", 200, Healthy, Pool},
		"nobody knows":                {403, "", 302, Barred, Front},
	} {
		s := pooled(t, listening(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", tc.to)
			w.WriteHeader(tc.front)
			io.WriteString(w, page)
		})), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(tc.pool)
			io.WriteString(w, page)
		})
		front, judged := Best(context.Background(), s, Request{Target: Home(s)}, limits)
		if front.Route != Front || front.Status != tc.front || judged.Outcome != tc.judged || judged.Route != tc.route {
			t.Errorf("%s: front %+v\njudged %+v", name, front, judged)
		}
	}
}

func TestBestWithoutAPool(t *testing.T) {
	t.Parallel()
	s := listening(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }))
	if front, judged := Best(context.Background(), s, Request{Target: Home(s)}, limits); judged.Outcome != Barred || judged.Start != front.Start {
		t.Errorf("%+v", judged)
	}
	if r := ByPool(context.Background(), s, Home(s), limits); r.Outcome != Unknown || r.Signature != "no pool" {
		t.Errorf("%+v", r)
	}
}

// Behind a proxy that ends TLS the pool is told as the front would be.
func TestParamsOfForwardedTLS(t *testing.T) {
	t.Parallel()
	s := pooled(t, site.Site{Domain: "shop.example", Vhosts: []gateway.Vhost{{Names: []string{"shop.example"}, Listens: []gateway.Listen{{Port: 8080}}}}},
		func(http.ResponseWriter, *http.Request) {})
	u := &url.URL{Scheme: "https", Host: "shop.example", Path: "/"}
	for _, tls := range []bool{false, true} {
		s.Vhosts[0].Listens[0].TLS = tls
		p, err := RequestParams(s, Request{Target: u, Method: "HEAD", Cookie: "a=b"})
		want := map[bool]string{false: "https on http", true: "  https"}[tls]
		if got := p["HTTP_X_FORWARDED_PROTO"] + " " + p["HTTPS"] + " " + p["REQUEST_SCHEME"]; err != nil || got != want {
			t.Errorf("TLS %v: %q, %v", tls, got, err)
		}
		if p["REQUEST_METHOD"] != "HEAD" || !strings.HasSuffix(p["HTTP_COOKIE"], "; a=b") {
			t.Errorf("%v", p)
		}
	}
}

// Names of one site may differ from scheme to scheme.
func TestHomeAnswersByNameAndScheme(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	note := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Host)
		if r.TLS == nil {
			http.Redirect(w, r, "https://shop.example/", http.StatusMovedPermanently)
			return
		}
		fmt.Fprint(w, page)
	}
	tls := httptest.NewTLSServer(http.HandlerFunc(note))
	t.Cleanup(tls.Close)
	s := listening(t, serve(t, note))
	old := s.Vhosts[0]
	old.Names = []string{"old.example"}
	secure := listening(t, tls).Vhosts[0]
	secure.Names = []string{"shop.example"}
	s.Domain, s.Vhosts = "old.example", []gateway.Vhost{old, secure}
	if home := Home(s); home.String() != "http://old.example/" {
		t.Errorf("home is %s", home)
	}
	if at := HomeAt(s, "shop.example"); at.String() != "https://shop.example/" {
		t.Errorf("the other is %s", at)
	}
	r := ByFront(context.Background(), s, Home(s), limits)
	if r.Outcome != Healthy || r.URL != "https://shop.example/" || fmt.Sprint(asked) != "[old.example shop.example]" {
		t.Errorf("%+v, asked %v", r, asked)
	}
	s.Vhosts[0].Names, s.Vhosts[1].Names = []string{"_"}, []string{"_"}
	if r := ByFront(context.Background(), s, Home(s), limits); r.Outcome != Unknown {
		t.Errorf("a vhost without the name was asked: %+v", r)
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://a/":                            "http://a/",
		"http://a/?wpmend=X":                   "http://a/",
		"http://a/?b=c&wpmend=X":               "http://a/?b=c",
		"http://a/?wpmend=X&b=%20&wpmend_too=": "http://a/?b=%20&wpmend_too=",
	} {
		u, err := url.Parse(given)
		if err != nil || shown(u) != want {
			t.Errorf("%s is shown as %s", given, shown(u))
		}
	}
	if r := (Result{Start: time.Now()}); r.Aside() {
		t.Error("nothing is aside")
	}
}
