package packaging

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// host is a machine with systemd on which the package is installed and removed as an administrator would.
type host struct {
	*lab.Systemd
	t *testing.T
}

func (h host) sh(script string) string {
	h.t.Helper()
	out, err := h.Run(context.Background(), "bash", "-ec", script)
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

func (h host) says(script, want string) {
	h.t.Helper()
	if out := strings.TrimSpace(h.sh(script)); out != want {
		h.t.Errorf("%s: %q, want %q", script, out, want)
	}
}

func (h host) fails(script string) {
	h.t.Helper()
	if out, err := h.Run(context.Background(), "bash", "-ec", script); err == nil {
		h.t.Errorf("%s succeeds:\n%s", script, out)
	}
}

// active waits for the service: dpkg is done when it was told to start.
func (h host) active() {
	h.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if out, _ := h.Run(context.Background(), "systemctl", "is-active", "wpmend"); strings.TrimSpace(out) == "active" {
			return
		}
	}
	h.t.Fatalf("the service does not run:\n%s", h.sh("systemctl status wpmend --no-pager || true"))
}

func build(t *testing.T, into string) (deb, rpm string) {
	t.Helper()
	if out, err := exec.Command("./package", into).CombinedOutput(); err != nil {
		t.Fatalf("packaging/package: %v\n%s", err, out)
	}
	for pattern, file := range map[string]*string{"*.deb": &deb, "*.rpm": &rpm} {
		found, err := filepath.Glob(filepath.Join(into, pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		*file = found[0]
	}
	return deb, rpm
}

// ours lists what carries the package's name, but for logs and what others write meanwhile.
const ours = "find / -xdev -iname '*wpmend*' -not -path '/proc/*' -not -path '/tmp/*' -not -path '/root/*' -not -path '/var/log/*' -not -path '/var/cache/*' 2>/dev/null || true"

func TestPackage(t *testing.T) {
	t.Parallel()
	deb, rpm := build(t, t.TempDir())
	if info, err := os.Stat(rpm); err != nil || info.Size() < 1<<20 {
		t.Errorf("%s: %v, %v", rpm, info, err)
	}
	h := host{lab.NewSystemd(t, lab.SystemdOptions{}), t}
	for from, to := range map[string]string{deb: "wpmend.deb", "scripts/rpm-post": "rpm-post", "scripts/deb-postinst": "deb-postinst"} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(h.Share, to), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	h.sh("rm -rf /var/lib/wpmend /run/wpmend /etc/wpmend") // of the host under this machine
	before := h.sh(ours)
	h.sh("dpkg -i /lab/wpmend.deb")
	h.active()
	h.says("systemctl is-enabled wpmend", "enabled")
	h.sh("wpmend config check && wpmend service status")
	for _, file := range []string{"/usr/share/man/man1/wpmend-heal.1.gz", "/usr/share/bash-completion/completions/wpmend", "/etc/wpmend/wpmend.toml", "/etc/wpmend/conf.d"} {
		h.sh("test -e " + file)
	}
	h.sh("bash -c '. /usr/share/bash-completion/completions/wpmend'")

	// Installed over itself, as by an upgrade: a new process, and nothing of the administrator's or of the past is lost.
	h.sh("echo '# mine' >>/etc/wpmend/wpmend.toml; mkdir -p /var/lib/wpmend/history; echo kept >/var/lib/wpmend/kept")
	process := h.sh("systemctl show wpmend -p MainPID --value")
	h.sh("dpkg -i /lab/wpmend.deb")
	h.active()
	if after := h.sh("systemctl show wpmend -p MainPID --value"); after == process {
		t.Errorf("after an upgrade the old process %s still runs", strings.TrimSpace(after))
	}
	h.says("tail -n 1 /etc/wpmend/wpmend.toml; cat /var/lib/wpmend/kept", "# mine\nkept")

	h.sh("systemctl disable --now wpmend; dpkg -i /lab/wpmend.deb")
	h.says("systemctl is-enabled wpmend || true", "disabled")
	h.sh("systemctl enable --now wpmend")
	h.active()

	h.sh("cp /usr/bin/wpmend /usr/local/sbin/kept; dpkg -r wpmend")
	h.fails("systemctl is-active wpmend")
	h.fails("command -v wpmend || test -e /lib/systemd/system/wpmend.service")
	h.says("tail -n 1 /etc/wpmend/wpmend.toml; cat /var/lib/wpmend/kept", "# mine\nkept")

	// A unit that `wpmend service install` has written for another program hides the package's: dpkg says so.
	h.sh("cp /usr/local/sbin/kept /usr/local/sbin/wpmend && wpmend service install --now")
	h.active()
	const hidden, over, change = "/etc/systemd/system/wpmend.service hides this package's unit", "wpmend service uninstall && systemctl enable --now wpmend", "systemctl edit wpmend"
	if said := h.sh("dpkg -i /lab/wpmend.deb 2>&1"); !strings.Contains(said, hidden) || !strings.Contains(said, over) || strings.Contains(said, change) {
		t.Errorf("dpkg says\n%s\nwant %q and %q", said, hidden, over)
	}
	h.says("systemctl show wpmend -p FragmentPath --value; readlink /proc/$(systemctl show wpmend -p MainPID --value)/exe", "/etc/systemd/system/wpmend.service\n/usr/local/sbin/wpmend")
	h.sh(over + "; rm /usr/local/sbin/*; hash -r")
	h.active()
	h.says("systemctl show wpmend -p FragmentPath --value; readlink /proc/$(systemctl show wpmend -p MainPID --value)/exe", "/lib/systemd/system/wpmend.service\n/usr/bin/wpmend")
	h.sh("printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/wpmend.service")
	for _, script := range []string{"sh /lab/deb-postinst configure 1 2>&1", "sh /lab/rpm-post 2 2>&1"} {
		if said := h.sh(script); !strings.Contains(said, hidden) || strings.Contains(said, over) || !strings.Contains(said, change) {
			t.Errorf("%s says\n%s\nwant %q and %q", script, said, hidden, change)
		}
	}
	h.sh("ln -sf /dev/null /etc/systemd/system/wpmend.service")
	if said := h.sh("sh /lab/deb-postinst configure 1 2>&1"); strings.Contains(said, hidden) {
		t.Errorf("of a masked unit it says\n%s", said)
	}
	h.sh("systemctl unmask wpmend; systemctl start wpmend")
	h.active()
	h.sh("dpkg -P wpmend")
	if after := h.sh(ours); after != before {
		t.Errorf("before the installation there was\n%s\nafter the purge\n%s", before, after)
	}
	h.fails("systemctl cat wpmend")
	h.says("systemctl --failed --no-legend", "")
}
