package redact

import (
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	t.Parallel()
	r := New("hunter2-the-password", "root", "put your unique phrase here", "hunter2-the-password-and-more")
	for _, c := range []struct{ name, in, want string }{
		{"plain", "connect() to unix:/run/php/shop.sock failed (2: No such file or directory)", ""},
		{"known", "it said hunter2-the-password to root", "it said [redacted] to root"},
		{"longer first", "x hunter2-the-password-and-more y", "x [redacted] y"},
		{"query", `request: "GET /shop/?s=red+shoes&key=abc123 HTTP/1.1", host: "shop.example"`,
			`request: "GET /shop/?s=[redacted]&key=[redacted] HTTP/1.1", host: "shop.example"`},
		{"define", `define( 'DB_PASSWORD', 'it\'s secret' ); define("AUTH_SALT", "zz z;z");`,
			`define( 'DB_PASSWORD', '[redacted]' ); define("AUTH_SALT", '[redacted]');`},
		{"array", `"api_key" => "sk_live_1"`, `"api_key" => '[redacted]'`},
		{"json", `{"password":"x y","user":"bob"}`, `{"password":'[redacted]',"user":"bob"}`},
		{"assignment", "DB_PASSWORD=pa55 DB_NAME=shop", "DB_PASSWORD=[redacted] DB_NAME=shop"},
		{"env quoted", `env[SMTP_PASSWORD] = "a b c"`, `env[SMTP_PASSWORD] = "a b c"`},
		{"cookie header", "Cookie: wordpress_logged_in_0123=bob%7C1; x=1\nHost: a", "Cookie: [redacted]\nHost: a"},
		{"cookie alone", "sent wordpress_sec_0123456789abcdef=bob%7C17; theme=dark", "sent wordpress_sec_0123456789abcdef=[redacted]; theme=dark"},
		{"session", "PHPSESSID=abcdef0123", "PHPSESSID=[redacted]"},
		{"authorization", `Authorization: Basic Ym9iOnNlY3JldA==`, "Authorization: [redacted]"},
		{"bearer", "used Bearer eyJhbGciOi.JIUzI1NiJ9", "used Bearer [redacted]"},
		{"url", "mysql://shop:pa55@db.example/shop", "mysql://shop:[redacted]@db.example/shop"},
		{"mail", "wp_mail to bob.b@example.co.uk failed", "wp_mail to [redacted]@example.co.uk failed"},
		{"trace", "#0 /w/wp-includes/user.php(12): wp_signon('bob', 'pa55')\n#1 {main}", "#0 /w/wp-includes/user.php(12): wp_signon('[redacted]', '[redacted]')\n#1 {main}"},
		{"trace, internal", "#1 [internal function]: mysqli_real_connect('db', 'u', 'pa55')", "#1 [internal function]: mysqli_real_connect('[redacted]', '[redacted]', '[redacted]')"},
		{"nginx's client", "client: 203.0.113.77, server: a", "client: 203.0.113.0, server: a"},
		{"client of IPv6", "client: 2001:db8:1:2::3, server: a", "client: 2001:db8:1::, server: a"},
		{"Apache's client", "[client 203.0.113.77:51234] AH01071", "[client 203.0.113.0:0] AH01071"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.name == "env quoted" {
				c.want = `env[SMTP_PASSWORD] = [redacted]`
			}
			if c.want == "" {
				c.want = c.in
			}
			got := r.Text(c.in)
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if again := r.Text(got); again != got {
				t.Errorf("twice: %s", again)
			}
		})
	}
}

// FuzzText: a secret that is known never comes out, and redacting twice is redacting once.
func FuzzText(f *testing.F) {
	f.Add("password=x&y=z #0 a(1): f('b')", "secret-phrase")
	f.Add("client: 1.2.3.4 Cookie: a=b\r\n?x=", "sesame-open")
	f.Fuzz(func(t *testing.T, text, secret string) {
		if len(secret) < shortest || strings.Contains(Gone, secret) {
			return
		}
		got := New(secret).Text(text + secret + text)
		if strings.Contains(got, secret) && !strings.Contains(text, secret[:1]) {
			t.Errorf("%q comes out of %q", secret, got)
		}
		if again := New().Text(New().Text(text)); again != New().Text(text) {
			t.Errorf("twice: %q, once: %q", again, New().Text(text))
		}
	})
}
