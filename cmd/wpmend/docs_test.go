package main

import (
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"wpmend/agent/config"
)

// documents are what people read, from the repository's root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, pattern := range []string{"*.md", "packaging/*.md", "packaging/*/*.md"} {
		files, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[strings.TrimPrefix(file, "../../")] = string(text)
		}
	}
	for _, must := range []string{"README.md", "packaging/SECURITY.md", "packaging/docs/owners.md", "packaging/docs/panel-developers.md", "packaging/panels/README.md", "packaging/wp-cli/README.md"} {
		if all[must] == "" {
			t.Errorf("there is no %s", must)
		}
	}
	return all
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// Every link and picture of the documents leads somewhere, also within the packages, and every
// picture says in words what it shows.
func TestDocumentsLinks(t *testing.T) {
	t.Parallel()
	spec, err := os.ReadFile("../../packaging/nfpm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, err := url.Parse(m[1])
			if err != nil || to.IsAbs() || to.Path == "" {
				continue
			}
			at := filepath.Join(filepath.Dir(file), to.Path)
			if _, err := os.Stat(filepath.Join("../..", at)); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
			// The packages hold the documents in the folders they have here.
			if strings.HasPrefix(file, "packaging/docs/") || file == "README.md" {
				if !slices.ContainsFunc(packed(string(spec)), func(p string) bool { return at == p || strings.HasPrefix(at, strings.TrimSuffix(p, "/")+"/") }) {
					t.Errorf("%s links to %s, which the packages do not put beside it", file, m[1])
				}
			}
		}
		if strings.Contains(text, "![](") {
			t.Errorf("%s has a picture without words", file)
		}
	}
}

// packed are the files that the packages put below their README's folder.
func packed(spec string) (paths []string) {
	for _, m := range regexp.MustCompile(`dst: /usr/share/doc/wpmend/(\S+)`).FindAllStringSubmatch(spec, -1) {
		paths = append(paths, m[1])
	}
	return paths
}

var (
	fenced = regexp.MustCompile("(?ms)^\\s*```(\\w*)\n(.*?)^\\s*```")
	inline = regexp.MustCompile("`([^`\n]+)`")
)

// code gives what a document shows as code: the lines of its blocks, and the words in line.
func code(text string) (lines []string, toml []string) {
	for _, m := range fenced.FindAllStringSubmatch(text, -1) {
		if m[1] == "toml" {
			toml = append(toml, m[2])
		}
		lines = append(lines, strings.Split(m[2], "\n")...)
	}
	for _, m := range inline.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		lines = append(lines, m[1])
	}
	return lines, toml
}

var commandLine = regexp.MustCompile(`^\s*(?:[$#] )?(?:.*(?:&&|;) )?(?:sudo |exec /usr/bin/)?wpmend ((?:--?\w|[a-z]).*)`)

// Every command line of the documents is one that wpmend takes: its words and its flags exist.
func TestDocumentsCommands(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for file, text := range documents(t) {
		lines, _ := code(text)
		for _, l := range lines {
			m := commandLine.FindStringSubmatch(l)
			if m == nil || strings.Contains(l, "wp mend") {
				continue
			}
			words := strings.FieldsFunc(regexp.MustCompile(`\s+#.*|  .*|\s+[|&>].*|;.*`).ReplaceAllString(m[1], ""), func(r rune) bool { return strings.ContainsRune(" []…", r) })
			for i := range words {
				words[i] = strings.Trim(words[i], "`")
			}
			root := newRoot(&invocation{})
			root.InitDefaultCompletionCmd()
			wordsOf(t, root, words, file+": "+l, seen)
		}
	}
	for _, c := range []string{"wpmend check", "wpmend incidents undo", "wpmend php limits", "wpmend doctor", "wpmend service install", "wpmend panel detect"} {
		if !seen[c] {
			t.Errorf("no document names %s", c)
		}
	}
}

// wordsOf follows words down the tree of commands; a|b stands for each of them.
func wordsOf(t *testing.T, c *cobra.Command, words []string, where string, seen map[string]bool) {
	t.Helper()
	for i, word := range words {
		if flag, ok := strings.CutPrefix(word, "--"); ok {
			name, _, _ := strings.Cut(flag, "=")
			if name != "help" && c.Flags().Lookup(name) == nil && c.InheritedFlags().Lookup(name) == nil && c.PersistentFlags().Lookup(name) == nil {
				t.Errorf("%s: %s has no flag --%s", where, c.CommandPath(), name)
			}
			continue
		}
		alternatives := strings.FieldsFunc(word, func(r rune) bool { return r == '|' || r == '\\' })
		if !c.HasSubCommands() || len(alternatives) == 0 {
			continue
		}
		for _, a := range alternatives {
			if a == strings.ToUpper(a) || i > 0 && strings.HasPrefix(words[i-1], "--") {
				continue // SITE, ID, or a flag's value
			}
			next, _, err := c.Find([]string{a})
			if err != nil || next == c {
				t.Errorf("%s: %s has no command %q", where, c.CommandPath(), a)
				return
			}
			seen[next.CommandPath()] = true
			wordsOf(t, next, words[i+1:], where, seen)
		}
		return
	}
}

var configKey = regexp.MustCompile(`^(?:\[(\w+)\] )?([a-z_]+(?:\.[a-z_]+)?)(?: = .*)?$`)

// Every key of the configuration that the documents name exists, and their examples are valid.
func TestDocumentsConfiguration(t *testing.T) {
	t.Parallel()
	known, tables := map[string]bool{}, map[string]bool{}
	for _, k := range config.Default().Keys() {
		known[k.Name] = true
		if table, _, ok := strings.Cut(k.Name, "."); ok {
			tables[table] = true
		}
	}
	named := 0
	for file, text := range documents(t) {
		lines, toml := code(text)
		for _, l := range lines {
			m := configKey.FindStringSubmatch(strings.TrimSpace(l))
			if m == nil {
				continue
			}
			key := m[2]
			if m[1] != "" {
				key = m[1] + "." + key
			}
			table, _, dotted := strings.Cut(key, ".")
			if !dotted || !tables[table] {
				continue
			}
			named++
			if !known[key] {
				t.Errorf("%s names the key %s, which does not exist", file, key)
			}
		}
		for i, text := range toml {
			path := filepath.Join(t.TempDir(), "wpmend.toml")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(path); err != nil {
				t.Errorf("%s: example %d is no configuration: %v", file, i+1, err)
			}
		}
	}
	if named < 8 {
		t.Errorf("only %d keys were found in the documents", named)
	}
}

var v1Route = regexp.MustCompile(`/v1/[\w./{}-]*[\w}]`)

// Every route of the API that the documents name is in the OpenAPI document.
func TestDocumentsRoutes(t *testing.T) {
	t.Parallel()
	document := described(t)
	variable := regexp.MustCompile(`\{\w+\}`)
	var patterns []*regexp.Regexp
	for _, path := range document {
		parts := variable.Split(path, -1)
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		patterns = append(patterns, regexp.MustCompile("^"+strings.Join(parts, `[^/]+`)+"$"))
	}
	named := map[string]bool{}
	for file, text := range documents(t) {
		for _, route := range v1Route.FindAllString(text, -1) {
			named[route] = true
			if !slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(route) }) {
				t.Errorf("%s names %s, which the OpenAPI document does not have", file, route)
			}
		}
	}
	if len(named) < 15 {
		t.Errorf("only %d routes were found in the documents", len(named))
	}
}

// described are the paths of the document that a service serves.
func described(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "wpmend-docs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, conf := filepath.Join(dir, "api.sock"), filepath.Join(dir, "wpmend.toml")
	if err := os.WriteFile(conf, []byte("only = [\"/nowhere\"]\nedge.ask = false\napi.socket = \""+socket+"\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run := wpmend("--config", conf, "--state", filepath.Join(dir, "state"), "run")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	defer run.Wait()
	defer run.Process.Signal(os.Interrupt)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	var r *http.Response
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if r, err = client.Get("http://localhost/v1/openapi.json"); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	defer r.Body.Close()
	var document struct{ Paths map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(maps.Keys(document.Paths))
}
