package api

import (
	"strings"
	"testing"

	"wpmend/agent"
	"wpmend/agent/gateway"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

func twoOwners() (own, all []site.Site) {
	mine := site.Site{ID: "aaaaaaaaaaaa", Domain: "shop.example.com", Root: "/home/alice/bobs.example/www", Owner: 33, Pool: fpm.Pool{Name: "one"},
		Vhosts: []gateway.Vhost{{Names: []string{"shop.example.com", "www.shop.example.com"}}}}
	his := site.Site{ID: "bbbbbbbbbbbb", Domain: "example.com/blog", Root: "/srv/www/blog", Owner: 2, Pool: fpm.Pool{Name: "two"},
		Vhosts: []gateway.Vhost{{Names: []string{"example.com", "*.wild.example"}}}}
	return []site.Site{mine}, []site.Site{mine, his}
}

// What names another's site is left out, and nothing else.
func TestBlindfold(t *testing.T) {
	t.Parallel()
	b := newBlindfold(twoOwners())
	for _, text := range []string{"example.com fails too", "GET http://EXAMPLE.com/blog/x", "at example.com.", "mail.example.com", "open(/srv/www/blog/wp-config.php)", "/srv/www/blog", "\"/srv/www/blog/\"",
		"a.wild.example", "/var/log/nginx/example.com-error.log", "/var/log/nginx/example.com.access.log", "[pool two] seems busy", "pool two", "user bin runs it", "database bin_wp", "bbbbbbbbbbbb", "https://example.com:8443/", "user=bin,"} {
		if got := b.text(text); got != leftOut {
			t.Errorf("%q is shown", got)
		}
	}
	for _, text := range []string{"", "shop.example.com", "www.shop.example.com fails", "http://shop.example.com/?x=1", "/home/alice/bobs.example/www/wp-content", "myexample.com", "example.community", "two workers", "pool one", "/srv/www", "/usr/sbin/php-fpm8.2", "4 of 4 busy", "2 of them"} {
		if got := b.text(text); got != text {
			t.Errorf("%q is left out", text)
		}
	}
	for _, hostile := range []string{strings.Repeat("a.", 1<<20), strings.Repeat("/a", 1<<20), strings.Repeat("a.", 2000), strings.Repeat("a-", 2000), strings.Repeat("example.", 500)} {
		_ = b.text(hostile) // ends
	}
	type deep struct {
		Site  agent.SiteRef
		Other *agent.SiteRef
		Sites []agent.SiteRef
		Any   any
		Map   map[string]string
		Lists [][]string
		Bytes []byte
	}
	r := deep{Site: agent.SiteRef{ID: "aaaaaaaaaaaa", Domain: "shop.example.com"}, Other: &agent.SiteRef{ID: "bbbbbbbbbbbb", Domain: "example.com"},
		Sites: []agent.SiteRef{{ID: "bbbbbbbbbbbb"}, {ID: "aaaaaaaaaaaa"}}, Any: []string{"example.com", "well"}, Map: map[string]string{"a": "example.com"}, Lists: [][]string{{"example.com"}, nil}}
	got := clean(b, r)
	if got.Site != r.Site || *got.Other != (agent.SiteRef{}) || len(got.Sites) != 1 || got.Sites[0].ID != "aaaaaaaaaaaa" || got.Any.([]string)[0] != leftOut || got.Any.([]string)[1] != "well" || got.Map["a"] != leftOut || got.Lists[0][0] != leftOut {
		t.Errorf("%+v", got)
	}
	if r.Other.Domain != "example.com" || r.Lists[0][0] != "example.com" || r.Map["a"] != "example.com" {
		t.Errorf("the original was changed: %+v", r)
	}
	if all := clean(nil, r); all.Map["a"] != "example.com" {
		t.Errorf("without a blindfold: %+v", all)
	}
}

// Whatever stands around it, another's name does not come through as a word of its own.
func FuzzBlindfold(f *testing.F) {
	b := newBlindfold(twoOwners())
	f.Add("a ", " b")
	f.Add("(/srv/www/blog", ")")
	f.Add("\xff\"", "\x00")
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before, "/home/alice") { // below her own root
			return
		}
		for _, name := range []string{"example.com", "/srv/www/blog", "bbbbbbbbbbbb"} {
			text := before + " " + name + " " + after
			if got := b.text(text); got != leftOut {
				t.Errorf("%q comes through", got)
			}
			if twice := b.text(b.text(text)); twice != leftOut {
				t.Errorf("twice: %q", twice)
			}
		}
	})
}
