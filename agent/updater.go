package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wpmend/php/process"
	"wpmend/wp"
)

// settled is how long a run of WordPress' cron takes that installs nothing.
const settled = 10 * time.Second

// updater names the sign that somebody updates the site at this moment, "" if there is
// none. An error means that it could not be looked for.
func (h *healing) updater() (string, error) {
	if h.facts.Updating != "" {
		return h.facts.Updating, nil
	}
	for _, w := range h.facts.Pool.Workers {
		// Visitors start wp-cron.php all the time; only one that lasts may be an automatic update.
		if w.Busy && updates(w.Script, w.URI) && (filepath.Base(w.Script) != "wp-cron.php" || w.Since > settled) {
			return fmt.Sprintf("worker %d is at %s", w.PID, w.Script), nil
		}
	}
	tree, err := wp.OpenTree(h.site.Root, h.site.Owner)
	if err != nil {
		return "", err
	}
	defer tree.Close()
	if name, err := fresh(tree, path.Join(h.wp.Paths.Content, "upgrade"), time.Now().Add(-forgotten)); err != nil || name != "" {
		return name, err
	}
	procs, err := process.List()
	if err != nil {
		return "", err
	}
	for _, p := range procs {
		// Whoever runs wp-cli as the owner may be at work on any of his sites.
		if (p.UID == h.site.Owner || p.UID == 0) && wpCLI(p.Argv) {
			return fmt.Sprintf("process %d runs wp-cli", p.PID), nil
		}
	}
	return "", nil
}

// updates tells the scripts of WordPress that install code.
func updates(script, uri string) bool {
	switch filepath.Base(script) {
	case "update.php", "update-core.php", "upgrade.php", "plugin-install.php", "theme-install.php", "wp-cron.php":
		return true
	case "admin-ajax.php":
		return strings.Contains(uri, "action=update-") || strings.Contains(uri, "action=install-") || !strings.Contains(uri, "action=")
	}
	return false
}

// wpCLI recognises wp-cli: "wp …", "php /usr/local/bin/wp …", "php -d memory_limit=1G wp-cli.phar …".
func wpCLI(argv []string) bool {
	if len(argv) > 0 && strings.HasPrefix(filepath.Base(argv[0]), "php") {
		for argv = argv[1:]; len(argv) > 0 && strings.HasPrefix(argv[0], "-"); argv = argv[1:] {
			if slices.Contains([]string{"-d", "-c", "-z"}, argv[0]) && len(argv) > 1 {
				argv = argv[1:]
			}
		}
	}
	for _, a := range argv[:min(3, len(argv))] {
		if base := filepath.Base(a); base == "wp" || strings.HasPrefix(base, "wp-cli") {
			return true
		}
	}
	return false
}

// fresh is something in a folder or one below it that was changed since.
func fresh(tree *wp.Tree, dir string, since time.Time) (string, error) {
	entries, err := tree.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		if info.ModTime().After(since) {
			return fmt.Sprintf("%s was changed at %s", path.Join(dir, e.Name()), info.ModTime().Format("15:04:05")), nil
		}
	}
	return "", nil
}
