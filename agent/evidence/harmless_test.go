package evidence

import (
	"net/url"
	"strings"
	"testing"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

var shop = site.Site{Domain: "shop.example", Root: "/srv/shop", Vhosts: []gateway.Vhost{
	{Names: []string{"shop.example", "*.shop.example"}, Listens: []gateway.Listen{{Port: 80}, {Port: 443, TLS: true}}}}}

var blog = site.Site{Domain: "shop.example/blog", Root: "/srv/shop/blog", Base: "/blog", Vhosts: shop.Vhosts}

func TestAskable(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		site      site.Site
		host, uri string
		php       bool
		want      string // "" refused
		rank      rank
	}{
		{shop, "", "/", false, "https://shop.example/", page},
		{shop, "de.shop.example", "/produkt/h%C3%BCte/?orderby=price&order=asc", false, "https://de.shop.example/produkt/h%C3%BCte/?orderby=price&order=asc", page},
		{shop, "", "/?p=12&utm_source=x&fbclid=IwAR0&wpmend=ABCDEF", false, "https://shop.example/?p=12", page},
		{shop, "", "/robots.txt", false, "", never},
		{shop, "", "/index.php/2026/11/hello/", false, "https://shop.example/index.php/2026/11/hello/", page},
		{shop, "", "/how-to-delete-a-file/", false, "https://shop.example/how-to-delete-a-file/", page},
		{shop, "", "/?post_type=product&author=1", false, "https://shop.example/?post_type=product&author=1", page},
		{shop, "", "/wp-json/wp/v2/posts?per_page=5", false, "https://shop.example/wp-json/wp/v2/posts?per_page=5", page},
		{shop, "", "http://shop.example/absolute", false, "https://shop.example/absolute", page},
		{blog, "", "/blog/", false, "https://shop.example/blog/", page},

		// What PHP answers although it looks like a file, and what bots ask for.
		{shop, "", "/style.css", false, "", never},
		{shop, "", "/wp-content/cache/style.css?ver=1", true, "https://shop.example/wp-content/cache/style.css?ver=1", aside},
		{shop, "", "/wp-cron.php?doing_wp_cron=1795403469.12", false, "https://shop.example/wp-cron.php", aside},
		{shop, "", "/xmlrpc.php", false, "https://shop.example/xmlrpc.php", aside},
		{shop, "", "/wp-admin/admin-ajax.php?action=load_more&page=2", false, "https://shop.example/wp-admin/admin-ajax.php?action=load_more&page=2", aside},
		{shop, "", "/wp-admin/", false, "https://shop.example/wp-admin/", aside},
		{shop, "", "/wp-admin/plugins.php?paged=2", false, "https://shop.example/wp-admin/plugins.php", aside},

		// Secrets go; what acts is refused whole.
		{shop, "", "/checkout/order-received/12/?key=wc_order_x", false, "https://shop.example/checkout/order-received/12/", page},
		{shop, "", "/?a=1&access_token=x&userEmail=a%40b", false, "https://shop.example/?a=1", page},
		{shop, "", "/?a=1&reset_token=x", false, "", never},
		{shop, "", "/?q=9f86d081884c7d659a2feaa0c55ad015", false, "https://shop.example/", page},
		{shop, "", "/invite/9f86d081884c7d659a2feaa0c55ad015", false, "", never},
		{shop, "", "/wp-login.php?action=logout&_wpnonce=1", false, "", never},
		{shop, "", "/wp-login.php?redirect_to=%2F", false, "https://shop.example/wp-login.php", aside},
		{shop, "", "/?add-to-cart=12", false, "", never},
		{shop, "", "/?wc-ajax=get_refreshed_fragments", false, "", never},
		{shop, "", "/cart/?remove_item=3", false, "", never},
		{shop, "", "/?do=Delete&id=3", false, "", never},
		{shop, "", "/?do=%64elete&id=3", false, "", never},
		{shop, "", "/wp-json/wp/v2/posts/1?_method=DELETE", false, "", never},
		{shop, "", "/wp-admin/admin-ajax.php?action=delete_all", false, "", never},
		{shop, "", "/wp-admin/admin-post.php?action=x", false, "", never},
		{shop, "", "/wp-admin/plugins.php?action=deactivate&plugin=a", false, "", never},
		{shop, "", "/my-account/customer-logout/", false, "", never},
		{shop, "", "/wp-mail.php", false, "", never},
		{shop, "", "/wp-content/plugins/x/export.php", true, "", never},
		{shop, "", "/adminer.php", true, "", never},
		{shop, "", "/a.php/b", true, "", never},
		{shop, "", "/.git/config", false, "", never},

		// Not this site, or another path than it seems.
		{shop, "bank.example", "/", false, "", never},
		{shop, "", "http://169.254.169.254/latest", false, "", never},
		{shop, "", "http://u:p@shop.example/", false, "", never},
		{shop, "", "//bank.example/x", false, "", never},
		{blog, "", "/shop/", false, "", never},
		{blog, "", "/blog", false, "", never},
		{blog, "", "/blog/../shop/", false, "", never},
		{blog, "", "/blog/%2e%2e/shop/", false, "", never},
		{blog, "", "/blog/..%5cshop/", false, "", never},
		{shop, "", "/a%0d%0aX-Evil:1", false, "", never},
		{shop, "", "/?a=%0d%0aX-Evil:1", false, "", never},
		{shop, "", "/\x1b[2J", false, "", never},
		{shop, "", "/?a=\xff", false, "", never},
		{shop, "", "/%ff", false, "", never},
		{shop, "", "/%zz", false, "", never},
		{shop, "", "*", false, "", never},
		{shop, "", "shop.example:443", false, "", never},
		{shop, "", "", false, "", never},
		{shop, "", "/" + strings.Repeat("a", maxURI), false, "", never},
		{shop, "", "/?" + strings.Repeat("a=1&", maxParams+1), false, "", never},
	} {
		u, r := askable(tc.site, tc.host, tc.uri, tc.php)
		got := ""
		if r != never {
			got = u.String()
		}
		if got != tc.want || r != tc.rank {
			t.Errorf("%q at %q: %q of rank %d, want %q of rank %d", tc.uri, tc.host, got, r, tc.want, tc.rank)
		}
	}
}

// Whatever a log says: what comes out is a URL of the site, printable, says the
// same when it is read again, and passes a second look unchanged.
func FuzzAskable(f *testing.F) {
	f.Add("de.shop.example", "/a/?b=c&key=d", true)
	f.Add("", "http://shop.example:80/%2e%2e/?x=%0a", false)
	f.Add("SHOP.example.", "/blog//x.css?_method=put", false)
	f.Fuzz(func(t *testing.T, host, uri string, php bool) {
		for _, s := range []site.Site{shop, blog} {
			u, r := askable(s, host, uri, php)
			if r == never {
				continue
			}
			text := u.String()
			if !s.Serves(u.Hostname()) || u.User != nil || !strings.HasPrefix(u.Path, s.Base+"/") || strings.Contains(u.Path, "..") && !plainPath(u.Path) {
				t.Errorf("%q at %q is %s", uri, host, text)
			}
			if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) || len(text) > 4*maxURI {
				t.Errorf("%q is not printable", text)
			}
			again, err := url.Parse(text)
			if err != nil || again.String() != text || again.Host != u.Host || again.Path != u.Path {
				t.Fatalf("%q reads as %v, %v", text, again, err)
			}
			if v, second := askable(s, u.Host, again.RequestURI(), php); second != r || v.String() != text {
				t.Errorf("%q a second time: %v of rank %d", text, v, second)
			}
		}
	})
}
