package gateway

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wpmend/php/fpm"
)

// apacheTimeout is Timeout where it is not set (DEFAULT_TIMEOUT, httpd.h).
const apacheTimeout = 60 * time.Second

// apacheHeader stands for the response header that mod_proxy_fcgi takes: it has no limit on the whole (20 kB seen, facts
// in field.md §2.2), so the bound of whoever asks is reached first.
const apacheHeader = 1 << 30

// fcgiPort is the port of a fcgi:// URL without one (ap_proxy_port_of_scheme).
const fcgiPort = "8000"

// backend reads where mod_proxy sends a request: "unix:/path|fcgi://host/prefix" or "fcgi://host:port/prefix". target
// is the URL as SCRIPT_FILENAME begins with it (proxy_fcgi_canon). ok is false for what is not FastCGI.
func backend(text string) (peer fpm.Address, target string, ok bool, err error) {
	socket, rest, unix := strings.Cut(text, "|")
	if !unix || !hasPrefixFold(socket, "unix:") {
		socket, rest = "", text
	}
	if !hasPrefixFold(rest, "fcgi:") {
		return fpm.Address{}, "", false, nil
	}
	hostPart, prefix, slash := strings.Cut(strings.TrimPrefix(rest[len("fcgi:"):], "//"), "/")
	if slash {
		prefix = "/" + prefix
	}
	host, port, err := splitHost(hostPart)
	if err != nil {
		return fpm.Address{}, "", true, fmt.Errorf("%q names no host: %w", text, err)
	}
	target = "fcgi://" + strings.ToLower(host)
	if port != fcgiPort {
		target += ":" + port
	}
	target += prefix
	address := host + ":" + port
	if socket != "" {
		address = "unix:" + socket[len("unix:"):]
	}
	if peer, err = fpm.ParseAddress(address); err != nil {
		return fpm.Address{}, target, true, err
	}
	return peer, target, true, nil
}

// splitHost takes "host", "host:port" and "[::1]:port" apart; the host keeps its brackets.
func splitHost(s string) (host, port string, err error) {
	u, err := url.Parse("//" + s)
	if err != nil {
		return "", "", err
	}
	host, port = u.Hostname(), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" {
		port = fcgiPort
	}
	if host == "" {
		host = "localhost"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("port %q", port)
	}
	return host, port, nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// apacheSeconds reads a time of Apache's: seconds, or with a unit (ap_timeout_parameter_parse).
func apacheSeconds(s string) (time.Duration, bool) {
	for _, unit := range [...]struct {
		sign string
		time time.Duration
	}{{"ms", time.Millisecond}, {"mi", time.Minute}, {"min", time.Minute}, {"s", time.Second}, {"h", time.Hour}, {"", time.Second}} {
		number, ok := strings.CutSuffix(s, unit.sign)
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(number, 10, 31); err == nil {
			return time.Duration(n) * unit.time, true
		}
	}
	return 0, false
}
