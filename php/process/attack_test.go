package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A customer starts what calls itself a master of the host's.
func TestAttackName(t *testing.T) {
	t.Parallel()
	const customer = 54321
	dir, err := os.MkdirTemp("/usr/local/sbin", ".wpmend-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	home, err := os.MkdirTemp("/tmp", "wpname")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(home, 0o755), os.Chown(home, customer, customer)); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(home, "php-fpm")
	copyFile(t, "/bin/cat", own)
	copyFile(t, "/bin/cat", dir+"/cat")
	// What sudo and its like are once they have begun: root by all ids, started by anybody.
	helper := filepath.Join(dir, "sudo")
	copyFile(t, "/proc/self/exe", helper)
	if err := os.Chmod(helper, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	titles := []string{"php-fpm: master process (" + home + "/php-fpm.conf)", "nginx: master process nginx -c " + home + "/nginx.conf", "/usr/sbin/apache2", "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"}
	escapes, attacks := 0, 0
	for _, title := range titles {
		for _, a := range []struct{ binary, why string }{
			{"/bin/cat", "it runs as uid 54321"}, {own, "it runs as uid 54321"}, {dir + "/cat", "it runs as uid 54321"}, {helper, "(setuid)"},
		} {
			cmd := exec.Command(a.binary)
			cmd.Args = []string{title}
			cmd.Env, cmd.Stderr = []string{asHelper + "=1", "GORACE=atexit_sleep_ms=0"}, os.Stderr
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: customer, Gid: customer}}
			p := child(t, cmd)
			attacks++
			if err := p.SpeaksForHost(); err == nil || !strings.Contains(err.Error(), a.why) || p.Argv[0] != title {
				escapes++
				t.Errorf("%s as %q: %v, want %q", a.binary, p.Argv, err, a.why)
			}
		}
	}
	t.Logf("attacks: %d, escapes: %d", attacks, escapes)
}

// asHelper makes a copy of this test program that is setuid root do what sudo does.
const asHelper = "WPMEND_TEST_SETUID"

func TestMain(m *testing.M) {
	if os.Getenv(asHelper) == "" {
		os.Exit(m.Run())
	}
	// It takes root's ids and then says again what it reads.
	if err := syscall.Setresuid(0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	b := make([]byte, 1)
	for n, _ := os.Stdin.Read(b); n > 0; n, _ = os.Stdin.Read(b) {
		if _, err := os.Stdout.Write(b); err != nil {
			os.Exit(1)
		}
	}
}
