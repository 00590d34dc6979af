package wp

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// DBHost is where a database listens.
type DBHost struct {
	Network string // "tcp" or "unix"
	Addr    string // host:port, [v6]:port, or the socket's path
}

const (
	mysqlPort   = 3306
	mysqlSocket = "/run/mysqld/mysqld.sock"
	// maxDBHost has room for a host name (253), a port and the path of a socket (107).
	maxDBHost = 1024
)

// ParseDBHost reads DB_HOST as wpdb::parse_db_host and mysqli do: "host",
// "host:port", "host:/socket", "host:port:/socket", ":/socket", "::1",
// "[::1]:3306". mysqli takes a given socket only for "localhost" and for no
// host at all, and dials the default socket for these where none is given;
// defaultSocket is that socket, "" the one of Debian and its kin.
func ParseDBHost(s, defaultSocket string) (DBHost, error) {
	if strings.ContainsRune(s, 0) {
		return DBHost{}, fmt.Errorf("DB_HOST %q holds a NUL byte: correct it in wp-config.php", s)
	}
	if len(s) > maxDBHost {
		return DBHost{}, fmt.Errorf("DB_HOST of %d bytes is no address: correct it in wp-config.php", len(s))
	}
	host, port, socket, ok := splitDBHost(s)
	if !ok {
		return DBHost{}, fmt.Errorf("DB_HOST %q is no address that WordPress can read: give a host, host:port or localhost:/path/of/socket", s)
	}
	// mysqlnd compares without regard to case and treats "" as localhost.
	if host == "" || strings.EqualFold(host, "localhost") {
		if socket == "" {
			socket = defaultSocket
		}
		if socket == "" {
			socket = mysqlSocket
		}
		return DBHost{"unix", socket}, nil
	}
	n := mysqlPort
	if port != "" {
		p, err := strconv.Atoi(port)
		if err != nil || p > 65535 {
			return DBHost{}, fmt.Errorf("DB_HOST %q: %s is no port: ports end at 65535", s, port)
		}
		if p > 0 {
			n = p
		}
	}
	return DBHost{"tcp", net.JoinHostPort(host, strconv.Itoa(n))}, nil
}

// splitDBHost is wpdb::parse_db_host: the socket starts at the first ":/", and
// more than one colon before it means IPv6.
func splitDBHost(s string) (host, port, socket string, ok bool) {
	if before, _, found := strings.Cut(s, ":/"); found {
		socket = s[len(before)+1:]
		s = before
	}
	if strings.Count(s, ":") <= 1 {
		host = s
		if i := strings.IndexAny(s, ":/"); i >= 0 {
			host = s[:i]
			if s[i] == ':' {
				port = digits(s[i+1:])
			}
		}
	} else {
		s, _ = strings.CutPrefix(s, "[")
		host = s[:prefixLen([]byte(s), len(s), func(c byte) bool { return isHex(c) || c == ':' })]
		if host == "" {
			return "", "", "", false
		}
		if rest, found := strings.CutPrefix(s[len(host):], "]:"); found {
			port = digits(rest)
		}
	}
	// PHP's empty() takes "0" for nothing.
	if host == "0" {
		host = ""
	}
	if port == "0" {
		port = ""
	}
	return host, port, socket, true
}

func digits(s string) string {
	return s[:prefixLen([]byte(s), len(s), isDigit)]
}
