package gateway

import (
	"net/http"
	"strings"
	"testing"
)

func TestExpandErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fastcgi_param A $geoip_city;":                                           "fastcgi_param A: the variable $geoip_city is not known",
		"fastcgi_param A a${ssl_client_s_dn}b;":                                  "fastcgi_param A: the variable $ssl_client_s_dn is not known",
		"fastcgi_param A $nginx_version;":                                        "fastcgi_param A: the variable $nginx_version is not known",
		"fastcgi_param A $1;":                                                    "fastcgi_param A: the variable $1 is not known",
		"fastcgi_param A $realpath_root;":                                        "fastcgi_param A: the variable $realpath_root is not known: the real path of the document root was not given",
		"fastcgi_param A $x; root /a/$y;":                                        "fastcgi_param A: the variable $x is not known",
		"fastcgi_param A $document_root; root /a/$y;":                            "fastcgi_param A: the variable $document_root is not known: the document root depends on the request",
		"set $x $y; fastcgi_param A $x;":                                         "fastcgi_param A: the variable $y is not known",
		"auth_request_set $x $upstream_http_user; fastcgi_param A $x;":           "fastcgi_param A: the variable $x is not known: it comes from auth_request_set at /n.conf:1",
		"set $x a; if (-f $request_filename) { set $x b; } fastcgi_param A $x;":  "fastcgi_param A: the variable $x is not known: it depends on if (-f $request_filename)",
		"set $x a; if (no brackets) { } if no { set $x b; } fastcgi_param A $x;": "fastcgi_param A: the variable $x is not known: it depends on the if at /n.conf:1",
		"if ($http_a) { fastcgi_param A b; }":                                    "the parameters of location ~ \\.php$ depend on the if at /n.conf:1",
		`fastcgi_split_path_info "^(?>.+\.php)(/.+)$"; fastcgi_param A a;`:       "fastcgi_split_path_info ^(?>.+\\.php)(/.+)$ cannot be read: error parsing regexp: invalid or unsupported Perl syntax: `(?>`",
		"fastcgi_param A $m;":                                                    "fastcgi_param A: the variable $m is not known: its map asks ~^(?=/index)",
		"fastcgi_param A $g1;":                                                   "fastcgi_param A: the variable $g1 is not known: its maps need each other",
	} {
		v, _ := one(t, "/n.conf", `http { map $uri $m { ~^(?=/index) a; } map $g1 $g2 { default $g1; } map $g2 $g1 { default $g2; } server { location ~ \.php$ { fastcgi_pass unix:/a; `+text+" } } }")
		l, ok := v.Location("/index.php")
		if !ok {
			t.Fatal(text)
		}
		if got, err := l.Expand(Target{Scheme: "https", Script: "/index.php"}); err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v, %v\nwant %s", text, got, err, want)
		}
	}
}

// Doubling a text forty times must end at the bound, not at the memory's.
func TestExpandIsBounded(t *testing.T) {
	t.Parallel()
	l := PHPLocation{Params: []Param{{Name: "A", Value: "$a"}}, Sets: []Set{{Name: "a", Value: "0123456789"}}}
	for range 40 {
		l.Sets = append(l.Sets, Set{Name: "a", Value: "$a$a"})
	}
	_, err := l.Expand(Target{})
	if err == nil || err.Error() != "fastcgi_param A: the value is longer than 65536 bytes" {
		t.Error(err)
	}
}

func TestExpandOverTLS(t *testing.T) {
	t.Parallel()
	l := PHPLocation{Root: "/srv", Params: []Param{
		{"HTTPS", "$https", true}, {"EMPTY", "$is_args", true}, {"KEPT", "", false}, {"SCHEME", "$request_scheme", false}, {"ID", "$request_id", false},
		{"FILE", "$document_root$fastcgi_script_name", false}, {"USER", "$remote_user", false}, {"ADDR", "$remote_addr$server_addr:$server_port", false},
		{"HTTP_COOKIE", "$cookie_B", false}, {"LONE", "a$", false},
	}}
	header := http.Header{"Cookie": {"a=1", "B=2"}, "X-Many": {"1", "2"}, "Under_score": {"x"}, "Empty": nil, "Bad Name": {"x"}}
	got, err := l.Expand(Target{Scheme: "https", Host: "a.example", Script: "/i.php", DocumentRoot: "/elsewhere", ServerAddr: "192.0.2.1", RemoteAddr: "192.0.2.2", ServerPort: 443, Header: header})
	if err != nil {
		t.Fatal(err)
	}
	if id := got["ID"]; len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		t.Errorf("request id %q", id)
	}
	delete(got, "ID")
	want := map[string]string{"HTTPS": "on", "KEPT": "", "SCHEME": "https", "FILE": "/elsewhere/i.php", "USER": "", "ADDR": "192.0.2.2192.0.2.1:443",
		"HTTP_COOKIE": "2", "HTTP_HOST": "a.example", "HTTP_X_MANY": "1, 2", "LONE": "a$"}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s=%q, want %q", k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
}

func TestMapLookUp(t *testing.T) {
	t.Parallel()
	entries := []MapEntry{{"a.example", "exact"}, {"*.example", "wild"}, {"*.b.example", "longer"}, {"mail.*", "tail"}, {".dot.test", "dot"},
		{`~^(?<n>\d+)\.(.*)$`, "$n-$2-$3-$other"}, {`~*^UP`, "up"}, {`~^(?!x)z`, "never"}}
	m := Map{Name: "m", Source: "$host", Default: "d-$other", Hostnames: true, Entries: entries}
	for host, want := range map[string]string{"a.example": "exact", "A.EXAMPLE": "exact", "a.example.": "exact", "c.example": "wild", "c.b.example": "longer",
		"mail.test": "tail", "mail.b.example": "longer", "dot.test": "dot", "x.dot.test": "dot", "12.ab": "12-ab--o", "upper": "up", "none": "d-o", "": "d-o"} {
		got, err := m.lookUp(func(name string) (string, error) {
			if name == "host" {
				return host, nil
			}
			return "o", nil
		})
		if err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", host, got, err, want)
		}
	}
	m.Hostnames = false
	got, err := m.lookUp(func(string) (string, error) { return "c.example", nil })
	if err != nil || got != "d-c.example" {
		t.Errorf("without hostnames: %q, %v", got, err)
	}
	if _, err := m.lookUp(func(string) (string, error) { return "zoo", nil }); err == nil || err.Error() != "the variable $m is not known: its map asks ~^(?!x)z" {
		t.Error(err)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, expr, path string
		want             answer
	}{
		{"~", `\.php$`, "/a.php", yes},
		{"~", `\.PHP$`, "/a.php", no},
		{"~*", `\.PHP$`, "/a.php", yes},
		{"~", `/\.(?!well-known)`, "/index.php", no},
		{"~", `/\.(?!well-known)`, "/.git", unknown},
		{"~", `^/(?:a(?=[)b])c)?\.php`, "/x", no},
		{"~", `^/a++b*+(?>c)`, "/x", no},
		{"~", `^/a++b`, "/aab", unknown},
		{"~", `(?<!x)[(]\(y`, "/((y", unknown},
		{"~", `^(.)\1`, "/x", unknown},
		{"~", `(?!open`, "/x", unknown},
		{"~", `^[]a(?!]+$`, "(?!", yes},
		{"~", `a\++`, "a++", yes},
	} {
		if got := matches(c.kind, c.expr, c.path); got != c.want {
			t.Errorf("%s %s of %s: %d, want %d", c.kind, c.expr, c.path, got, c.want)
		}
	}
}

func TestLiteralPrefix(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{`^/blog/.+\.php$`: "/blog/", `^/blog/(a|b)`: "/blog/", `^/blog`: "", `^/a\.b/c.php$`: "/a.b/", `\.php$`: "", `^/(a|b)/`: "", `^/(?!x)`: "", `^`: ""} {
		if got := literalPrefix(expr); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
