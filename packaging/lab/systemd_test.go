package lab

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSystemd(t *testing.T) {
	t.Parallel()
	s := NewSystemd(t, SystemdOptions{Units: []string{"php8.2-fpm.service"}, Files: map[string]string{
		"/etc/systemd/system/php8.2-fpm.service.d/memory.conf": "[Service]\nMemoryMax=300M\n"}})
	ctx := context.Background()
	out, err := s.Run(ctx, "systemctl", "show", "--property=ActiveState", "--property=MemoryMax", "php8.2-fpm")
	if err != nil || out != "MemoryMax=314572800\nActiveState=active\n" {
		t.Errorf("%q, %v", out, err)
	}
	var exit *exec.ExitError
	if _, err := s.Run(ctx, "bash", "-c", "exit 42"); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("an exit code comes out as %v", err)
	}
	// What it does is not done to the host.
	if _, err := s.Run(ctx, "bash", "-c", "echo x >/etc/wpmend-lab-was-here && ! date -s 2001-01-01 && echo live >/lab/out"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat("/etc/wpmend-lab-was-here"); err == nil {
		t.Error("it writes to the host")
	}
	if text, err := os.ReadFile(filepath.Join(s.Share, "out")); err != nil || string(text) != "live\n" {
		t.Errorf("the shared folder has %q, %v", text, err)
	}
	groups, err := os.ReadFile(filepath.Join(s.dir, "cgroups"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for dir := range strings.Lines(string(groups)) {
		if _, err := os.Lstat(strings.TrimSpace(dir)); err == nil {
			t.Errorf("it left the control group %s", dir)
		}
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil || bytes.Contains(mounts, []byte(s.dir)) {
		t.Errorf("it left mounts: %v", err)
	}
}

func TestInSystemd(t *testing.T) {
	t.Parallel()
	if !InSystemd(t, SystemdOptions{}) {
		return
	}
	if comm, err := os.ReadFile("/proc/1/comm"); err != nil || string(comm) != "systemd\n" {
		t.Errorf("PID 1 is %q, %v", comm, err)
	}
}
