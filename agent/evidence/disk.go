package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/process"
)

// place is a folder that the site needs room in.
type place struct {
	use  string
	path string // as it is shown
	seen string // the same as we reach it, "" where that is path itself
}

// disks looks at each file system that the site needs once, under the first use of it.
func disks(places []place) []diagnose.Disk {
	var found []diagnose.Disk
	var devices []uint64
	for _, p := range places {
		d, device, err := disk(p)
		if err != nil || slices.Contains(devices, device) {
			continue // what is not there needs no room
		}
		devices = append(devices, device)
		found = append(found, d)
	}
	return found
}

func disk(p place) (d diagnose.Disk, device uint64, err error) {
	at := p.seen
	if at == "" {
		at = p.path
	}
	var stat unix.Stat_t
	var room unix.Statfs_t
	if err := errors.Join(unix.Stat(at, &stat), unix.Statfs(at, &room)); err != nil {
		return diagnose.Disk{}, 0, err
	}
	size := int64(room.Bsize)
	if room.Frsize > 0 {
		size = int64(room.Frsize)
	}
	// What only root may use (f_bfree - f_bavail) is no room for a site: statfs(2).
	return diagnose.Disk{For: p.use, Path: p.path, Free: int64(room.Bavail) * size, Total: (int64(room.Blocks) - int64(room.Bfree) + int64(room.Bavail)) * size,
		Inodes: int64(room.Files), FreeInodes: int64(room.Ffree)}, uint64(stat.Dev), nil
}

// places are the folders that the site, its PHP, its servers and its database write
// to; settings are PHP's own, by name.
func places(s site.Site, settings func(string) string, databases []process.Process) []place {
	found := []place{{use: "site", path: s.Root}}
	for _, file := range slices.Concat(accessLogs(s), gatewayLogs(s), masterLogs(s), slowLogs(s), phpLogs(s)) {
		found = append(found, place{use: "logs", path: filepath.Dir(file)})
	}
	pool := func(use, path string) {
		if filepath.IsAbs(path) {
			found = append(found, place{use: use, path: path, seen: withinPool(s, path)})
		}
	}
	temporary := firstOf(settings("upload_tmp_dir"), settings("sys_temp_dir"), poolEnv(s, "TMPDIR"), "/tmp")
	pool("temporary files", temporary)
	sessions := settings("session.save_path")
	if i := strings.LastIndexByte(sessions, ';'); i >= 0 { // "N;MODE;/path"
		sessions = sessions[i+1:]
	}
	if handler := settings("session.save_handler"); handler == "" || handler == "files" {
		pool("sessions", sessions)
	}
	for _, p := range databases {
		// Its working folder is its data folder (mysqld_main: my_setwd).
		found = append(found, place{use: "database", path: p.Cwd, seen: fmt.Sprintf("/proc/%d/cwd", p.PID)})
	}
	return append(found, place{use: "database", path: "/var/lib/mysql"}) // of a server that does not run now
}

// withinPool is how we reach a path of the pool's: its unit may have a /tmp of its
// own (PrivateTmp), and the pool a chroot.
func withinPool(s site.Site, path string) string {
	if root, ok := s.Pool.Get("chroot"); ok && filepath.IsAbs(root) {
		path = filepath.Join(root, path)
	}
	if m, up := running(s.Master); up {
		seen := filepath.Join(fmt.Sprintf("/proc/%d/root", m.Process.PID), path)
		if _, err := os.Stat(seen); !errors.Is(err, fs.ErrPermission) {
			return seen
		}
	}
	return path
}

func poolEnv(s site.Site, name string) string {
	value, _ := s.Pool.Get("env[" + name + "]")
	return value
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// databases are the database servers that run on this host.
func databases() []process.Process {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return nil
	}
	var found []process.Process
	for _, name := range names {
		comm := strings.TrimSpace(read(name))
		if comm != "mariadbd" && comm != "mysqld" {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(name, "/")[2])
		if err != nil {
			continue
		}
		if p, err := process.Read(pid); err == nil {
			found = append(found, p)
		}
	}
	return found
}
