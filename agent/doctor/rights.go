package doctor

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// capability is a right of root's that wpmend needs, and for what.
type capability struct {
	bit  int
	name string
	need State // what it means where it is missing
	what string
}

var capabilities = [...]capability{
	{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE", Problem, "reading the sites' files and logs, and renaming a culprit in a customer's folder"},
	{unix.CAP_FOWNER, "CAP_FOWNER", Problem, "giving what it puts back its mode"},
	{unix.CAP_CHOWN, "CAP_CHOWN", Problem, "giving a file that it writes anew to whom the old one belonged"},
	{unix.CAP_KILL, "CAP_KILL", Problem, "ending one stuck worker, reloading PHP-FPM"},
	{unix.CAP_SETUID, "CAP_SETUID", Problem, "asking a database as the site's owner, running a private copy as the pool's user"},
	{unix.CAP_SETGID, "CAP_SETGID", Problem, "asking a database as the site's owner, running a private copy as the pool's user"},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE", Warning, "seeing what the pools' workers do, and so which one is stuck"},
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", Warning, "mounting a private copy's overlay, without which must-use plugins and db.php cannot be searched"},
}

// rights looks at what this process may do. The service may do less than root on a shell:
// it asks systemd for the rest.
func rights() []Finding {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		s := &sheet{area: "rights"}
		s.unknown("capabilities", "", "the rights of this process cannot be read: %v", err)
		return s.findings
	}
	return judgeRights(os.Geteuid(), string(text), container())
}

// judgeRights reads /proc/PID/status (proc(5)).
func judgeRights(uid int, status, container string) []Finding {
	s := &sheet{area: "rights"}
	if uid != 0 {
		s.bad("root", "sudo wpmend doctor", "wpmend runs as uid %d and not as root", uid)
		return s.findings
	}
	in := ""
	if container != "" {
		in = " (in a container: " + container + ")"
	}
	effective, err := strconv.ParseUint(field(status, "CapEff"), 16, 64)
	if err != nil {
		s.unknown("capabilities", "", "the capabilities of this process cannot be read%s", in)
		return s.findings
	}
	missing := false
	for _, c := range capabilities {
		if effective&(1<<c.bit) != 0 {
			continue
		}
		missing = true
		do := "run wpmend outside of what takes the right away: a container needs --cap-add=" + strings.TrimPrefix(c.name, "CAP_") + ", a unit CapabilityBoundingSet=" + c.name
		s.add(c.need, "capability "+c.name, do, "root lacks %s here%s; it is needed for %s", c.name, in, c.what)
	}
	if !missing {
		s.ok("capabilities", "root, with all the rights that are needed%s", in)
	}
	if mode := field(status, "Seccomp"); mode != "" && mode != "0" {
		s.warn("seccomp", "where private copies fail below, run wpmend without this filter (docker: --security-opt seccomp=unconfined)",
			"a filter of system calls is on for this process%s", in)
	}
	return s.findings
}

// field is a value of /proc/PID/status.
func field(status, name string) string {
	for line := range strings.Lines(status) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// container names what this host is a guest of, "" if nothing says so: systemd's own file
// (systemd.io/CONTAINER_INTERFACE), Docker's and Podman's.
func container() string {
	if text, err := os.ReadFile("/run/systemd/container"); err == nil {
		return strings.TrimSpace(string(text))
	}
	for file, name := range map[string]string{"/.dockerenv": "docker", "/run/.containerenv": "podman"} {
		if _, err := os.Stat(file); err == nil {
			return name
		}
	}
	return ""
}
