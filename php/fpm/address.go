package fpm

import (
	"errors"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"
)

// Address is where a pool listens, written so that two ways of naming one place compare equal where that can be told
// without asking the system: a port alone and every "all addresses" are 127.0.0.1, since that is where we would dial.
type Address struct {
	Network string `json:"network"` // unix | tcp
	Addr    string `json:"addr"`    // path | host:port
}

func (a Address) String() string {
	if a.Network == "unix" {
		return "unix:" + a.Addr
	}
	return a.Addr
}

// ParseAddress reads FPM's `listen` and, since gateways name the same places, the notation "unix:/path". What begins
// with a slash is a path, digits alone are a port, and the rest is host:port (fpm_sockets_domain_from_address in
// fpm_sockets.c).
func ParseAddress(listen string) (Address, error) {
	if listen == "" {
		return Address{}, errors.New("the listen address is empty")
	}
	if strings.ContainsAny(listen, "\x00\r\n") {
		return Address{}, fmt.Errorf("listen address %q holds a control character", listen)
	}
	p, unix := strings.CutPrefix(listen, "unix:")
	if unix || strings.HasPrefix(listen, "/") {
		if !strings.HasPrefix(p, "/") {
			return Address{}, fmt.Errorf("socket %q is not an absolute path", listen)
		}
		return Address{"unix", cleanSocket(p)}, nil
	}
	if port, err := parsePort(listen); err == nil {
		return Address{"tcp", net.JoinHostPort("127.0.0.1", port)}, nil
	}
	if !strings.Contains(listen, ":") {
		return Address{}, fmt.Errorf("socket %q is not an absolute path", listen)
	}
	i := strings.LastIndexByte(listen, ':')
	host, text := listen[:i], listen[i+1:]
	port, err := parsePort(text)
	if err != nil {
		return Address{}, fmt.Errorf("listen address %q: %w", listen, err)
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.ContainsAny(host, "[] /") {
		return Address{}, fmt.Errorf("listen address %q has no host", listen)
	}
	if ip := net.ParseIP(host); ip != nil {
		host = ip.String()
	}
	switch strings.ToLower(host) {
	case "", "*", "0.0.0.0", "::", "localhost":
		host = "127.0.0.1"
	}
	return Address{"tcp", net.JoinHostPort(host, port)}, nil
}

// cleanSocket also follows the one link that every distribution of the last decade has: /var/run is /run.
func cleanSocket(p string) string {
	p = path.Clean(p)
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		return "/run/" + rest
	}
	return p
}

func parsePort(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("%q is not a port", s)
	}
	return strconv.FormatUint(n, 10), nil
}
