package wp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
)

// TestSwapOptionKeepsBytes swaps values that character sets would spoil.
func TestSwapOptionKeepsBytes(t *testing.T) {
	t.Parallel()
	s := database(t)
	ctx := context.Background()
	values := map[string]string{
		"ascii":   threePlugins,
		"emoji":   "a:1:{i:0;s:4:\"😀\";}",
		"umlaut":  "s:2:\"é\";",
		"quotes":  "a'b\"c\\d\x00e\r\n%_`",
		"empty":   "",
		"spaces":  "a  ",
		"latin1":  "caf\xe9",
		"broken":  "\xf0\x9f\x98 \xff\xfe",
		"control": "\x01\x02\x1a",
	}
	for _, charset := range []string{"utf8mb4", "latin1", "utf8mb3", "binary"} {
		t.Run(charset, func(t *testing.T) {
			name := "bytes_" + charset
			d := open(t, s.shop(t, name, charset))
			for label, v := range values {
				// What a table cannot hold must be refused, not cut off.
				holds := charset == "latin1" || charset == "binary" || label != "latin1" && label != "broken" && (label != "emoji" || charset == "utf8mb4")
				s.set(t, name, label, []byte("before"))
				ok, err := d.SwapOption(ctx, label, []byte("before"), []byte(v))
				if !holds {
					if err == nil || ok || s.get(t, name, label) != "before" {
						t.Errorf("%s: %v %v, and it is %q now", label, ok, err, s.get(t, name, label))
					}
					continue
				}
				if err != nil || !ok || s.get(t, name, label) != v {
					t.Errorf("%s: %v %v, and it is %q now", label, ok, err, s.get(t, name, label))
				}
				got, err := d.Option(ctx, label)
				if err != nil || string(got) != v {
					t.Errorf("%s: read %q, %v", label, got, err)
				}
				if ok, err := d.SwapOption(ctx, label, got, got); !ok || err != nil {
					t.Errorf("%s: the same value: %v %v", label, ok, err)
				}
				for _, wrong := range []string{v + " ", "A" + v, strings.ToUpper(v) + "x"} {
					if ok, err := d.SwapOption(ctx, label, []byte(wrong), []byte("no")); ok || err != nil {
						t.Errorf("%s: swapped though it is not %q: %v", label, wrong, err)
					}
				}
				if ok, err := d.SwapOption(ctx, label, []byte(v), []byte("before")); !ok || err != nil || s.get(t, name, label) != "before" {
					t.Errorf("%s: back: %v %v", label, ok, err)
				}
			}
		})
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	s := database(t)
	ctx := context.Background()
	d := open(t, s.shop(t, "options", "utf8mb4"))
	s.set(t, "options", "active_plugins", []byte(threePlugins))
	s.set(t, "options", "template", []byte("astra"))
	s.set(t, "options", "stylesheet", []byte("astra-child"))
	s.set(t, "options", "_transient_x", []byte("1"))

	got, err := d.Options(ctx, "template", "active_plugins", "none")
	if want := map[string][]byte{"template": []byte("astra"), "active_plugins": []byte(threePlugins)}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q %v", got, err)
	}
	_, err = d.Option(ctx, "none")
	want := fmt.Sprintf(`no such option: "none" in database "options" at 127.77.1.1:%d, tables wp_…`, s.port)
	if !errors.Is(err, ErrNoOption) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if ok, err := d.SwapOption(ctx, "none", nil, []byte("x")); ok || err != nil {
		t.Errorf("swapped an option that is not there: %v", err)
	}
	a, err := ReadActive(ctx, d)
	if want := (ActiveState{Plugins: []string{"alpha/alpha.php", "beta/beta.php", "hello.php"}, Template: "astra", Stylesheet: "astra-child"}); err != nil || !reflect.DeepEqual(a, want) {
		t.Errorf("%+v %v", a, err)
	}

	before, err := d.RawOptions(ctx)
	if err != nil || len(before) != 3 || len(before["template"]) != 64 {
		t.Errorf("raw options: %v %v", before, err)
	}
	s.set(t, "options", "template", []byte("Astra"))
	after, err := d.RawOptions(ctx)
	if err != nil || before["template"] == after["template"] || before["stylesheet"] != after["stylesheet"] {
		t.Errorf("raw options: %v, then %v, %v", before, after, err)
	}

	s.set(t, "options", "active_plugins", []byte(`a:1:{i:0;s:99:"x";}`))
	if _, err := ReadActive(ctx, d); !errors.Is(err, ErrSerial) || !strings.HasPrefix(err.Error(), `option active_plugins of database "options" at 127.77.1.1:`) {
		t.Errorf("a broken list: %v", err)
	}
	if _, err := d.SwapOption(ctx, "template", nil, make([]byte, maxOption+1)); err == nil || err.Error() != `set option "template": the value is too large: more than 4194304 bytes are not written` {
		t.Errorf("a large option: %v", err)
	}
}

func TestNetworkPlugins(t *testing.T) {
	t.Parallel()
	s := database(t)
	ctx := context.Background()
	single := s.shop(t, "network", "utf8mb4")
	c := single.with("MULTISITE", "1")
	d := open(t, c)
	if b, err := d.NetworkPlugins(ctx); b != nil || err != nil {
		t.Errorf("without the table: %q %v", b, err)
	}
	s.run(t, "CREATE TABLE network.wp_sitemeta (meta_id bigint(20) NOT NULL auto_increment PRIMARY KEY, site_id bigint(20) NOT NULL default '0', meta_key varchar(255), meta_value longtext)",
		`INSERT INTO network.wp_sitemeta (site_id, meta_key, meta_value) VALUES (2, 'active_sitewide_plugins', 'a:0:{}'), (1, 'active_sitewide_plugins', 'a:1:{s:15:"alpha/alpha.php";i:1700000000;}')`)
	a, err := ReadActive(ctx, d)
	if err != nil || !reflect.DeepEqual(a.Network, []string{"alpha/alpha.php"}) {
		t.Errorf("%+v %v", a, err)
	}
	raw, err := d.RawOptions(ctx)
	if err != nil || raw["network:active_sitewide_plugins"] == "" {
		t.Errorf("%v %v", raw, err)
	}
	old, err := d.NetworkPlugins(ctx)
	if err != nil {
		t.Fatal(err)
	}
	changed, err := RemovePlugin(old, "alpha/alpha.php")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := d.SwapNetworkPlugins(ctx, old, changed); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if ok, err := d.SwapNetworkPlugins(ctx, old, changed); ok || err != nil {
		t.Errorf("a second time: %v %v", ok, err)
	}
	if a, err := ReadActive(ctx, open(t, single)); err != nil || a.Network != nil {
		t.Errorf("a site that left its network: %+v %v", a, err)
	}
	other := open(t, c.with("SITE_ID_CURRENT_SITE", "2"))
	if b, err := other.NetworkPlugins(ctx); err != nil || string(b) != "a:0:{}" {
		t.Errorf("network 2: %q %v", b, err)
	}
}

// TestBlogs: options of blogs are called by the blog's number, and what a network
// has switched on is known without trusting its tables.
func TestBlogs(t *testing.T) {
	t.Parallel()
	s := database(t)
	ctx := context.Background()
	single := s.shop(t, "blogs", "utf8mb4")
	c := single.with("MULTISITE", "1")
	s.run(t, "CREATE TABLE blogs.wp_blogs (blog_id bigint(20) PRIMARY KEY, site_id bigint(20), archived tinyint, spam tinyint, deleted tinyint)")
	s.set(t, "blogs", "active_plugins", []byte(`a:1:{i:0;s:9:"one/a.php";}`))
	s.set(t, "blogs", "template", []byte("main"))
	s.set(t, "blogs", "blog-2:template", []byte("called like blog 2's"))
	for blog, list := range map[int]string{2: `a:1:{i:0;s:9:"two/b.php";}`, 3: "a:0:{}", 4: `a:9:{broken`, 5: strings.Repeat("x", maxBlogOption+1), 6: `a:1:{i:0;s:9:"six/c.php";}`, 7: `a:1:{i:0;s:9:"net/d.php";}`} {
		s.run(t, fmt.Sprintf("CREATE TABLE blogs.wp_%d_options LIKE blogs.wp_options", blog),
			fmt.Sprintf("INSERT INTO blogs.wp_%d_options (option_name, option_value) VALUES ('active_plugins', '%s'), ('template', 'parent'), ('stylesheet', 'child-%d')", blog, list, blog))
	}
	s.run(t, "INSERT INTO blogs.wp_blogs VALUES (1,1,0,0,0), (2,1,0,0,0), (3,1,0,0,0), (4,1,0,0,0), (5,1,0,0,0), (6,1,0,1,0), (7,2,0,0,0), (8,1,0,0,0), (-9,1,0,0,0)")
	d := open(t, c)
	a, err := ReadActive(ctx, d)
	want := ActiveState{Plugins: []string{"one/a.php"}, Template: "main", Blogs: map[int64][]string{2: {"two/b.php"}},
		Themes: []string{"child-2", "child-3", "child-4", "child-5", "parent"}, BlogsUnread: 2}
	if err != nil || !reflect.DeepEqual(a, want) {
		t.Errorf("%+v %v", a, err)
	}
	if a, err := ReadActive(ctx, open(t, single)); err != nil || a.Blogs != nil || a.Themes != nil {
		t.Errorf("a site that left its network: %+v %v", a, err)
	}
	got, err := d.Options(ctx, "template", "blog-1:template", "blog-2:template", "blog-3:stylesheet", "blog-8:template", "blog-02:template", "network:x")
	if fmt.Sprintf("%s", got) != "map[blog-1:template:main blog-2:template:parent blog-3:stylesheet:child-3 template:main]" || err != nil {
		t.Errorf("%s %v", got, err)
	}
	before, err := d.RawOptions(ctx)
	if err != nil || len(before) != 2+3*4 || before["blog-2:active_plugins"] == "" || before["template"] == before["blog-2:template"] {
		t.Errorf("raw options: %v %v", before, err)
	}
	if ok, err := d.SwapOption(ctx, "blog-2:template", []byte("parent"), []byte("other")); !ok || err != nil {
		t.Errorf("swap: %v %v", ok, err)
	}
	for _, name := range []string{"blog-8:template", "blog-2:none"} {
		if ok, err := d.SwapOption(ctx, name, nil, []byte("x")); ok || err != nil && !errors.Is(err, ErrNoTable) {
			t.Errorf("%s: swapped what is not there: %v", name, err)
		}
	}
	after, err := d.RawOptions(ctx)
	if err != nil || before["blog-2:template"] == after["blog-2:template"] || before["template"] != after["template"] {
		t.Errorf("raw options: %v, then %v, %v", before, after, err)
	}
	second := open(t, c.with("BLOG_ID_CURRENT_SITE", "2"))
	if v, err := second.Option(ctx, "template"); string(v) != "other" || err != nil {
		t.Errorf("blog 2 as the main one: %q %v", v, err)
	}
	if _, err := open(t, single).Option(ctx, "blog-2:template"); !errors.Is(err, ErrNoOption) {
		t.Errorf("blog 2 of a site that is no network: %v", err)
	}
}

func FuzzBlogOption(f *testing.F) {
	for _, name := range []string{"template", "blog-2:template", "blog-02:x", "blog--1:x", "blog-:x", "blog-9223372036854775808:x", "blog-1", "network:x", "blog-2:blog-3:x"} {
		f.Add(name)
	}
	d := &Database{prefix: "wp_", network: true, mainBlog: 1}
	f.Fuzz(func(t *testing.T, name string) {
		blog, key, ok := cutBlog(name)
		if ok && (blog < 1 || fmt.Sprintf("blog-%d:%s", blog, key) != name) {
			t.Errorf("%q is option %q of blog %d", name, key, blog)
		}
		if at, _ := d.stored(name); !prefixes.MatchString(at.table) {
			t.Errorf("%q lies in table %q", name, at.table)
		}
	})
}

// TestIdentity: however a server is reached, it is the same one.
func TestIdentity(t *testing.T) {
	t.Parallel()
	s := database(t)
	c := s.shop(t, "ident", "utf8mb4")
	s.run(t, "CREATE DATABASE ident2")
	t.Cleanup(func() { s.run(t, "DROP DATABASE ident2") })
	s.run(t, "GRANT ALL ON ident2.* TO ident")
	tcp := open(t, c)
	socket := open(t, c.with("DB_HOST", "localhost:"+s.socket))
	if tcp.Identity() != socket.Identity() || !strings.HasSuffix(tcp.Identity(), ` database "ident" prefix "wp_"`) {
		t.Errorf("%s and %s", tcp.Identity(), socket.Identity())
	}
	for _, other := range []Config{c.with("$table_prefix", "wp2_"), c.with("DB_NAME", "ident2")} {
		if d := open(t, other); d.Identity() == tcp.Identity() {
			t.Errorf("another site has the same identity: %s", d.Identity())
		}
	}
}

func TestOpenDatabaseErrors(t *testing.T) {
	t.Parallel()
	s := database(t)
	ctx := context.Background()
	c := s.shop(t, "errors", "utf8mb4")
	at := fmt.Sprintf("127.77.1.1:%d", s.port)
	unknown := c.with()
	unknown.Constants["DB_PASSWORD"] = Value{File: "/srv/wp-config.php", Line: 7, Why: "getenv()"}
	missing := c.with()
	delete(missing.Constants, "DB_USER")
	prefix := c.with()
	prefix.Prefix = Value{File: "/srv/wp-config.php", Line: 9, Why: "$_SERVER"}
	for name, x := range map[string]struct {
		c    Config
		kind error
		want string
	}{
		"unknown":         {unknown, ErrUnknown, "the value is computed by PHP: DB_PASSWORD in /srv/wp-config.php, line 7 (getenv()); only WordPress itself can tell it"},
		"unknown prefix":  {prefix, ErrUnknown, "the value is computed by PHP: $table_prefix in /srv/wp-config.php, line 9 ($_SERVER); only WordPress itself can tell it"},
		"missing":         {missing, nil, "DB_USER is not defined in /srv/wp-config.php: add it there"},
		"prefix":          {c.with("$table_prefix", "wp_`; DROP"), nil, "$table_prefix in /srv/wp-config.php, line 2 is \"wp_`; DROP\": only letters, digits, _ and $ can be in it"},
		"empty prefix":    {c.with("$table_prefix", ""), nil, "$table_prefix in /srv/wp-config.php, line 2 is \"\": only letters, digits, _ and $ can be in it"},
		"host":            {c.with("DB_HOST", "db:99999"), nil, `DB_HOST "db:99999": 99999 is no port: ports end at 65535`},
		"password":        {c.with("DB_PASSWORD", "hunter2"), ErrCredentials, `the database refuses the site's user: database "errors" at ` + at + `, tables wp_… (Error 1045 (28000): Access denied for user 'errors'@'localhost' (using password: YES)): compare DB_USER and DB_PASSWORD with the server's`},
		"other database":  {c.with("DB_NAME", "mysql"), ErrCredentials, ""},
		"refused":         {c.with("DB_HOST", "127.77.1.3:1"), ErrDatabaseDown, `the database does not answer: database "errors" at 127.77.1.3:1, tables wp_…: dial tcp 127.77.1.3:1: connect: connection refused`},
		"missing socket":  {c.with("DB_HOST", ":/nowhere/s"), ErrDatabaseDown, `the database does not answer: database "errors" at /nowhere/s, tables wp_…: dial unix /nowhere/s: connect: no such file or directory`},
		"missing, as www": {Config{File: c.File, Owner: 33, Prefix: c.Prefix, Constants: c.with("DB_HOST", ":/nowhere/s").Constants}, ErrDatabaseDown, `the database does not answer: database "errors" at /nowhere/s, tables wp_…: dial unix /nowhere/s: connect: no such file or directory`},
	} {
		d, err := OpenDatabase(ctx, x.c, "")
		if err == nil {
			d.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		if x.kind != nil && !errors.Is(err, x.kind) || x.want != "" && err.Error() != x.want {
			t.Errorf("%s: %v\nwant %s", name, err, x.want)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s tells the password: %v", name, err)
		}
	}
	s.run(t, "GRANT ALL ON `no\\_such`.* TO errors")
	_, err := OpenDatabase(ctx, c.with("DB_NAME", "no_such"), "")
	if want := `the database does not exist: database "no_such" at ` + at + `, tables wp_… (Error 1049 (42000): Unknown database 'no_such'): correct DB_NAME, or restore the database`; !errors.Is(err, ErrNoDatabase) || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	_, err = ReadActive(ctx, open(t, c.with("$table_prefix", "x_")))
	if want := `read options: a table is missing: database "errors" at ` + at + `, tables x_… (Error 1146 (42S02): Table 'errors.x_options' doesn't exist): correct $table_prefix, or restore the table`; !errors.Is(err, ErrNoTable) || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	s.run(t, "ALTER USER errors WITH MAX_USER_CONNECTIONS 1")
	open(t, c)
	if _, err := OpenDatabase(ctx, c, ""); !errors.Is(err, ErrDatabaseDown) {
		t.Errorf("one connection too many: %v", err)
	}
}

// TestSocketAsOwner: a customer who writes DB_USER = root into his settings
// must not get root's account at the server, which trusts the user id alone.
func TestSocketAsOwner(t *testing.T) {
	t.Parallel()
	s := database(t)
	ctx := context.Background()
	c := s.shop(t, "owner", "utf8mb4").with("DB_USER", "root", "DB_PASSWORD", "", "DB_HOST", "localhost:"+s.socket)
	s.run(t, "CREATE USER `www-data`@localhost IDENTIFIED VIA unix_socket", "GRANT ALL ON owner.* TO `www-data`@localhost")
	t.Cleanup(func() { s.run(t, "DROP USER `www-data`@localhost") })

	d, err := OpenDatabase(ctx, c, "")
	if err != nil {
		t.Fatalf("as root, the account must open, or this test shows nothing: %v", err)
	}
	d.Close()
	c.Owner = 33
	if _, err := OpenDatabase(ctx, c, ""); !errors.Is(err, ErrCredentials) {
		t.Errorf("a customer is root at the server: %v", err)
	}
	d, err = OpenDatabase(ctx, c.with("DB_USER", "www-data"), "")
	if err != nil {
		t.Errorf("the owner's own account: %v", err)
	} else {
		d.Close()
	}
	// An id without a name, a path that only root may go.
	c.Owner = 54321
	if _, err := OpenDatabase(ctx, c, ""); !errors.Is(err, ErrCredentials) {
		t.Errorf("a user without a name: %v", err)
	}
	closed, err := os.MkdirTemp("/tmp", "wpdb")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(closed)
	if err := os.Symlink(s.socket, filepath.Join(closed, "s")); err != nil {
		t.Fatal(err)
	}
	_, err = OpenDatabase(ctx, c.with("DB_HOST", ":"+closed+"/s"), "")
	if !errors.Is(err, ErrDatabaseDown) || !errors.Is(err, os.ErrPermission) {
		t.Errorf("a socket in root's folder: %v", err)
	}
	// The threads that dialled are root's again.
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if d, err := OpenDatabase(ctx, c.with("DB_USER", "www-data"), ""); err == nil {
				d.Close()
			}
			if b, err := os.ReadFile("/proc/thread-self/status"); err != nil || !strings.Contains(string(b), "\nUid:\t0\t0\t0\t0\n") || !strings.Contains(string(b), "\nGid:\t0\t0\t0\t0\n") {
				t.Errorf("a thread is not root's: %v %.300s", err, b)
			}
		})
	}
	wait.Wait()
}

// TestSwapOptionOnce lets many try to change one value: one may.
func TestSwapOptionOnce(t *testing.T) {
	t.Parallel()
	s := database(t)
	c := s.shop(t, "races", "utf8mb4")
	s.set(t, "races", "active_plugins", []byte("old"))
	won := make(chan string, 20)
	var wait sync.WaitGroup
	for i := range 20 {
		d := open(t, c)
		wait.Go(func() {
			mine := fmt.Sprint("new", i)
			ok, err := d.SwapOption(context.Background(), "active_plugins", []byte("old"), []byte(mine))
			if err != nil {
				t.Error(err)
			}
			if ok {
				won <- mine
			}
		})
	}
	wait.Wait()
	if got := s.get(t, "races", "active_plugins"); len(won) != 1 || got != <-won {
		t.Errorf("the value is %q, %d more won", got, len(won))
	}
}

// TestSwapOptionLocked: after the time that is waited for a lock, nothing must
// be written behind the caller's back.
func TestSwapOptionLocked(t *testing.T) {
	t.Parallel()
	s := database(t)
	d := open(t, s.shop(t, "locked", "utf8mb4"))
	s.set(t, "locked", "x", []byte("old"))
	tx, err := s.admin.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("UPDATE locked.wp_options SET autoload = 'no'"); err != nil {
		t.Fatal(err)
	}
	ok, err := d.SwapOption(context.Background(), "x", []byte("old"), []byte("new"))
	if rerr := tx.Rollback(); rerr != nil {
		t.Fatal(rerr)
	}
	if ok || err == nil || !strings.Contains(err.Error(), "Lock wait timeout exceeded") {
		t.Errorf("%v %v", ok, err)
	}
	if got := s.get(t, "locked", "x"); got != "old" {
		t.Errorf("it is %q", got)
	}
}
