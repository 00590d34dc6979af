package ini

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// pieces make up random files; the names are no constants of PHP's.
var pieces = []string{"max_execution_time", "xa", "xb.c", "xd", " = ", "=", "=", "\n", "\n", "\n", "\r\n", "\r", "128M", "30", "-1", " ", "\t", "; note", ";", "\"", "\"", "\"q;=x\"",
	"'", "'s'", "\\", "\\\"", "on", "Off", "none", "yes ", "[PATH=/a]", "[php]", "[", "]", "[k]", "a b", "#", "é", "{", "}", "/run/x.sock", ",", "$", ":", "?", "@", "xa = 1\n", "\nxb.c = \"two\nlines\"\n"}

// TestAgainstPHP reads random files and compares with what PHP itself makes of them.
func TestAgainstPHP(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 2))
	var texts [][]byte
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.IntN(14) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		texts = append(texts, []byte(b.String()))
	}
	var in bytes.Buffer
	for _, text := range texts {
		in.WriteString(base64.StdEncoding.EncodeToString(text) + "\n")
	}
	cmd := exec.Command("/usr/bin/php8.2", "-n", "-d", "display_errors=0", "-d", "log_errors=0", "-r", `
		while (($l = fgets(STDIN)) !== false) {
			$v = @parse_ini_string(base64_decode($l), false);
			if ($v === false) { echo "false\n"; continue; }
			$o = [];
			foreach ($v as $k => $x) {
				if (is_array($x)) { foreach ($x as $i => $y) $o[base64_encode($k . "[" . $i . "]")] = base64_encode($y); }
				else $o[base64_encode($k)] = base64_encode($x);
			}
			echo json_encode((object) $o), "\n";
		}`)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ask PHP: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != len(texts) {
		t.Fatalf("PHP answered %d of %d", len(lines), len(texts))
	}
	agreed, both, bad, stricter := 0, 0, 0, 0
	for i, text := range texts {
		if bad > 10 {
			break
		}
		f, err := Parse(text)
		if lines[i] == "false" {
			if err == nil {
				bad++
				t.Errorf("%q: read without an error, PHP refuses it: %+v", text, f.Entries())
			}
			continue
		}
		if err != nil {
			stricter++
			continue
		}
		both++
		var encoded map[string]string
		if err := json.Unmarshal([]byte(lines[i]), &encoded); err != nil {
			t.Fatal(err)
		}
		want, got := map[string]string{}, map[string]string{}
		for k, v := range encoded {
			want[decode(t, k)] = decode(t, v)
		}
		computed := false
		for _, e := range f.Entries() {
			// A name that is set plainly and with brackets is one array to PHP.
			computed = computed || e.Computed || strings.Contains(e.Name, "[")
			got[e.Name] = e.Value
		}
		if last := text[len(text)-1]; !computed && last != ' ' && last != '\t' && !maps.Equal(got, want) {
			bad++
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
			continue
		}
		agreed++
	}
	t.Logf("%d files that both read, %d alike, %d that only PHP reads", both, agreed, stricter)
}

func decode(t *testing.T, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
