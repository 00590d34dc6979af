package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wpmend/agent/gateway"
)

// An upgrade puts another file in the place of the program that runs.
func TestOlder(t *testing.T) {
	t.Parallel()
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(t.TempDir(), "wpmend")
	put := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(self+".new", text, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(self+".new", self); err != nil {
			t.Fatal(err)
		}
	}
	put(sleep)
	cmd := exec.Command(self, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if older(cmd.Process.Pid, self) {
		t.Error("it runs what lies there, and is called older")
	}
	put(append(sleep, 0))
	if !older(cmd.Process.Pid, self) {
		t.Error("it was replaced, and nobody notices")
	}
	if older(1<<30, self) {
		t.Error("nobody runs an older program")
	}
}

// Whatever listens at the socket, an answer is a version or an error.
func TestAskService(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code    int
		text    string
		version string
		fault   string
	}{
		"wpmend":    {200, `{"version":"0.1.0","sites":3}`, "0.1.0", ""},
		"refused":   {403, `{"detail":"no"}`, "", "403"},
		"not ours":  {200, "<html>", "", "not wpmend"},
		"nameless":  {200, "{}", "", "not wpmend"},
		"very much": {200, `{"version":"` + strings.Repeat("x", 1<<20), "", "not wpmend"},
	} {
		socket := filepath.Join(t.TempDir(), "s")
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/service" || r.Host != "wpmend" {
				t.Errorf("asked for %s of %s", r.URL.Path, r.Host)
			}
			w.WriteHeader(c.code)
			fmt.Fprint(w, c.text)
		})}
		go server.Serve(l) // until Close
		version, err := askService(context.Background(), socket)
		if version != c.version || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %q, %v", name, version, err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := askService(context.Background(), "/nowhere/s"); err == nil {
		t.Error("nobody listens, and answers")
	}
}

// The sum is what the exit status goes by, and JSON has no null in it.
func TestSummed(t *testing.T) {
	t.Parallel()
	of := func(states ...State) Report {
		list := []Finding{}
		for _, s := range states {
			list = append(list, Finding{State: s})
		}
		return summed(list)
	}
	for want, r := range map[State]Report{OK: of(OK, OK), Warning: of(OK, Unknown), Problem: of(Warning, Problem, OK)} {
		if r.State != want {
			t.Errorf("%+v, want %s", r, want)
		}
	}
	text, err := json.Marshal(of())
	if err != nil || strings.Contains(string(text), "null") {
		t.Errorf("%s, %v", text, err)
	}
	if got := few([]string{"a", "b", "c"}, 2); got != "a, b, and 1 more" {
		t.Error(got)
	}
}

// Where no site is found it is said where the way to one breaks off.
func TestMissing(t *testing.T) {
	t.Parallel()
	static := gateway.Gateway{Vhosts: []gateway.Vhost{{Names: []string{"a"}, Root: "/srv/a"}}}
	dynamic := gateway.Gateway{Vhosts: []gateway.Vhost{{Root: "/srv/b", ModPHP: true}, {Root: "/srv/b", PHP: []gateway.PHPLocation{{}}}}}
	for want, got := range map[string]func() (string, string){
		"no gateway":       func() (string, string) { return missing(nil, 0) },
		"leaves all":       func() (string, string) { return missing([]gateway.Gateway{dynamic}, 2) },
		"none of 1 vhost ": func() (string, string) { return missing([]gateway.Gateway{static}, 0) },
		": /srv/b":         func() (string, string) { return missing([]gateway.Gateway{static, dynamic}, 0) },
	} {
		if why, do := got(); !strings.Contains(why, want) || do == "" || strings.Contains(why, "/srv/b, /srv/b") {
			t.Errorf("%q, %q: want %q", why, do, want)
		}
	}
}
