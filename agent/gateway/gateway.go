// Package gateway knows the web server in front of PHP: the vhosts, taken from the running server's own dump of its
// configuration (`nginx -T`, `apache2 -t -D DUMP_CONFIG`), and the lines that it writes into its logs. From these it
// says which location takes a script, which FastCGI peers that location asks, and which parameters it sends; of Apache
// also whether it runs the script itself.
//
// It refuses to know what a site is, what a log line proves, and anything that the server itself would not tell: no
// path table, no file that the server does not name. Of the servers' languages it reads what stands between a request
// and PHP; the rest is passed over.
//
// Main invariant: what depends on something that is not understood (a variable set by a script, a regular expression
// that RE2 does not have) is unknown, with a reason, and never a guess. Any bytes are taken without a panic and with
// bounded work.
//
// Facts about nginx and Apache come from their source, by function name, unless another source stands beside them.
package gateway

import (
	"time"

	"wpmend/php/fpm"
	"wpmend/php/process"
)

// Gateway is one running web server. It is plain data and survives JSON, so that what was seen while it ran can be
// used when it does not.
type Gateway struct {
	Kind      string          // "nginx" or "apache"
	Process   process.Process // its master; zero when it is only remembered or came from a text
	Binary    string          // path of the master's binary
	Config    string          // main configuration file
	Prefix    string          // folder that relative roots and logs start from, without a slash at the end
	Version   string          // of the binary: "1.22.1"; "" unknown
	ErrorLogs []string        // of the server as a whole; files only
	User      uint32          // whom Apache's children run as, and with mod_php the sites' code; 0 for nginx
	Group     uint32
	Vhosts    []Vhost  // in the order of the configuration
	Problems  []string // what of the configuration could not be understood, "FILE:LINE: …"; bounded
	// LogUsers are the names of the vhosts that write failures of PHP or of another server to each log; at most
	// maxLogUsers of a log.
	LogUsers map[string][]string `json:",omitempty"`
}

// Vhost is one `server` of nginx, one <VirtualHost> of Apache or Apache's main server.
type Vhost struct {
	Names      []string // server_name as written, in lower case (a regular expression keeps its case)
	Listens    []Listen // TCP and unix listeners; QUIC ones are left out, since nothing of ours speaks it
	Root       string   // absolute, without a slash at the end; "" when it depends on the request
	ErrorLogs  []string // those in force at the level of the server; files only
	AccessLogs []string
	Returns    string // a `return` that answers every request before a location is looked for: "301 https://$host…"
	PHP        []PHPLocation
	Locations  []Location // all of them, as the order of search needs them
	TryFiles   []string   // of the server itself: for requests that no location takes
	Index      []string   // the same
	ModPHP     bool       // Apache itself runs /index.php; see RunsModPHP
	Rules      []Rule     `json:",omitempty"` // of Apache, which has them in the place of Locations
	File       string
	Line       int
}

// Listen is one address that a vhost accepts connections on.
type Listen struct {
	Host          string // "" is all IPv4 addresses, "::" all IPv6 ones (and IPv4 with ipv6only=off); no brackets
	Port          int
	TLS           bool // for nginx a property of the address: set when any vhost sets it there
	ProxyProtocol bool // the same
	Default       bool
	Unix          string // path; then Host and Port are empty
}

// Location is a place in the search for the location of a request. Only those with PHP ≥ 0 pass requests on to FastCGI.
type Location struct {
	Kind     string     // "" prefix | "=" | "^~" | "~" | "~*" | "@"
	Path     string     // prefix, regular expression or name
	PHP      int        // index into Vhost.PHP; -1 if it does not pass requests to FastCGI
	TryFiles []string   `json:",omitempty"`
	Index    []string   `json:",omitempty"`
	Inner    []Location `json:",omitempty"`
}

// PHPLocation is a location with fastcgi_pass, with all that it inherits; of Apache, a handler or ProxyPass that leads
// to FastCGI.
type PHPLocation struct {
	Match       string        // as written: `~ \.php$`
	Prefix      string        // path that it applies under, "" everywhere: that of the enclosing location, or the literal beginning of its own
	Root        string        // root, or what alias puts in the place of Alias; "" when it depends on the request
	Alias       string        // beginning of the path that Root replaces, "" when Root goes in front of the whole path
	Peers       []fpm.Address // those that take requests; nginx' "down" ones are left out
	Backups     []fpm.Address // asked only when no peer answers
	Unknown     string        // why Peers is empty
	Conditional string        // the `if` at which nginx may go on with other parameters or another root; Expand refuses then
	Params      []Param       // fastcgi_param in force, in order; a later one of the same name wins in PHP
	Sets        []Set         // variables that Params or Root need, in the order in which they get their values
	Maps        []Map         // the same, for `map`
	Split       string        // fastcgi_split_path_info, "" if none
	Index       string        // fastcgi_index, "" if none
	NoHeaders   bool          // fastcgi_pass_request_headers off: the request's headers are kept from PHP
	BufferSize  int64         // fastcgi_buffer_size in bytes; 0 = not set, one memory page
	ReadTimeout time.Duration // fastcgi_read_timeout, between two reads
	ErrorLogs   []string      // files only
	Proxy       *Proxy        `json:",omitempty"` // set for Apache, whose parameters are not written out in Params
	File        string
	Line        int
}

// Param is one fastcgi_param; Value may hold variables.
type Param struct {
	Name, Value string
	IfNotEmpty  bool
}

// Set gives a variable a value when a request enters the vhost or the location.
type Set struct {
	Name, Value string
	Literal     bool     // Value holds no variables, whatever it looks like
	If          []string // words of the condition that it depends on; nil if none
	Unknown     string   // why the value is not known, if the condition holds or cannot be judged
}

// Map is nginx' `map`: a variable that is looked up by the value of others.
type Map struct {
	Name, Source string
	Default      string
	Hostnames    bool // entries may be *.wild and wild.*
	Entries      []MapEntry
	Unknown      string // why it cannot be looked up
}

// MapEntry is one line of a map: a text, in lower case, or a regular expression ("~re", "~*re").
type MapEntry struct{ Match, Value string }
