package gateway

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/php/process"
)

// mine are the nginx processes whose command line names dir: other tests run theirs at the same time.
func mine(t *testing.T, dir string) []process.Process {
	t.Helper()
	all, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	var found []process.Process
	for _, p := range all {
		if strings.Contains(strings.Join(p.Argv, " "), dir) {
			found = append(found, p)
		}
	}
	return found
}

const minimal = `server { listen ADDR; server_name NAME; location / { fastcgi_pass unix:DIR/NAME; fastcgi_param V $nginx_version; } }`

func config(addr, name string) string {
	return strings.NewReplacer("ADDR", addr, "NAME", name).Replace(minimal)
}

// Several masters of one binary, each with its own way to name its configuration.
func TestDiscover(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	first, second, third := freeAddr(t, "127.66.4.1"), freeAddr(t, "127.66.4.2"), freeAddr(t, "127.66.4.3")
	startNginx(t, dir+"/1", first, config(first, "one.example"), "-c", dir+"/1/nginx.conf", "-e", "stderr")

	cmd := exec.Command("/usr/sbin/nginx", "-p", "2", "-c", "conf/n.conf", "-g", "user root; error_log from-g.log;", "-e", dir+"/2/e.log")
	write(t, dir+"/2/conf/n.conf", "daemon off; pid n.pid; events {} http { access_log off; include sites/*; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s; }")
	write(t, dir+"/2/conf/sites/a", strings.ReplaceAll(config(second, "two.example"), "DIR", "/tmp"))
	cmd.Dir = dir
	start(t, second, cmd)

	startNginx(t, dir+"/3", third, config(third, "three.example"), "-c"+dir+"/3/nginx.conf", "-e", "stderr")
	write(t, dir+"/3/nginx.conf", "events {}\nhttp {\n  broken here;\n}\n") // the master still serves what it read before

	found, errs := Discover(t.Context(), mine(t, dir))
	if len(found) != 2 {
		t.Fatalf("%d gateways, %v", len(found), errs)
	}
	// They come by PID, and PIDs begin anew one day.
	sort.Slice(found, func(i, j int) bool { return found[i].Config < found[j].Config })
	for i, want := range []struct{ config, prefix, name, addr, log string }{
		{dir + "/1/nginx.conf", "/usr/share/nginx", "one.example", first, dir + "/1/error.log"},
		{dir + "/2/conf/n.conf", dir + "/2", "two.example", second, dir + "/2/from-g.log"},
	} {
		g := found[i]
		if g.Config != want.config || g.Prefix != want.prefix || strings.Join(g.ErrorLogs, " ") != want.log || g.Binary != "/usr/sbin/nginx" || g.Kind != "nginx" {
			t.Errorf("%s %s %q %s", g.Config, g.Prefix, g.ErrorLogs, g.Binary)
		}
		if len(g.Vhosts) != 1 || !g.Vhosts[0].Serves(want.name) || fmt.Sprintf("%s:%d", g.Vhosts[0].Listens[0].Host, g.Vhosts[0].Listens[0].Port) != want.addr {
			t.Fatalf("%+v", g.Vhosts)
		}
		if !g.Process.Alive() {
			t.Errorf("process %d does not run", g.Process.PID)
		}
		params, err := g.Vhosts[0].PHP[0].Expand(Target{})
		if err != nil || params["V"] != g.Version || strings.Count(g.Version, ".") != 2 {
			t.Errorf("%v, %v, version %q", params, err, g.Version)
		}
	}
	if len(errs) != 1 {
		t.Fatalf("%v of %+v", errs, mine(t, dir))
	}
	words := fmt.Sprintf(`nginx -T -c %s/3/nginx.conf -e stderr: exit status 1: `, dir)
	if got := errs[0].Error(); !strings.Contains(got, words) || !strings.Contains(got, fmt.Sprintf(`unknown directive "broken" in %s/3/nginx.conf:3`, dir)) {
		t.Error(got)
	}
}

// A customer's nginx does not speak for the host; nor does a script that calls itself one.
func TestDiscoverBelievesOnlyRoot(t *testing.T) {
	t.Parallel()
	dir, addr := tempDir(t), freeAddr(t, "127.66.5.1")
	conf := strings.ReplaceAll("daemon off; pid DIR/n.pid; error_log DIR/e.log; events {} http { access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s; server { listen "+addr+"; } }", "DIR", dir)
	write(t, dir+"/n.conf", conf)
	if err := syscall.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/nginx", "-c", dir+"/n.conf", "-e", dir+"/e.log")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	start(t, addr, cmd)
	found, errs := Discover(t.Context(), mine(t, dir))
	want := fmt.Sprintf("nginx is not asked: process %d does not speak for the host: it runs as uid 65534 (effective 65534), not as root", cmd.Process.Pid)
	if len(found) != 0 || len(errs) != 1 || errs[0].Error() != want {
		t.Errorf("%v, %v, want %s", found, errs, want)
	}
	found, errs = Discover(t.Context(), []process.Process{{PID: 1 << 30, Argv: []string{"nginx: master process /usr/sbin/nginx"}}})
	if len(found) != 0 || len(errs) != 1 {
		t.Errorf("%v, %v", found, errs)
	}
	found, errs = Discover(t.Context(), []process.Process{{PID: 1, Argv: []string{"nginx: worker process"}}, {PID: 1, Argv: []string{"sh", "nginx: master process x"}}, {PID: 1}})
	if len(found)+len(errs) != 0 {
		t.Errorf("%v, %v", found, errs)
	}
}

func TestMasters(t *testing.T) {
	t.Parallel()
	title := []string{"nginx: master process nginx"}
	procs := []process.Process{
		{PID: 10, PPID: 1, Argv: title},
		{PID: 11, PPID: 10, Argv: title}, // a worker that has only just been forked
		{PID: 12, PPID: 10, Argv: []string{"nginx: worker process"}},
		{PID: 20, PPID: 10, Argv: title}, // the master of a binary upgrade
		{PID: 21, PPID: 20, Argv: []string{"nginx: worker process"}},
		{PID: 30, PPID: 1, Argv: title}, // it has no workers yet
	}
	var got []int
	for _, p := range masters(procs) {
		got = append(got, p.PID)
	}
	if fmt.Sprint(got) != "[10 20 30]" {
		t.Error(got)
	}
}

func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	script := filepath.Join(tempDir(t), "nginx")
	for text, want := range map[string]string{
		"while :; do echo 0123456789; done": "nginx -T prints more than 1000 bytes",
		"sleep 60 & wait":                   "nginx -T does not end within 300ms: does a host name in it not resolve?",
		"echo 'nginx: [warn] w' >&2; echo 'nginx: [emerg] e' >&2; exit 1": "nginx -T: exit status 1: [emerg] e",
		"echo 'nginx: [warn] w' >&2; printf 'x\\377y\\n' >&2; exit 2":     "nginx -T: exit status 2: [warn] w; x?y",
		"exit 3":     "nginx -T: exit status 3: it says nothing",
		"kill -9 $$": "nginx -T: signal: killed: it says nothing",
		"echo $NGINX >&2; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= >&2; pwd >&2; exit 1": "nginx -T: exit status 1: PATH=/usr/sbin:/usr/bin:/sbin:/bin; LC_ALL=C; /",
	} {
		file := script + fmt.Sprint(len(text))
		write(t, file, "#!/bin/sh\n"+text+"\n")
		if err := syscall.Chmod(file, 0o755); err != nil {
			t.Fatal(err)
		}
		limits := bounds{time.Minute, 1000}
		if strings.HasPrefix(text, "sleep") {
			limits.time = 300 * time.Millisecond
		}
		_, _, err := run(t.Context(), limits, file, "-T")
		if err == nil || strings.Replace(err.Error(), filepath.Base(file), "nginx", 1) != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := run(ctx, bounds{time.Minute, 1}, "/bin/sh", "-T"); err == nil || err.Error() != "sh -T: context canceled" {
		t.Error(err)
	}
}

func TestParseTitle(t *testing.T) {
	t.Parallel()
	for title, want := range map[string]options{
		"nginx": {},
		"/usr/sbin/nginx -g daemon on; master_process on;":                  {globals: "daemon on; master_process on;"},
		"/usr/sbin/nginx -c /etc/n.conf -g daemon off; -p /srv/n -e stderr": {config: "/etc/n.conf", globals: "daemon off;", prefix: "/srv/n", errorLog: "stderr"},
		"nginx -c/etc/n.conf -pconf -q":                                     {config: "/etc/n.conf", prefix: "conf"},
		"nginx -c /my conf/n.conf -q":                                       {config: "/my conf/n.conf"},
		"nginx -c /a -c /b  ":                                               {config: "/b"},
		"nginx -c":                                                          {},
	} {
		if got := parseTitle(title); got != want {
			t.Errorf("%q: %+v, want %+v", title, got, want)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	b := build{prefix: "/usr/share/nginx", config: "/etc/nginx/nginx.conf"}
	for _, c := range []struct {
		o            options
		b            build
		args, prefix string
	}{
		{options{}, b, "-c /etc/nginx/nginx.conf", "/usr/share/nginx"},
		{options{config: "conf/n.conf"}, b, "-c /usr/share/nginx/conf/n.conf", "/usr/share/nginx"},
		{options{config: "n.conf", prefix: "/p/"}, b, "-p /p/ -c /p/n.conf", "/p/"},
		{options{config: "n.conf", prefix: "p"}, b, "-p /cwd/p -c /cwd/p/n.conf", "/cwd/p"},
		{options{prefix: "/p"}, build{prefix: "/usr/local/nginx", config: "conf/nginx.conf"}, "-p /p -c /p/conf/nginx.conf", "/p"},
		{options{globals: "a b;", errorLog: "e"}, b, "-c /etc/nginx/nginx.conf -g a b; -e e", "/usr/share/nginx"},
	} {
		args, prefix := c.o.arguments(c.b, "/cwd")
		if strings.Join(args, " ") != c.args || prefix != c.prefix {
			t.Errorf("%+v: %q %s, want %s %s", c.o, args, prefix, c.args, c.prefix)
		}
	}
}

func TestParseBuild(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]build{
		"nginx version: nginx/1.22.1\nbuilt with OpenSSL\nconfigure arguments: --with-cc-opt='-g -O2 --prefix=/no' --prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf --http-log-path=/var/log/a.log --error-log-path=stderr\n": {
			"1.22.1", "/usr/share/nginx", "/etc/nginx/nginx.conf", "stderr", "/var/log/a.log"},
		"nginx version: nginx/1.18.0 (Ubuntu)\n": {"1.18.0", "/usr/local/nginx", "conf/nginx.conf", "logs/error.log", "logs/access.log"},
		"nginx version: openresty/1.21.4.1\nconfigure arguments: --prefix=/usr/local/openresty/nginx": {
			"1.21.4", "/usr/local/openresty/nginx", "conf/nginx.conf", "logs/error.log", "logs/access.log"},
		"junk": {"", "/usr/local/nginx", "conf/nginx.conf", "logs/error.log", "logs/access.log"},
	} {
		if got := parseBuild(text); got != want {
			t.Errorf("%q:\n%+v, want\n%+v", text, got, want)
		}
	}
}
