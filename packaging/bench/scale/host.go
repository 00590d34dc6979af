package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	base       = "/srv"
	firstUID   = 30_000
	masterPool = 1000 // pools that one master runs
)

// host is one machine full of sites.
type host struct {
	sites    int
	commands []*exec.Cmd
}

// setUp makes the namespaces a machine: files in memory, users, a loopback.
func (h *host) setUp() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range []string{base, "/run"} {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,size=4g,nr_inodes=1m"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for _, file := range []string{"passwd", "group"} {
		if err := h.addUsers(file); err != nil {
			return err
		}
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return nil
}

func (h *host) addUsers(file string) error {
	old, err := os.ReadFile("/etc/" + file)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.Write(old)
	for i := range h.sites {
		if file == "passwd" {
			fmt.Fprintf(&text, "%s:x:%d:%d::%s:/usr/sbin/nologin\n", user(i), firstUID+i, firstUID+i, home(i))
		} else {
			fmt.Fprintf(&text, "%s:x:%d:\n", user(i), firstUID+i)
		}
	}
	mine := filepath.Join(base, file)
	if err := write(mine, text.String()); err != nil {
		return err
	}
	return syscall.Mount(mine, "/etc/"+file, "", syscall.MS_BIND, "")
}

func user(i int) string   { return fmt.Sprintf("site%04d", i) }
func domain(i int) string { return user(i) + ".example" }
func home(i int) string   { return filepath.Join(base, "www", domain(i)) }
func socket(i int) string { return filepath.Join(base, "php", user(i)+".sock") }

func write(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// build writes every file of the host.
func (h *host) build() error {
	for _, dir := range []string{"php", "nginx/tmp", "log"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			return err
		}
	}
	if err := write(base+"/nginx/nginx.conf", nginxMain); err != nil {
		return err
	}
	for i := range h.sites {
		files := map[string]string{
			fmt.Sprintf("%s/nginx/sites/%s.conf", base, domain(i)): strings.NewReplacer("NAME", domain(i), "HOME", home(i), "SOCKET", socket(i)).Replace(nginxSite),
			fmt.Sprintf("%s/pool.d/%s.conf", master(i), user(i)):   strings.NewReplacer("USER", user(i), "SOCKET", socket(i), "HOME", home(i)).Replace(pool),
			master(i) + "/php-fpm.conf":                            strings.ReplaceAll(fpmMain, "DIR", master(i)),
		}
		for path, text := range files {
			if err := write(path, text); err != nil {
				return err
			}
		}
		if err := h.wordPress(i); err != nil {
			return err
		}
	}
	return nil
}

func master(i int) string { return fmt.Sprintf("%s/fpm%d", base, i/masterPool) }

// wordPress lays out one site's folder.
func (h *host) wordPress(i int) error {
	root := filepath.Join(home(i), "htdocs")
	for path, text := range wordPressFiles {
		if err := write(filepath.Join(root, path), strings.NewReplacer("NAME", domain(i), "DB", user(i)).Replace(text)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(home(i), "logs"), 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, firstUID+i, firstUID+i))
	})
}

// start runs the servers and waits until the last site answers.
func (h *host) start() error {
	for i := 0; i < h.sites; i += masterPool {
		if err := h.run("/usr/sbin/php-fpm8.2", "-F", "-y", master(i)+"/php-fpm.conf"); err != nil {
			return err
		}
	}
	if err := h.run("/usr/sbin/nginx", "-c", base+"/nginx/nginx.conf"); err != nil {
		return err
	}
	var err error
	for range 600 {
		if err = visit(h.sites - 1); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the last site does not answer: %w", err)
}

func (h *host) run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	h.commands = append(h.commands, cmd)
	return nil
}

// visit asks a site's front page.
func visit(i int) error {
	c, err := net.Dial("tcp", "127.0.0.1:80")
	if err != nil {
		return err
	}
	c.Close()
	r, err := http.NewRequest(http.MethodGet, "http://127.0.0.1/hello/", nil)
	if err != nil {
		return err
	}
	r.Host = domain(i)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", r.Host, a.Status)
	}
	return nil
}
