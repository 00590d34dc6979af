package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Snapshot is what a search or a remedy may change of a site, to be compared
// with what it was: names, owners, modes, dates and contents below plugins/ and
// themes/, the maintenance file, and the raw options that choose components.
type Snapshot struct {
	Files   map[string]string // path below the site's root: its properties in words
	Options map[string]string // option name ("blog-2:template", "network:…" of a network): value as stored
}

// Snapshot reads a site's state. Dates of folders are left out: they change when
// something in them is renamed and renamed back, which is no lasting change.
func (l *Lab) Snapshot(site int) (Snapshot, error) {
	s := l.sites[site]
	snap := Snapshot{Files: map[string]string{}, Options: map[string]string{}}
	note := func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(s.Root, path)
		if err != nil {
			return err
		}
		snap.Files[rel], err = describe(path)
		return err
	}
	dropIns, err := filepath.Glob(filepath.Join(s.Content, "*.php"))
	if err != nil {
		return Snapshot{}, fmt.Errorf("cannot take a snapshot of %s: %w", s.Domain, err)
	}
	hidden, err := filepath.Glob(filepath.Join(s.Content, ".*"))
	if err != nil {
		return Snapshot{}, fmt.Errorf("cannot take a snapshot of %s: %w", s.Domain, err)
	}
	places := slices.Concat(dropIns, hidden)
	for _, dir := range []string{"plugins", "mu-plugins", "themes"} {
		places = append(places, filepath.Join(s.Content, dir))
	}
	for _, place := range places {
		if _, err := os.Lstat(place); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := filepath.WalkDir(place, note); err != nil {
			return Snapshot{}, fmt.Errorf("cannot take a snapshot of %s: %w", s.Domain, err)
		}
	}
	const choices = "SELECT CONCAT('', option_name), option_value FROM `%soptions` WHERE option_name IN ('active_plugins', 'template', 'stylesheet')"
	questions := []string{fmt.Sprintf(choices, s.TablePrefix)}
	if s.Network != "" {
		questions = append(questions, strings.Replace(fmt.Sprintf(choices, s.TablePrefix+"2_"), "''", "'blog-2:'", 1),
			fmt.Sprintf("SELECT CONCAT('network:', meta_key), meta_value FROM `%ssitemeta` WHERE meta_key = 'active_sitewide_plugins'", s.TablePrefix))
	}
	for _, q := range questions {
		if err := l.readOptions(q, snap.Options); err != nil {
			return Snapshot{}, fmt.Errorf("cannot read the options of %s: %w", s.Domain, err)
		}
	}
	return snap, nil
}

func (l *Lab) readOptions(question string, into map[string]string) error {
	rows, err := l.db.QueryContext(context.Background(), question)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		into[name] = value
	}
	return rows.Err()
}

func describe(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	owner := info.Sys().(*syscall.Stat_t) // always so on Linux
	text := fmt.Sprintf("%s owner %d:%d", info.Mode(), owner.Uid, owner.Gid)
	switch {
	case info.Mode().IsRegular():
		content, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(content)
		text += fmt.Sprintf(" %s sha256 %s", info.ModTime().UTC().Format(time.RFC3339Nano), hex.EncodeToString(sum[:8]))
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		text += " to " + target
	}
	return text, nil
}

// Diff says in lines how the later snapshot differs; empty: it does not.
func (s Snapshot) Diff(later Snapshot) string {
	var b strings.Builder
	diff(&b, "", s.Files, later.Files)
	diff(&b, "option ", s.Options, later.Options)
	return b.String()
}

func diff(b *strings.Builder, kind string, before, after map[string]string) {
	names := maps.Clone(before)
	maps.Copy(names, after)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := before[name]
		is, has := after[name]
		switch {
		case !has:
			fmt.Fprintf(b, "gone: %s%s (%s)\n", kind, name, was)
		case !had:
			fmt.Fprintf(b, "new: %s%s (%s)\n", kind, name, is)
		case was != is:
			fmt.Fprintf(b, "changed: %s%s\n  was %s\n  is  %s\n", kind, name, was, is)
		}
	}
}

// tables lists the tables whose names start with the prefix.
func (l *Lab) tables(ctx context.Context, prefix string) ([]string, error) {
	const q = "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND LEFT(table_name, ?) = ? ORDER BY table_name"
	rows, err := l.db.QueryContext(ctx, q, dbName, len(prefix), prefix)
	if err != nil {
		return nil, fmt.Errorf("cannot list the tables %s*: %w", prefix, err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("cannot list the tables %s*: %w", prefix, err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// TableChecksums returns the checksum of the rows of each of a site's tables.
func (l *Lab) TableChecksums(site int) (map[string]string, error) {
	ctx := context.Background()
	names, err := l.tables(ctx, l.sites[site].TablePrefix)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, name := range names {
		var table, sum string
		if err := l.db.QueryRowContext(ctx, fmt.Sprintf("CHECKSUM TABLE `%s` EXTENDED", name)).Scan(&table, &sum); err != nil {
			return nil, fmt.Errorf("cannot take the checksum of %s: %w", name, err)
		}
		sums[name] = sum
	}
	return sums, nil
}
