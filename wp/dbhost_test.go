package wp

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestParseDBHost(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]DBHost{
		"localhost":                      {"unix", "/default.sock"},
		"LocalHost:3307":                 {"unix", "/default.sock"}, // mysqlnd takes the socket whatever the port
		"":                               {"unix", "/default.sock"},
		":3306":                          {"unix", "/default.sock"},
		":/tmp/my.sock":                  {"unix", "/tmp/my.sock"},
		"localhost:/tmp/my.sock":         {"unix", "/tmp/my.sock"},
		"localhost:3306:/tmp/my.sock":    {"unix", "/tmp/my.sock"},
		"127.0.0.1":                      {"tcp", "127.0.0.1:3306"},
		"127.0.0.1:3307":                 {"tcp", "127.0.0.1:3307"},
		"127.0.0.1:/tmp/my.sock":         {"tcp", "127.0.0.1:3306"},
		"db.example.com":                 {"tcp", "db.example.com:3306"},
		"db.example.com:":                {"tcp", "db.example.com:3306"},
		"db.example.com:0":               {"tcp", "db.example.com:3306"},
		"db.example.com:33x":             {"tcp", "db.example.com:33"},
		"db/x":                           {"tcp", "db:3306"},
		"::1":                            {"tcp", "[::1]:3306"},
		"[::1]":                          {"tcp", "[::1]:3306"},
		"[::1]:3307":                     {"tcp", "[::1]:3307"},
		"[2001:DB8::1]:3307:/tmp/x.sock": {"tcp", "[2001:DB8::1]:3307"},
	} {
		got, err := ParseDBHost(in, "/default.sock")
		if err != nil || got != want {
			t.Errorf("%q: %v %v, want %v", in, got, err, want)
		}
	}
	if got, err := ParseDBHost("localhost", ""); err != nil || got.Addr != "/run/mysqld/mysqld.sock" {
		t.Errorf("without a default socket: %v %v", got, err)
	}
	for in, want := range map[string]string{
		"db:65536":     `DB_HOST "db:65536": 65536 is no port: ports end at 65535`,
		"db:123456789": `DB_HOST "db:123456789": 123456789 is no port: ports end at 65535`,
		"x:y:z":        `DB_HOST "x:y:z" is no address that WordPress can read: give a host, host:port or localhost:/path/of/socket`,
		"a\x00b":       `DB_HOST "a\x00b" holds a NUL byte: correct it in wp-config.php`,
	} {
		if _, err := ParseDBHost(in, ""); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

// TestSplitDBHostLikeWordPress compares with wpdb::parse_db_host itself.
func TestSplitDBHostLikeWordPress(t *testing.T) {
	t.Parallel()
	hosts := []string{"", ":", "::", ":/", "0", "0:0", "[", "]", "[::1", "::1]", "[::1]x:2", "[::1]:", "a:b", "a:1:2", "a:1:/s:/t", "localhost:03306", "é:1", "::ffff:127.0.0.1", "\n::1", "a\n:1"}
	pieces := []string{"localhost", "127.0.0.1", "::1", "[", "]", ":", "/", "3306", "x", ":/run/s", "0", "f", " "}
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var b strings.Builder
		for range r.IntN(6) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		hosts = append(hosts, b.String())
	}
	in, err := json.Marshal(hosts)
	if err != nil {
		t.Fatal(err)
	}
	out := php(t, in, "-r", `function absint($n) { return abs((int) $n); }
		require '/usr/share/wordpress/wp-includes/class-wpdb.php';
		$db = (new ReflectionClass('wpdb'))->newInstanceWithoutConstructor();
		$out = [];
		foreach (json_decode(stream_get_contents(STDIN)) as $h) { $out[] = $db->parse_db_host($h); }
		echo json_encode($out);`)
	var answers []any
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(hosts) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for i, h := range hosts {
		host, port, socket, ok := splitDBHost(h)
		var got any = false
		if ok {
			list := []any{host, nil, nil, nil}
			if n, err := strconv.Atoi(port); err == nil {
				list[1] = float64(n)
			}
			if socket != "" {
				list[2] = socket
			}
			got = list
			answers[i].([]any)[3] = nil
		}
		if fmt.Sprint(got) != fmt.Sprint(answers[i]) {
			t.Errorf("%q: %v, WordPress has %v", h, got, answers[i])
		}
	}
}

func FuzzParseDBHost(f *testing.F) {
	for _, s := range []string{"localhost", "[::1]:3306:/x", ":/sock", "a:1", "::", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := ParseDBHost(s, "/d")
		if err == nil && (h.Network != "tcp" && h.Network != "unix" || h.Addr == "") {
			t.Fatalf("%q: %v", s, h)
		}
	})
}
