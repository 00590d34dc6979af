package evidence

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

// What nft 1.0.6 and iptables-save 1.8.9 print of real rules, see testdata.
func TestFilters(t *testing.T) {
	t.Parallel()
	nft, err := os.ReadFile("testdata/nft.json")
	if err != nil {
		t.Fatal(err)
	}
	iptables, err := os.ReadFile("testdata/iptables.txt")
	if err != nil {
		t.Fatal(err)
	}
	const strict = "chain ip strict input { policy drop; }"
	const output = "-t filter -P OUTPUT DROP"
	for _, tc := range []struct {
		parse func([]byte, []int) ([]string, error)
		text  []byte
		port  int
		want  []string // parts of the rules
	}{
		{nftFilters, nft, 80, []string{`"range":[8000,8010]`, strict}},
		{nftFilters, nft, 8005, []string{`"range":[8000,8010]`, strict}},
		{nftFilters, nft, 443, []string{`"@web"`, strict}},
		{nftFilters, nft, 9000, []string{`"iifname"`, strict}},
		{nftFilters, nft, 22, nil}, // mine accepts it, and so does strict
		{nftFilters, nft, 3306, []string{strict}},
		{nftFilters, []byte(`{"nftables":[]}`), 80, nil},
		// Chains that call each other for ever.
		{nftFilters, []byte(`{"nftables":[{"chain":{"family":"ip","table":"f","name":"a","hook":"input"}},{"rule":{"family":"ip","table":"f","chain":"a","expr":[{"jump":{"target":"a"}},{"counter":null}]}}]}`), 80, nil},
		{iptablesFilters, iptables, 80, []string{"-A INPUT -i lo -p tcp -m tcp --dport 80 -j REJECT", output}},
		{iptablesFilters, iptables, 8010, []string{`--comment "closed for now" -j DROP`, output}},
		{iptablesFilters, iptables, 9000, []string{output}}, // of another network, and UDP
		{iptablesFilters, []byte("*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n"), 80, nil},
		{iptablesFilters, []byte("*filter\n:INPUT ACCEPT [0:0]\n:ufw - [0:0]\n-A INPUT -j ufw\n-A ufw -p tcp --dport 80 -j DROP\n"), 80, []string{"-A ufw"}},
		{iptablesFilters, []byte("*nat\n:INPUT DROP [0:0]\n"), 80, nil},
	} {
		got, err := tc.parse(tc.text, []int{tc.port})
		if err != nil || len(got) != len(tc.want) {
			t.Errorf("port %d of %.40s: %q, %v, want %q", tc.port, tc.text, got, err, tc.want)
			continue
		}
		for i, part := range tc.want {
			if !strings.Contains(got[i], part) {
				t.Errorf("port %d: %q, want %q", tc.port, got[i], part)
			}
		}
	}
	if _, err := nftFilters([]byte("Error: no"), []int{80}); err == nil {
		t.Error("what is no JSON is a ruleset")
	}
}

// Whatever they print: what is named is short and printable, and nothing is named of
// a port that no rule and no policy speaks of.
func FuzzFilters(f *testing.F) {
	for _, file := range []string{"testdata/nft.json", "testdata/iptables.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, 80)
	}
	f.Fuzz(func(t *testing.T, text []byte, port int) {
		for _, parse := range []func([]byte, []int) ([]string, error){nftFilters, iptablesFilters} {
			rules, err := parse(text, []int{port, port})
			for _, r := range rules {
				if err != nil || len(r) > 310 || !utf8.ValidString(r) {
					t.Errorf("%q, %v", r, err)
				}
				if lower := strings.ToLower(string(text)); !strings.Contains(lower, "drop") && !strings.Contains(lower, "reject") && !strings.Contains(lower, `\u`) {
					t.Errorf("%q drops nothing", r)
				}
			}
		}
	})
}
