package config

import (
	"reflect"
	"testing"
)

const sections = `
mode = "observe"
protected = ["plugin:a"]
[[site]]
match = "shop.example"
mode = "heal"
budget.site = 9
[[owner]]
user = "alice"
mode = "suggest"
protected = ["theme:*"]
budget.site = 1
[[owner]]
user = "1002"
search.fix = "deactivate"
[[site]]
match = "/srv/www/Shop/"
quiet = ["00:00-24:00"]
[[site]]
match = "0123456789AB"
edge_is = 1
`

func TestOf(t *testing.T) {
	t.Parallel()
	text := sections[:len(sections)-len("edge_is = 1\n")] + "probe.verify = 9\n"
	c, err := Parse("x", text)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		who    Who
		change func(*Config)
	}{
		"nobody named":  {Who{Root: "/x", Names: []string{"x.example"}, Owner: "bob", UID: 7}, func(*Config) {}},
		"the owner":     {Who{Root: "/x", Owner: "alice", UID: 7}, func(c *Config) { c.Mode, c.Protected, c.Budget.Site = Suggest, []string{"theme:*"}, 1 }},
		"site wins":     {Who{Root: "/x", Names: []string{"www.shop.example", "Shop.Example"}, Owner: "alice", UID: 7}, func(c *Config) { c.Mode, c.Protected, c.Budget.Site = Heal, []string{"theme:*"}, 9 }},
		"by uid":        {Who{Root: "/x", Owner: "carol", UID: 1002}, func(c *Config) { c.Search.Fix = DeactivateFix }},
		"by root":       {Who{Root: "/srv/www/Shop", UID: noUID}, func(c *Config) { c.QuietHours = []Hours{{To: 24 * 60}} }},
		"another root":  {Who{Root: "/srv/www/Shop/x", UID: noUID}, func(*Config) {}},
		"by id":         {Who{ID: "0123456789ab", UID: noUID}, func(c *Config) { c.Probe.Verify = 9 }},
		"no names":      {Who{}, func(*Config) {}},
		"uid of nobody": {Who{UID: noUID}, func(*Config) {}},
	} {
		got, want := c.Of(tc.who), c
		tc.change(&want)
		want.Owners, want.Sites = []Owner{}, []Site{}
		want.applied, got.applied = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
	if for2 := c.For("/x", "x.example", "1002"); for2.Search.Fix != DeactivateFix {
		t.Error("For takes a uid for the owner, too")
	}
	if c.Mode != Observe || len(c.Sites) != 3 {
		t.Errorf("Of has changed what it was asked of: %+v", c)
	}
}

func TestProtects(t *testing.T) {
	t.Parallel()
	c := Config{Protected: []string{"plugin:woo*", "mu-plugin:*", "theme:astra", "plugin:*-pay*s", "plugin:a*a"}}
	for id, want := range map[string]string{
		"plugin:woocommerce": "plugin:woo*", "plugin:woo": "plugin:woo*", "plugin:wo": "", "theme:woo": "", "theme:astra": "theme:astra", "theme:astra-child": "",
		"mu-plugin:x.php": "mu-plugin:*", "plugin:my-payments": "plugin:*-pay*s", "plugin:my-pay": "", "plugin:aa": "plugin:a*a", "plugin:a": "", "": "",
	} {
		if as, ok := c.Protects(id); as != want || ok != (want != "") {
			t.Errorf("%s: %q, %v, want %q", id, as, ok, want)
		}
	}
}
