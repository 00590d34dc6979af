package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// API is where others reach the service, and who may act there.
type API struct {
	// Socket is the unix socket, "" for none: without it there is no API at all.
	Socket string `toml:"socket" json:"socket"`
	// Group is a unix group whose members may do there what root may; "" none.
	Group string `toml:"group" json:"group"`
	// Listen is a loopback address with a port at which it listens too, "" for none.
	Listen string `toml:"listen" json:"listen"`
	// TokenFile holds what a client at Listen must know.
	TokenFile string `toml:"token_file" json:"token_file"`
	// FrameAncestors are the origins whose pages may show wpmend's page in a frame.
	FrameAncestors []string `toml:"frame_ancestors" json:"frame_ancestors"`
}

func defaultAPI() API {
	return API{Socket: "/run/wpmend/api.sock", TokenFile: "/etc/wpmend/api.token", FrameAncestors: []string{}}
}

// apiKeys are the settings of [api].
func apiKeys() []key {
	return []key{
		newKey("api.socket", func(c *Config) *string { return &c.API.Socket }, socketPath),
		newKey("api.group", func(c *Config) *string { return &c.API.Group }, groupName),
		newKey("api.listen", func(c *Config) *string { return &c.API.Listen }, loopback),
		newKey("api.token_file", func(c *Config) *string { return &c.API.TokenFile }, func(v any) (string, error) {
			s, err := text(v)
			if err == nil && !filepath.IsAbs(s) {
				err = fmt.Errorf("%s must be an absolute path", quoted(s))
			}
			return s, err
		}),
		newKey("api.frame_ancestors", func(c *Config) *[]string { return &c.API.FrameAncestors }, texts(origin)),
	}
}

// mostSocket is how long the path of a unix socket may be: sun_path has 108 bytes with
// its last 0 (unix(7)).
const mostSocket = 107

func socketPath(v any) (string, error) {
	s, err := text(v)
	switch {
	case err != nil || s == "":
		return s, err
	case !filepath.IsAbs(s) || filepath.Clean(s) != s || strings.ContainsRune(s, 0):
		return "", fmt.Errorf("%s must be an absolute path without detours", quoted(s))
	case len(s) > mostSocket:
		return "", fmt.Errorf("%s is longer than the %d bytes that a socket's path may have", quoted(s), mostSocket)
	}
	return s, nil
}

func groupName(v any) (string, error) {
	s, err := text(v)
	if err == nil && s != "" && (len(s) > 64 || strings.ContainsAny(s, ":,\n\x00/ \t")) {
		err = fmt.Errorf("%s is no name of a group", quoted(s))
	}
	return s, err
}

func loopback(v any) (string, error) {
	s, err := text(v)
	if err != nil || s == "" {
		return s, err
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || at.Port() == 0 {
		return "", fmt.Errorf("%s is no address with a port, such as \"127.0.0.1:8484\"", quoted(s))
	}
	if !at.Addr().IsLoopback() || at.Addr().Zone() != "" {
		return "", fmt.Errorf("%s is no loopback address: wpmend serves this host alone; put a gateway with TLS in front for others", quoted(s))
	}
	return s, nil
}

// origin is a source of CSP's frame-ancestors that is the origin of a page.
func origin(s string) error {
	u, err := url.Parse(s)
	if err != nil || !slices.Contains([]string{"http", "https"}, u.Scheme) || u.Scheme+"://"+u.Host != s || !originHost.MatchString(u.Host) {
		return fmt.Errorf("%s is no origin, such as \"https://panel.example.com:8083\"", quoted(s))
	}
	return nil
}

var originHost = regexp.MustCompile(`^(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?)(:[0-9]{1,5})?$`)
