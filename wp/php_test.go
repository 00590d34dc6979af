package wp

import (
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// php runs PHP's command line as nobody, without any php.ini.
func php(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	args = append([]string{"-n", "-d", "short_open_tag=0", "-d", "memory_limit=1G", "-d", "extension=tokenizer", "-d", "error_reporting=-1", "-d", "display_errors=stderr"}, args...)
	cmd := exec.Command("php8.2", args...)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("php: %v: %s", err, stderr.Bytes())
	}
	return out
}
