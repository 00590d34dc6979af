package evidence

import (
	"net/netip"
	"strings"
)

// network is one content delivery network that publishes its addresses, or whose
// names a site's own name is an alias of.
type cdnNetwork struct {
	name     string
	ranges   []string
	suffixes []string // of aliases
}

// cdns: https://www.cloudflare.com/ips/, https://api.fastly.com/public-ip-list,
// https://docs.sucuri.net/website-firewall/sucuri-firewall-troubleshooting-guide/
// (whitelisting). The others' ranges are long and change; they are known by aliases
// and by what their answers say, see the package probe.
var cdns = [...]cdnNetwork{
	{"Cloudflare", []string{
		"173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18", "190.93.240.0/20",
		"188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13", "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22",
		"2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32"},
		[]string{".cdn.cloudflare.net"}},
	{"Fastly", []string{
		"23.235.32.0/20", "43.249.72.0/22", "103.244.50.0/24", "103.245.222.0/23", "103.245.224.0/24", "104.156.80.0/20", "140.248.64.0/18", "140.248.128.0/17",
		"146.75.0.0/17", "151.101.0.0/16", "157.52.64.0/18", "167.82.0.0/17", "167.82.128.0/20", "167.82.160.0/20", "167.82.224.0/20", "172.111.64.0/18",
		"185.31.16.0/22", "199.27.72.0/21", "199.232.0.0/16", "2a04:4e40::/32", "2a04:4e42::/32"},
		[]string{".fastly.net", ".fastlylb.net"}},
	{"Sucuri", []string{"192.88.134.0/23", "185.93.228.0/22", "66.248.200.0/22", "208.109.0.0/22", "2a02:fe80::/29"}, nil},
	{"CloudFront", nil, []string{".cloudfront.net"}},
	{"Akamai", nil, []string{".akamaiedge.net", ".edgekey.net", ".edgesuite.net", ".akamai.net"}},
	{"Bunny", nil, []string{".b-cdn.net"}},
	{"Azure Front Door", nil, []string{".azurefd.net", ".azureedge.net", ".t-msedge.net"}},
	{"Imperva", nil, []string{".incapdns.net", ".impervadns.net"}},
	{"KeyCDN", nil, []string{".kxcdn.com"}},
	{"Gcore", nil, []string{".gcdn.co"}},
}

// cdnOf names the network that all of the addresses, or one of the aliases, belong to.
func cdnOf(a answer) string {
	for _, n := range cdns {
		for _, suffix := range n.suffixes {
			for _, alias := range a.aliases {
				if strings.HasSuffix(alias, suffix) {
					return n.name
				}
			}
		}
		if len(a.addresses) > 0 && len(n.ranges) > 0 && allIn(a.addresses, n.ranges) {
			return n.name
		}
	}
	return ""
}

func allIn(addresses []netip.Addr, ranges []string) bool {
	for _, a := range addresses {
		in := false
		for _, r := range ranges {
			in = in || netip.MustParsePrefix(r).Contains(a.Unmap())
		}
		if !in {
			return false
		}
	}
	return true
}
