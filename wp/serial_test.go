package wp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSerialRoundTrip reads what PHP writes and writes the same.
func TestSerialRoundTrip(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("testdata/serialize.php")
	if err != nil {
		t.Fatal(err)
	}
	out := php(t, []byte("4711\n"), "-d", "serialize_precision=-1", "-r", strings.TrimPrefix(string(script), "<?php"))
	values := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(values) != 3000 {
		t.Fatalf("PHP made %d values", len(values))
	}
	for _, v := range values {
		b, err := base64.StdEncoding.DecodeString(string(v))
		if err != nil {
			t.Fatal(err)
		}
		n, err := Unserialize(b)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if got := n.Serialize(); !bytes.Equal(got, b) {
			t.Fatalf("%q became %q", b, got)
		}
	}
}

// TestSerialRejectsLikePHP breaks values and compares who still takes them:
// PHP must take all that we take.
func TestSerialRejectsLikePHP(t *testing.T) {
	t.Parallel()
	seeds := []string{`a:2:{i:0;s:15:"alpha/alpha.php";s:1:"k";b:1;}`, `i:-12;`, `d:0.5;`, `s:3:"a"b";`, `a:1:{i:0;a:1:{i:1;N;}}`, `d:-1.0E+25;`}
	var broken []string
	for _, s := range seeds {
		for i := range s {
			broken = append(broken, s[:i], s[:i]+s[i+1:], s[:i]+"0"+s[i:], s[:i]+"-"+s[i+1:], s[:i]+"9"+s[i+1:], s[:i]+";"+s[i+1:])
		}
	}
	in, err := json.Marshal(broken)
	if err != nil {
		t.Fatal(err)
	}
	var taken []bool
	out := php(t, in, "-d", "error_reporting=0", "-r", `echo json_encode(array_map(fn($s) => $s === 'b:0;' || @unserialize($s) !== false, json_decode(stream_get_contents(STDIN))));`)
	if err := json.Unmarshal(out, &taken); err != nil {
		t.Fatal(err)
	}
	for i, s := range broken {
		if n, err := Unserialize([]byte(s)); err == nil && !taken[i] {
			t.Errorf("%q: we read %+v, PHP rejects it", s, n)
		}
	}
}

func TestSerialErrors(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		``:                        `broken serialised value: at byte 0: it ends too early`,
		`x:1;`:                    `broken serialised value: at byte 0: 'x' begins no value`,
		`s:4:"abc";`:              `broken serialised value: at byte 9: no "\";" where one must be; the string before it is not 4 bytes long: the value was edited or cut off`,
		`s:2:"abc";`:              `broken serialised value: at byte 7: no "\";" where one must be; the string before it is not 2 bytes long: the value was edited or cut off`,
		`s:99:"abc";`:             `broken serialised value: at byte 6: a length of 99 where 5 bytes are left`,
		`a:1000000:{}`:            `broken serialised value: at byte 11: an array of 1000000 elements where 1 bytes are left`,
		`a:1:{d:1;N;}`:            `broken serialised value: at byte 5: a key of kind 'd'`,
		`i:01;`:                   `broken serialised value: at byte 2: "01" is no value of kind 'i'`,
		`i:99999999999999999999;`: `broken serialised value: at byte 2: "99999999999999999999" is no value of kind 'i'`,
		`b:2;`:                    `broken serialised value: at byte 2: "2" is no value of kind 'b'`,
		`d:0x1p3;`:                `broken serialised value: at byte 2: "0x1p3" is no value of kind 'd'`,
		`s:-1:"";`:                `broken serialised value: at byte 2: "-1" is no length`,
		`N;N;`:                    `broken serialised value: at byte 2: 2 bytes follow the value`,
		strings.Repeat(`a:1:{i:0;`, 200) + strings.Repeat(`N;`, 300): `broken serialised value: at byte 1157: nested more than 128 deep`,
	} {
		_, err := Unserialize([]byte(in))
		if err == nil || err.Error() != want || !errors.Is(err, ErrSerial) {
			t.Errorf("%.40q: %v, want %q", in, err, want)
		}
	}
	if _, err := Unserialize(make([]byte, maxSerial+1)); err == nil {
		t.Error("a value without bound was read")
	}
}

const threePlugins = `a:3:{i:0;s:15:"alpha/alpha.php";i:1;s:13:"beta/beta.php";i:2;s:9:"hello.php";}`

func TestPluginList(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		threePlugins: {"alpha/alpha.php", "beta/beta.php", "hello.php"},
		`a:1:{s:15:"alpha/alpha.php";i:1700000000;}`: {"alpha/alpha.php"},
		`a:2:{i:4;s:5:"b.php";i:2;s:6:"é.php";}`:     {"b.php", "é.php"},
		`a:2:{i:0;a:0:{}i:1;s:5:"b.php";}`:           {"b.php"},
		`a:0:{}`:                                     nil, ``: nil, `b:0;`: nil, `s:0:"";`: nil,
	} {
		if got, err := PluginList([]byte(in)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q %v, want %q", in, got, err, want)
		}
	}
	want := `list of plugins: broken serialised value: at byte 2: "x" is no length`
	if _, err := PluginList([]byte(`a:x:{}`)); err == nil || err.Error() != want {
		t.Errorf("%v, want %q", err, want)
	}
}

func TestInsertAndRemovePlugin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ list, file, want string }{
		{threePlugins, "beta/beta.php", threePlugins},
		{`a:2:{i:0;s:15:"alpha/alpha.php";i:2;s:9:"hello.php";}`, "beta/beta.php", threePlugins},
		{`a:2:{i:0;s:15:"alpha/alpha.php";i:1;s:13:"beta/beta.php";}`, "hello.php", threePlugins},
		{`a:2:{i:0;s:13:"beta/beta.php";i:1;s:9:"hello.php";}`, "alpha/alpha.php", threePlugins},
		{``, "hello.php", `a:1:{i:0;s:9:"hello.php";}`},
		{`b:0;`, "hello.php", `a:1:{i:0;s:9:"hello.php";}`},
		{`a:1:{i:0;s:7:"x/x.php";}`, "é/é.php", `a:2:{i:0;s:7:"x/x.php";i:1;s:9:"é/é.php";}`},
		// A plugin that put itself first stays there.
		{`a:2:{i:0;s:7:"z/z.php";i:1;s:7:"a/a.php";}`, "b/b.php", `a:3:{i:0;s:7:"z/z.php";i:1;s:7:"a/a.php";i:2;s:7:"b/b.php";}`},
	} {
		got, err := InsertPlugin([]byte(c.list), c.file)
		if err != nil || string(got) != c.want {
			t.Errorf("insert %q: %q %v, want %q", c.file, got, err, c.want)
		}
	}
	for _, c := range []struct{ list, file, want string }{
		{threePlugins, "beta/beta.php", `a:2:{i:0;s:15:"alpha/alpha.php";i:2;s:9:"hello.php";}`},
		{threePlugins, "gone.php", threePlugins},
		{`a:1:{s:9:"hello.php";i:17;}`, "hello.php", `a:0:{}`},
		{``, "hello.php", ``},
	} {
		got, err := RemovePlugin([]byte(c.list), c.file)
		if err != nil || string(got) != c.want {
			t.Errorf("remove %q: %q %v, want %q", c.file, got, err, c.want)
		}
	}
	got, err := InsertSitewide([]byte(`a:1:{s:9:"hello.php";i:17;}`), "a/a.php", 18)
	if want := `a:2:{s:9:"hello.php";i:17;s:7:"a/a.php";i:18;}`; err != nil || string(got) != want {
		t.Errorf("insert sitewide: %q %v, want %q", got, err, want)
	}
	if again, err := InsertSitewide(got, "a/a.php", 99); err != nil || !bytes.Equal(again, got) {
		t.Errorf("insert sitewide again: %q %v", again, err)
	}
	for name, f := range map[string]func([]byte, string) ([]byte, error){"insert": InsertPlugin, "remove": RemovePlugin} {
		if _, err := f([]byte(`a:1:{i:0;s:99:"x";}`), "y"); !errors.Is(err, ErrSerial) {
			t.Errorf("%s into a broken list: %v", name, err)
		}
	}
}

// TestInsertLikeWordPress activates and deactivates as PHP does it.
func TestInsertLikeWordPress(t *testing.T) {
	t.Parallel()
	files := []string{"akismet/akismet.php", "hello.php", "Zed/zed.php", "a-b/x.php", "a/b.php", "wordfence/wordfence.php", "1/1.php", "2.php", "10.php"}
	in, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	out := php(t, in, "-r", `$now = []; $out = [];
		foreach (json_decode(stream_get_contents(STDIN)) as $f) { $now[] = $f; sort($now); $out[] = serialize($now); }
		echo json_encode($out);`)
	var want []string
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	list := []byte("a:0:{}")
	for i, f := range files {
		if list, err = InsertPlugin(list, f); err != nil || string(list) != want[i] {
			t.Fatalf("after %q: %q %v, WordPress has %q", f, list, err, want[i])
		}
	}
}

func FuzzUnserialize(f *testing.F) {
	for _, s := range []string{threePlugins, `O:5:"Plain":2:{s:1:"a";N;s:4:"` + "\x00*\x00b" + `";i:1;}`, `C:11:"ArrayObject":2:{x}}`, `E:11:"Suit:Hearts";`,
		`a:2:{i:0;O:8:"stdClass":0:{}i:1;r:2;}`, `d:-INF;`, `d:1.0E+25;`, `N;`, `a:1:{i:0;R:1;}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Unserialize(b)
		if err != nil {
			return
		}
		if got := n.Serialize(); !bytes.Equal(got, b) {
			t.Fatalf("%q became %q", b, got)
		}
		list, err := InsertPlugin(b, "a/a.php")
		if err != nil {
			t.Fatal(err)
		}
		files, err := PluginList(list)
		if err != nil || !slices.Contains(files, "a/a.php") {
			t.Fatalf("%q has %q, %v", list, files, err)
		}
	})
}
