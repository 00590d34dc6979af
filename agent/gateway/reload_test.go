package gateway

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"wpmend/packaging/lab"
	"wpmend/php/process"
)

// running is the gateway whose master has this PID.
func running(t *testing.T, pid int) Gateway {
	t.Helper()
	p, err := process.Read(pid)
	if err != nil {
		t.Fatal(err)
	}
	found, errs := Discover(t.Context(), []process.Process{p, child(t, pid)})
	if len(found) != 1 {
		t.Fatalf("found %d gateways: %v", len(found), errs)
	}
	return found[0]
}

func child(t *testing.T, pid int) process.Process {
	t.Helper()
	procs, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if p.PPID == pid {
			return p
		}
	}
	t.Fatalf("process %d has no children", pid)
	return process.Process{}
}

// On both servers: what is right is loaded without a new master, and what its own test
// refuses is not loaded, while the old configuration goes on serving.
func TestReload(t *testing.T) {
	t.Parallel()
	t.Run("nginx", func(t *testing.T) {
		t.Parallel()
		dir, addr := tempDir(t), freeAddr(t, "127.0.0.1")
		write(t, dir+"/conf.d/own.conf", "")
		cmd := startNginx(t, dir, addr, "include DIR/conf.d/*.conf; server { listen "+addr+"; return 200 old; }")
		reloads(t, running(t, cmd.Process.Pid), addr, dir+"/nginx.conf", dir+"/conf.d/own.conf", "return 200 old;", "return 200 new;")
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		dir, addr, cmd := startApache(t, strings.ReplaceAll(apacheEvent, "ServerLimit 1", "ServerLimit 4"), "DocumentRoot DIR/www\nRedirect 410 /gone\nIncludeOptional DIR/conf.d/*.conf\n")
		write(t, dir+"/conf.d/own.conf", "")
		write(t, dir+"/www/index.html", "old")
		write(t, dir+"/www/new.html", "new")
		reloads(t, running(t, cmd.Process.Pid), addr, dir+"/apache2.conf", dir+"/conf.d/own.conf", "DirectoryIndex index.php index.html", "DirectoryIndex new.html")
	})
}

func reloads(t *testing.T, g Gateway, addr, config, own, before, after string) {
	body := func() string { return fetch(t, addr, "GET / HTTP/1.1\nHost: main.test\nConnection: close") }
	if err := Test(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	was := body()
	// Broken: refused, with the place, and the old one goes on.
	write(t, own, "\nNonsense yes;\n")
	var refused *ConfigError
	for range 2 {
		if err := Reload(t.Context(), g); !errors.As(err, &refused) {
			t.Fatalf("a broken configuration gave %v", err)
		}
	}
	if refused.File != own || refused.Line != 2 || !strings.Contains(strings.ToLower(refused.Words), "nonsense") {
		t.Errorf("refused with %+v", refused)
	}
	if now := body(); now != was || !g.Process.Alive() {
		t.Fatalf("after a refused reload it says %q, not %q; alive %v", now, was, g.Process.Alive())
	}
	write(t, own, "")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, config, strings.Replace(string(text), before, after, 1))
	if err := Reload(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	for i := 0; body() != "new"; i++ {
		// Apache's old children take connections until they have noticed.
		if i == 1000 {
			t.Fatalf("after the reload it says %q", body())
		}
	}
	if !g.Process.Alive() {
		t.Error("the master was replaced")
	}
	// Another process than the one that was seen, with the same command line.
	moved := g
	moved.Process.Start++
	if m, err := moved.master(); err != nil || m.PID != g.Process.PID {
		t.Errorf("the master that took the place is %d: %v", m.PID, err)
	}
	moved.Process.Argv = []string{"nginx: master process nginx -c /nowhere"}
	if err := Reload(t.Context(), moved); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no master: %v", err)
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{
		`[emerg] unknown directive "x" in /etc/nginx/conf.d/a.conf:12`:                   "/etc/nginx/conf.d/a.conf:12",
		`[emerg] host not found in upstream "a" in /etc/nginx/b.conf:3; [emerg] x`:       "/etc/nginx/b.conf:3",
		"AH00526: Syntax error on line 4 of /etc/apache2/x.conf:; Invalid command 'Foo'": "/etc/apache2/x.conf:4",
		"[emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)":               ":0",
		"AH00534: apache2: Configuration error: No MPM loaded.":                          ":0",
		"on line 99999999999999999999 of x":                                              ":0",
	} {
		if file, line := whereOf(words); fmt.Sprintf("%s:%d", file, line) != want {
			t.Errorf("%q names %s:%d, want %s", words, file, line, want)
		}
	}
}

func TestListening(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 0000000000000000 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0000000000000000 100 0 0 10 0
   2: 0100007F:0051 00000000:0000 01 00000000:00000000 00:00000000 00000000     0        0 11 1 0000000000000000 100 0 0 10 0
   3: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A 0 0 0 0 0 11 1
   4: 00000000000000000000000001000000:0053 00000000000000000000000000000000:0000 0A 0 0 0 0 0 11 1
   5: 0100007F:0054 junk
`
	found, err := listening(strings.NewReader(table), map[string]bool{"11": true})
	if err != nil || fmt.Sprint(found) != "[127.0.0.1:8080 127.0.0.1:82 [::1]:83]" {
		t.Errorf("found %v, %v", found, err)
	}
}

// Where a unit owns the master, systemd reloads it, so that `systemctl status` knows.
func TestReloadByUnit(t *testing.T) {
	t.Parallel()
	const own = "/etc/nginx/conf.d/own.conf"
	server := func(body string) string { return "server { listen 127.0.0.1:8088; return 200 " + body + "; }\n" }
	if !lab.InSystemd(t, lab.SystemdOptions{Units: []string{"nginx.service"}, Files: map[string]string{own: server("old")}}) {
		return
	}
	procs, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	found, errs := Discover(t.Context(), procs)
	if len(found) != 1 || found[0].Process.Unit != "nginx.service" {
		t.Fatalf("%+v, %v", found, errs)
	}
	said := func() string {
		t.Helper()
		out, err := exec.Command("systemctl", "show", "--property=ExecReload,MainPID,ActiveState", "nginx").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	write(t, own, "nonsense;\n")
	var refused *ConfigError
	if err := Reload(t.Context(), found[0]); !errors.As(err, &refused) || refused.File != own {
		t.Errorf("a broken configuration gave %v", err)
	}
	if strings.Contains(said(), "code=exited") {
		t.Errorf("it was reloaded: %s", said())
	}
	write(t, own, server("new"))
	if err := Reload(t.Context(), found[0]); err != nil {
		t.Fatal(err)
	}
	if body := fetch(t, "127.0.0.1:8088", "GET / HTTP/1.1\nHost: x\nConnection: close"); body != "new" {
		t.Errorf("it says %q", body)
	}
	if now := said(); !strings.Contains(now, "code=exited ; status=0") || !strings.Contains(now, fmt.Sprintf("MainPID=%d\n", found[0].Process.PID)) {
		t.Errorf("systemd says %s", now)
	}
}
