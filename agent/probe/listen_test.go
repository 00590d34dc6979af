package probe

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wpmend/agent/gateway"
	"wpmend/agent/site"
)

func listenUnix(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListeners(t *testing.T) {
	t.Parallel()
	plain := gateway.Vhost{Names: []string{"a.example"}, Listens: []gateway.Listen{{Unix: "/s"}, {Host: "::", Port: 80}, {Port: 80}, {Host: "192.0.2.1", Port: 80}, {Host: "192.0.2.1", Port: 443, TLS: true}}}
	other := gateway.Vhost{Names: []string{"b.example"}, Listens: []gateway.Listen{{Port: 8443, TLS: true}, {Port: 80}}}
	s := site.Site{Vhosts: []gateway.Vhost{plain, other}}
	for at, want := range map[string]string{
		"http a.example": "[{192.0.2.1 80} { 80} {:: 80} {/s 0}]", "https a.example": "[{192.0.2.1 443}]",
		"http b.example": "[{ 80}]", "https b.example": "[{ 8443}]", "http c.example": "[]",
	} {
		scheme, host, _ := strings.Cut(at, " ")
		got := []string{}
		for _, l := range listeners(s, host, scheme) {
			got = append(got, fmt.Sprintf("{%s%s %d}", l.Host, l.Unix, l.Port))
		}
		if d := cmp.Diff(want, fmt.Sprint(got)); d != "" {
			t.Errorf("%s: %s", at, d)
		}
	}
}

// nginx gives a request to the vhosts of the most exact address: what listens
// everywhere must not be asked where another vhost listens for that address.
func TestDialsWhereTheVhostAnswers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	port := freePort(t)
	conf := strings.NewReplacer("DIR", dir, "PORT", port).Replace(`
daemon off; user root; pid DIR/p; error_log DIR/e; events {}
http { access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/x; fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
	default_type text/html;
	server { listen 127.0.0.1:PORT; server_name status.example; return 500 wrong; }
	server { listen PORT; server_name shop.example; return 200 "<html>$remote_addr</html>"; }
}`)
	if err := os.WriteFile(dir+"/n.conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/nginx", "-e", dir+"/e", "-c", dir+"/n.conf")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	text, err := os.ReadFile(filepath.Join(dir, "n.conf"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.ParseNginx(append([]byte("# configuration file "+dir+"/n.conf:\n"), text...), "/")
	if err != nil {
		t.Fatal(err)
	}
	s := site.Site{Domain: "shop.example", Vhosts: g.Vhosts[1:]}
	var r Result
	for range 400 {
		if r = ByFront(context.Background(), s, Home(s), limits); r.Outcome != Unreachable {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	// A visitor from this host itself, as before: rules that allow 127.0.0.1 hold.
	if r.Outcome != Healthy || r.Bytes != len("<html>127.0.0.1</html>") {
		t.Errorf("%+v", r)
	}
	// With the address of the other vhost, as written for its own names.
	s.Vhosts = g.Vhosts[:1]
	s.Domain = "status.example"
	if r := ByFront(context.Background(), s, Home(s), limits); r.Status != 500 {
		t.Errorf("%+v", r)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// An address that another host has at present is not asked: its answer is not ours.
func TestForeignAddressesAreNotDialled(t *testing.T) {
	t.Parallel()
	s := site.Site{Domain: "shop.example", Vhosts: []gateway.Vhost{{Names: []string{"shop.example"}, Listens: []gateway.Listen{{Host: "192.0.2.1", Port: 80}}}}}
	if r := ByFront(context.Background(), s, Home(s), limits); r.Outcome != Unknown || !strings.Contains(r.Detail, errElsewhere.Error()) {
		t.Errorf("%+v", r)
	}
	for host, want := range map[string]bool{"127.9.9.9": true, "::1": true, "192.0.2.1": false, "localhost": true} {
		if ofThisHost(host) != want {
			t.Errorf("%s of this host: %v", host, !want)
		}
	}
}
