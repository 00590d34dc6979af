package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wpmend/agent/doctor"
	"wpmend/packaging/lab"
)

// examined is what the doctor said.
type examined struct {
	t *testing.T
	doctor.Report
	code int
}

func (s *stage) doctor(before ...string) examined {
	s.t.Helper()
	cmd := s.command("--json", "doctor")
	if len(before) > 0 { // what cripples it, in a mount namespace of its own
		cmd.Path, cmd.Args = "/usr/bin/unshare", append([]string{"unshare", "--mount", "sh", "-ec", strings.Join(before, "\n") + "\nexec \"$@\"", "sh", "/proc/self/exe"}, cmd.Args[1:]...)
		self, err := os.Executable()
		s.must(err)
		cmd.Args[6] = self
	}
	r := call(s.t, cmd)
	x := examined{t: s.t.(*testing.T), code: r.code}
	if err := json.Unmarshal([]byte(r.stdout), &x.Report); err != nil || r.code != exitDone && r.code != exitUnhealthy {
		s.t.Fatalf("%s", r)
	}
	if (r.code == exitUnhealthy) != (x.Problems > 0) {
		s.t.Errorf("exit %d with %d problems", r.code, x.Problems)
	}
	return x
}

// finds wants a finding of a state with these words in its text or what to do.
func (x examined) finds(state doctor.State, check string, words ...string) {
	x.t.Helper()
	for _, f := range x.Findings {
		if f.Check != check || f.State != state {
			continue
		}
		for _, w := range words {
			if !strings.Contains(f.Text+"\n"+f.Do, w) {
				x.t.Errorf("%s, %s: %q, do %q: want %q in it", f.Check, f.State, f.Text, f.Do, w)
			}
		}
		if state == doctor.Problem && f.Do == "" {
			x.t.Errorf("%s: nobody is told what to do about %q", f.Check, f.Text)
		}
		return
	}
	x.t.Errorf("no finding %q that is %q, but %s", check, state, x.worst())
}

// worst lists all that is not ok.
func (x examined) worst() string {
	text := ""
	for _, f := range x.Findings {
		if f.State != doctor.OK {
			text += fmt.Sprintf("\n%s, %s: %s", f.State, f.Check, f.Text)
		}
	}
	return text
}

// The doctor finds a healthy host healthy, and each thing that cripples it, one by one.
func TestDoctor(t *testing.T) {
	t.Parallel()
	if !underShippedUnit(t) {
		return
	}
	h := &hardened{stage: newStage(t, lab.Options{Plugins: 1, Sites: 2}, `watch.every = "30s"`, "edge.ask = false"), since: time.Now()}
	x := h.doctor()
	x.finds(doctor.Problem, "service, running", "systemctl start wpmend")
	h.install()
	h.fpmByUnit()
	h.systemctl("enable", "--now", hardUnit)

	before := h.snapshot()
	x = h.doctor()
	if x.Problems > 0 || x.code != exitDone {
		t.Errorf("a healthy host has problems: %s", x.worst())
	}
	for _, check := range []string{"capabilities", "configuration", "mode", "state folder", "lock folder", "service, unit", "service, boot", "service, running", "service, watchdog",
		"API", "gateway", "PHP-FPM", "PHP-FPM, pools", "sites", "databases", "private copy", "namespaces", "logs", "journald", "clock, jumps", "inotify", "open files", "disks", "name server", "panel"} {
		x.finds(doctor.OK, check)
	}
	x.finds(doctor.OK, "sites", "2 WordPress sites")
	x.finds(doctor.OK, "databases", "2 sites")
	x.finds(doctor.Warning, "PHP-FPM, reload", "process_control_timeout")
	h.wantSnapshot(before)
	if left := shadowsRunning(t); len(left) > 0 {
		t.Errorf("it left %q", left)
	}
	h.noMounts()
	if left, _ := filepath.Glob("/run/wpmend-doctor-*"); len(left) > 0 {
		t.Errorf("it left %q", left)
	}
	t.Logf("healthy, for people:\n%s", h.run("doctor").exits(exitDone).stdout)

	h.doctorOfService()
	h.doctorOfFolders()
	h.doctorOfServers()
	t.Logf("crippled, for people:\n%s", h.run("doctor").exits(exitUnhealthy).stdout)
}

func (h *hardened) doctorOfService() {
	// A copy of the unit that somebody wrote hides the packaged one.
	h.write("/etc/systemd/system/"+hardUnit, "[Service]\nExecStart=/usr/bin/wpmend run\n[Install]\nWantedBy=multi-user.target\n")
	h.systemctl("daemon-reload")
	h.doctor().finds(doctor.Problem, "service, unit", "hides the packaged /usr/lib/systemd/system/wpmend.service", "daemon-reload")
	h.must(os.Remove("/etc/systemd/system/" + hardUnit))
	h.systemctl("daemon-reload")
	h.systemctl("disable", "--now", hardUnit)
	x := h.doctor()
	x.finds(doctor.Problem, "service, running", "systemctl start wpmend")
	x.finds(doctor.Warning, "service, boot", "systemctl enable wpmend")
	x.finds(doctor.Unknown, "API")
	h.systemctl("mask", hardUnit)
	defer h.systemctl("unmask", hardUnit)

	// A configuration that is refused, by its words and by who could write it.
	conf, err := os.ReadFile(h.config)
	h.must(err)
	h.write(h.config, string(conf)+"wacth = 3\n")
	x = h.doctor()
	x.finds(doctor.Problem, "configuration", "wacth", fmt.Sprintf(":%d", strings.Count(string(conf), "\n")+1))
	x.finds(doctor.Problem, "service, unit", "unmask")
	h.write(h.config, string(conf))
	h.must(os.Chmod(h.config, 0o666))
	h.doctor().finds(doctor.Problem, "configuration", h.config)
	h.must(os.Chmod(h.config, 0o644))
}

func (h *hardened) doctorOfFolders() {
	h.must(os.Chmod(h.state, 0o777))
	h.doctor().finds(doctor.Problem, "state folder", "chmod 700 "+h.state)
	h.must(os.Chmod(h.state, 0o700))
	x := h.doctor("mount -t tmpfs -o size=4m,mode=0700 full "+h.state, "cat /dev/zero > "+h.state+"/fill 2>/dev/null || :")
	x.finds(doctor.Problem, "state folder, room", "only observes", "df -h "+h.state)
	x.finds(doctor.Warning, "state folder, file system", "memory (tmpfs)")

	// The kernel's bounds, as another sysctl.conf would set them.
	low := func(file, value string) []string {
		return []string{"echo " + value + " > /tmp/low", "mount --bind /tmp/low /proc/sys/" + file}
	}
	h.doctor(low("fs/inotify/max_user_watches", "1")...).finds(doctor.Warning, "inotify", "sysctl --system", "max_user_watches is 1")
	h.doctor(low("user/max_mnt_namespaces", "0")...).finds(doctor.Problem, "namespaces", "sysctl -w user.max_mnt_namespaces")

	// Overlays may be stacked twice; with two below the site's there can be no third.
	var mounts []string
	root := h.Site(0).Root
	for i := range 2 {
		at := fmt.Sprintf("%s/deep%d", h.Dir, i)
		h.must(os.MkdirAll(at+"/upper", 0o755))
		h.must(os.MkdirAll(at+"/work", 0o755))
		out, err := exec.Command("mount", "-t", "overlay", "-o", fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", root, at, at), "deep", root).CombinedOutput()
		if err != nil {
			h.t.Fatalf("%v: %s", err, out)
		}
		mounts = append(mounts, root)
	}
	h.doctor().finds(doctor.Warning, "private copy", "no overlay", "db.php", root)
	for range mounts {
		h.must(exec.Command("umount", "-l", root).Run())
	}
}

func (h *hardened) doctorOfServers() {
	// What nginx runs with is well, and what lies on the disk is not.
	vhost := h.VhostConfig(0)
	conf, err := os.ReadFile(vhost)
	h.must(err)
	h.write(vhost, string(conf)+"\nproxy_pas http://x;\n")
	x := h.doctor()
	x.finds(doctor.Problem, "gateway, configuration", vhost, "proxy_pas", fmt.Sprint(strings.Count(string(conf), "\n")+2))
	h.write(vhost, string(conf))

	pool := h.PoolConfig(1)
	conf, err = os.ReadFile(pool)
	h.must(err)
	h.write(pool, string(conf)+"\nno_such_directive = 1\n")
	h.doctor().finds(doctor.Problem, "PHP-FPM, configuration", "no_such_directive")
	h.write(pool, string(conf))
	h.must(os.Remove(h.Site(1).Socket))
	h.doctor().finds(doctor.Problem, "PHP-FPM, pools", h.Site(1).Socket, "1 pool")
	h.must(h.StopDB())
	h.doctor().finds(doctor.Problem, "databases", "of 2 sites", h.Site(0).Domain)
	h.systemctl("stop", fpmUnit)
	h.doctor().finds(doctor.Problem, "PHP-FPM", "systemctl start")
	h.must(h.StopGateway())
	x = h.doctor()
	x.finds(doctor.Problem, "gateway", "no nginx or Apache runs")
	if x.code != exitUnhealthy {
		h.t.Errorf("exit %d", x.code)
	}
}
