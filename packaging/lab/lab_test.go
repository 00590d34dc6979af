package lab

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func wantHealthy(t *testing.T, l *Lab, site int) {
	t.Helper()
	status, body, err := l.GetFrom(context.Background(), site, "/")
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK || !Complete(body) {
		t.Fatalf("site %d answers %d, whole page %v; want 200 and a whole page", site, status, Complete(body))
	}
}

func TestUp(t *testing.T) {
	t.Parallel()
	l := New(t, Options{Plugins: 3})
	sums, err := l.TableChecksums(0)
	if err != nil {
		t.Fatal(err)
	}
	if len(sums) < 12 {
		t.Errorf("%d tables, want the 12 of WordPress", len(sums))
	}
	_, body, err := l.Get("/")
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= 3; n++ {
		if !strings.Contains(body, "<!-- "+Slug(n)+" saw ") {
			t.Errorf("%s did not run", Slug(n))
		}
	}
	for path, want := range map[string]int{"/?p=1": 200, "/wp-login.php": 200, "/wp-admin/": 302, "/no-such.php": 404} {
		if status, _, err := l.Get(path); err != nil || status != want {
			t.Errorf("%s: status %d, %v; want %d", path, status, err, want)
		}
	}
	after, err := l.TableChecksums(0)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(sums, after) {
		t.Errorf("looking at pages changed the tables:\n%v\n%v", sums, after)
	}
	wantOwner(t, l, filepath.Join(l.Site(0).Root, "wp-content/plugins/plugin-01/plugin-01.php"), l.uid)
}

func wantOwner(t *testing.T, l *Lab, path string, uid uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uid {
		t.Errorf("%s belongs to %d, want %d", path, owner, uid)
	}
}

// Two labs at once, one of them with every option that the other has not.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	plain := New(t, Options{})
	rich := New(t, Options{Plugins: 2, Sites: 3, Masters: 2, TCP: true, Upstream: true, TLS: true, Subfolder: "blog", UID: 54321})
	wantHealthy(t, plain, 0)
	for i, s := range rich.Sites() {
		wantHealthy(t, rich, i)
		if want := fmt.Sprintf("http://%s/blog", s.Domain); s.URL != want {
			t.Errorf("URL %q, want %q", s.URL, want)
		}
		wantOwner(t, rich, filepath.Join(s.Root, "wp-config.php"), 54321)
		var users int
		q := fmt.Sprintf("SELECT COUNT(*) FROM `%[1]susermeta` WHERE meta_key = '%[1]scapabilities'", s.TablePrefix)
		if err := rich.DB().QueryRow(q).Scan(&users); err != nil || users != 1 {
			t.Errorf("%s has %d users with a role, %v; want 1", s.Domain, users, err)
		}
	}
	if got := len(rich.FPMMasters()); got != 2 {
		t.Errorf("%d FPM masters, want 2", got)
	}
	if err := plain.StopFPM(); err != nil {
		t.Fatal(err)
	}
	wantHealthy(t, rich, 0)

	pem, err := os.ReadFile(filepath.Join(filepath.Dir(rich.NginxConfig()), "lab.crt"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	conn, err := tls.Dial("tcp", rich.Address+":443", &tls.Config{ServerName: rich.Site(2).Domain, RootCAs: trusted})
	if err != nil {
		t.Fatalf("TLS: %v", err)
	}
	conn.Close()
}

func TestStopAndStart(t *testing.T) {
	t.Parallel()
	l := New(t, Options{})
	first := l.FPMMaster()
	if first == 0 || l.NginxMaster() == 0 {
		t.Fatalf("masters of FPM %d and nginx %d, want both running", first, l.NginxMaster())
	}
	if err := l.ReloadFPM(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantHealthy(t, l, 0)
	if err := l.StopFPM(); err != nil {
		t.Fatal(err)
	}
	if pid := l.FPMMaster(); pid != 0 {
		t.Fatalf("FPM master %d runs after StopFPM", pid)
	}
	// Somebody else starts it; the lab finds it running and can end it.
	if out, err := exec.Command(fpmBinary, "-y", l.FPMConfig(0)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	foreign := l.FPMMaster()
	if err := l.StartFPM(); err != nil {
		t.Fatal(err)
	}
	if pid := l.FPMMaster(); pid != foreign || foreign == first {
		t.Errorf("FPM master %d, want %d, which somebody else started", pid, foreign)
	}
	wantHealthy(t, l, 0)
	if err := l.StopFPM(); err != nil {
		t.Fatal(err)
	}
	if err := l.StartFPM(); err != nil {
		t.Fatal(err)
	}
	wantHealthy(t, l, 0)
}

func TestUpRefuses(t *testing.T) {
	t.Parallel()
	const want = "a lab of 1 sites has no pools for 2 FPM masters: FPM refuses to run without a pool"
	if _, err := Up(t.Context(), Options{Masters: 2}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "LAB_TEST_PART=nobody")
	out, err := cmd.CombinedOutput()
	const noRoot = "a lab needs root (port 80, workers of other users): run sudo packaging/test\n"
	if err != nil || string(out) != noRoot {
		t.Errorf("without root: %q, %v; want %q", out, err, noRoot)
	}
}

func BenchmarkUp(b *testing.B) {
	for b.Loop() {
		l, err := Up(b.Context(), Options{Plugins: 30})
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
