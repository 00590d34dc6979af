package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/history"
	"wpmend/packaging/lab"
)

// The users of two sites on one host.
const (
	wpAlice = 24101
	wpBob   = 24102
)

// `wp mend` as the site's own user, on a site that answers nothing but fatal errors. wp-cli is
// in no package of Debian: a stand-in of its documented interface runs the command, or the wp
// that WPMEND_TEST_WP names.
func TestWPCLI(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 10, UID: wpAlice}, `mode = "observe"`, `watch.every = "1h"`)
	other := lab.New(t, lab.Options{Plugins: 1, UID: wpBob})
	config, err := os.ReadFile(s.config)
	s.must(err)
	s.write(s.config, strings.Replace(string(config), "only = [", `only = ["`+other.Dir+`", `, 1))
	v := s.serve()
	alice := wp{t, s, wpAlice, s.Site(0).Core}

	alice.mend("check").exits(0)
	if r := alice.mend("incidents").exits(0); !strings.Contains(r.stdout, "No incident of "+s.domain()) {
		t.Errorf("no incidents: %s", r)
	}
	if r := alice.mend("check", "--socket="+s.Dir+"/none").exits(1); !strings.Contains(r.stderr, "wpmend does not run on this host") || !strings.Contains(r.stderr, "What to do: ") {
		t.Errorf("no service: %s", r)
	}
	s.breakBy(lab.Fatal, culpritSlug10)
	before := s.snapshot()

	r := alice.mend("check").exits(3)
	for _, words := range []string{s.domain() + " is failing: fatal", "component-fault", "plugin:" + culpritSlug10, "What to do: "} {
		if !strings.Contains(r.stdout, words) {
			t.Errorf("check does not say %q: %s", words, r)
		}
	}
	if !regexp.MustCompile(`(?m)^ +\d+\.\d s  .*asking`).MatchString(r.stderr) {
		t.Errorf("check shows no progress: %s", r)
	}
	var causes []struct {
		Cause, Component, Outcome string
		Confidence                float64
	}
	alice.mend("check", "--quiet", "--format=json", "--fields=cause,component,confidence,outcome").exits(3).only(&causes)
	if len(causes) == 0 || causes[0].Component != "plugin:"+culpritSlug10 || causes[0].Outcome != "fatal" || causes[0].Confidence == 0 {
		t.Errorf("check --format=json: %+v", causes)
	}

	if r := alice.mend("bisect").exits(3); !strings.Contains(r.stdout, "plugin:"+culpritSlug10) || !strings.Contains(r.stdout, "wp plugin deactivate "+culpritSlug10+" --skip-plugins") {
		t.Errorf("bisect: %s", r)
	}
	if r := alice.mend("bisect", "/", "--quiet", "--format=csv").exits(3); !strings.Contains(r.stdout, "component,version,signature,with\nplugin:"+culpritSlug10+",") || r.stderr != "" {
		t.Errorf("bisect --format=csv: %s", r)
	}
	for format, want := range map[string]string{"count": "1", "yaml": "component: "} {
		if r := alice.mend("check", "--quiet", "--format="+format).exits(3); !strings.Contains(r.stdout, want) || r.stderr != "" {
			t.Errorf("check --format=%s: %s", format, r)
		}
	}
	s.wantSnapshot(before)

	// The host's administrator heals it; the owner sees it and takes it back.
	healed := s.run("heal", s.Site(0).Root).exits(0)
	id := alice.mend("incidents", "--state=resolved", "--field=id").exits(0).stdout
	id = strings.TrimSpace(id)
	if !strings.Contains(healed.stdout, id) || len(id) != 26 {
		t.Fatalf("the incident of %s\nis not %q", healed, id)
	}
	if r := alice.mend("incidents").exits(0); !strings.Contains(r.stdout, "plugin:"+culpritSlug10) || !strings.Contains(r.stdout, history.Resolved) {
		t.Errorf("incidents: %s", r)
	}
	if r := alice.mend("report", id[:20]).exits(0); !strings.Contains(r.stdout, culpritSlug10) {
		t.Errorf("report: %s", r)
	}

	// To another user neither the site nor the incident is there.
	bob := wp{t, s, wpBob, s.Site(0).Core}
	for _, args := range [][]string{{"check"}, {"bisect"}, {"incidents"}, {"undo", id, "--yes"}} {
		if r := bob.mend(args...).exits(2); !strings.Contains(r.stderr, "knows no site of yours") {
			t.Errorf("another user: %s", r)
		}
	}
	bob.folder = other.Site(0).Core
	bob.mend("check").exits(0)
	if r := bob.mend("undo", id, "--yes").exits(2); !strings.Contains(r.stderr, "no incident of "+other.Site(0).Domain) {
		t.Errorf("another's incident: %s", r)
	}
	nobody := wp{t, s, 24103, s.Site(0).Core}
	if r := nobody.mend("check").exits(1); !strings.Contains(r.stderr, "you own no site") {
		t.Errorf("nobody: %s", r)
	}

	if r := alice.said("n\n", "undo", id).exits(0); strings.Contains(r.stdout, "Success") {
		t.Errorf("undone without a yes: %s", r)
	}
	s.wantPlugins(10, culpritSlug10)
	if r := alice.said("y\n", "undo", id[:24]).exits(0); !strings.Contains(r.stdout, "Taken back") {
		t.Errorf("undo: %s", r)
	}
	s.wantSnapshot(before)
	if r := alice.mend("undo", id, "--yes").exits(0); !strings.Contains(r.stdout, "nothing left") {
		t.Errorf("undo again: %s", r)
	}

	alice.interrupted(v)
	if strings.Contains(v.said(), "level=ERROR") {
		t.Errorf("the service met errors:\n%s", v.said())
	}
}

const culpritSlug10 = "plugin-07"

// interrupted presses Ctrl-C in the midst of a check of a site that hangs.
func (w wp) interrupted(v *service) {
	w.t.Helper()
	w.s.must(w.s.Mend(0))
	w.s.breakBy(lab.Hang, culpritSlug10)
	c := w.command("check")
	var said strings.Builder
	c.Stdout, c.Stderr = &said, &said
	w.s.must(c.Start())
	v.until("a job", 20*time.Second, func() bool { return w.s.jobs("running") == 1 })
	w.s.must(c.Process.Signal(syscall.SIGINT))
	began := time.Now()
	_ = c.Wait()
	if c.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(said.String(), "was cancelled") {
		w.t.Errorf("Ctrl-C: %v after %.1f s: %s", c.ProcessState, time.Since(began).Seconds(), said.String())
	}
	if n := w.s.jobs("cancelled"); n != 1 {
		w.t.Errorf("%d jobs were cancelled, want 1", n)
	}
}

// jobs is how many jobs of the service stand so.
func (s *stage) jobs(state string) int {
	s.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.Dir, "api.sock"))
	}}}
	r, err := client.Get("http://wpmend/v1/jobs?state=" + state)
	s.must(err)
	defer r.Body.Close()
	var list struct{ Jobs []json.RawMessage }
	s.must(json.NewDecoder(r.Body).Decode(&list))
	return len(list.Jobs)
}

// wp is wp-cli in a folder, as a user.
type wp struct {
	t      *testing.T
	s      *stage
	uid    uint32
	folder string
}

func (w wp) command(args ...string) *exec.Cmd {
	w.t.Helper()
	source, err := filepath.Abs("../../packaging/wp-cli")
	w.s.must(err)
	// The checkout may lie where only root reads.
	at := filepath.Join(w.s.Dir, "wp-cli")
	if _, err := os.Stat(at); err != nil {
		w.s.must(os.CopyFS(at, os.DirFS(source)))
	}
	program := []string{"php", at + "/testdata/wp.php"}
	if real := os.Getenv("WPMEND_TEST_WP"); real != "" {
		program = []string{real}
	}
	args = slices.Concat(program[1:], []string{"--require=" + at + "/command.php", "--path=" + w.folder, "mend"}, args)
	c := exec.Command(program[0], args...)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "WPMEND_SOCKET=" + filepath.Join(w.s.Dir, "api.sock")}
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: w.uid, Gid: w.uid}}
	return c
}

func (w wp) mend(args ...string) result {
	w.t.Helper()
	return w.said("", args...)
}

// said answers the command's questions.
func (w wp) said(answers string, args ...string) result {
	w.t.Helper()
	c := w.command(args...)
	c.Stdin = strings.NewReader(answers)
	return call(w.t, c)
}

// only decodes an output that is nothing but this value.
func (r result) only(v any) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), v); err != nil || r.stderr != "" {
		r.t.Errorf("not only JSON: %v: %s", err, r)
	}
}

// Which site wp runs in: the folder's own, one around WordPress' folder, by its address among
// several of one folder, and never one that merely lies above.
func TestWPCLISite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, file := range []string{"plain/wp-load.php", "plain/index.php", "plain/blog/wp-load.php", "plain/blog/index.php", "bedrock/web/index.php", "bedrock/web/wp/wp-load.php", "shared/wp-load.php"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("plain", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	const script = `require "../../packaging/wp-cli/src/Problem.php"; require "../../packaging/wp-cli/src/Site.php";
		try { echo Wpmend\Site::find(json_decode($argv[1], true), $argv[2], $argv[3])["domain"]; } catch (Wpmend\Problem $p) { echo $p->getCode(), " ", $p->getMessage(); }`
	sites := `[{"domain":"a.test","root":"` + dir + `/plain"},{"domain":"b.test","root":"` + dir + `/bedrock/web"},{"domain":"c.test","root":"` + dir + `/shared"},{"domain":"d.test","root":"` + dir + `/shared"}]`
	for _, c := range []struct{ core, url, want string }{
		{"plain", "", "a.test"},
		{"link/", "", "a.test"},
		{"plain", "https://other.test/", "a.test"},
		{"bedrock/web/wp", "", "b.test"},
		{"plain/blog", "", "2 wpmend knows no site of yours"},
		{"shared", "https://D.test/", "d.test"},
		{"shared", "", "2 several sites are served from " + dir + "/shared: c.test, d.test"},
		{"shared", "e.test", "2 wpmend knows no site of yours"},
		{"none", "", "2 wpmend knows no site of yours"},
	} {
		out, err := exec.Command("php", "-n", "-r", script, "--", sites, filepath.Join(dir, c.core)+"/", c.url).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), c.want) {
			t.Errorf("%+v: %v: %s", c, err, out)
		}
	}
}
