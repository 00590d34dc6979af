package wp

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
)

// PrependedFile is a file that PHP loads before every script (auto_prepend_file): a
// firewall's, as a rule.
type PrependedFile struct {
	// Component is of [KindPrepend], named by the file's own name. Path is empty
	// where the file lies outside of the tree.
	Component
	File string // as PHP is told; absolute but for one that include_path finds
	From string // the file that names it, relative to the tree; "" the host's configuration
	// Dangling says that the file is not there: every request that it is set for
	// ends in a fatal error before WordPress starts, until the setting is gone too.
	Dangling bool
}

// HostPrepend is what the host's own configuration says of auto_prepend_file.
type HostPrepend struct {
	File string // "" none
	// Admin says that it is set by php_admin_value, to nothing maybe: no .user.ini
	// is asked then.
	Admin bool
	// Htaccess says that PHP runs within Apache or LiteSpeed, which read .htaccess
	// instead of .user.ini.
	Htaccess bool
}

// Prepends finds what is set to be loaded first: by the host, and by the .user.ini
// (or .htaccess) of these folders of the tree, the document root first, then
// those below it whose scripts are asked (wp-admin, the core's own folder).
// Active is what applies to the document root's own scripts. What cannot be
// decided by reading, as a value that PHP computes, is left out.
func Prepends(t *Tree, host HostPrepend, folders ...string) ([]PrependedFile, error) {
	var found []PrependedFile
	first := true
	for i, folder := range folders {
		file, from, err := iniPrepend(t, host, folder)
		if err != nil {
			return nil, err
		}
		if from == "" {
			continue
		}
		if i == 0 {
			first = false
		}
		if file != "" {
			found = append(found, prependedFile(t, file, from, folder, i == 0))
		}
	}
	if host.File != "" {
		found = append(found, prependedFile(t, host.File, "", "", first))
	}
	return found, nil
}

// maxINI is what PHP reads of a .user.ini without complaint, and more.
const maxINI = 1 << 20

// iniPrepend is what a folder's own file sets; from is "" if it sets nothing.
func iniPrepend(t *Tree, host HostPrepend, folder string) (file, from string, err error) {
	if host.Admin {
		return "", "", nil
	}
	name, parse := ".user.ini", userINIPrepend
	if host.Htaccess {
		name, parse = ".htaccess", htaccessPrepend
	}
	from = path.Join(folder, name)
	b, err := t.ReadFile(from, maxINI)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("look for a file that PHP loads first: %w", err)
	}
	file, ok := parse(string(b))
	if !ok {
		return "", "", nil
	}
	return file, from, nil
}

func prependedFile(t *Tree, file, from, folder string, active bool) PrependedFile {
	l := PrependedFile{Component: Component{Kind: KindPrepend, Name: filepath.Base(file), Active: active}, File: file, From: from}
	rel := path.Join(folder, file)
	if filepath.IsAbs(file) {
		var err error
		if rel, err = filepath.Rel(t.Dir(), file); err != nil {
			rel = ".."
		}
	}
	if !filepath.IsLocal(rel) {
		return l
	}
	_, err := t.Stat(rel)
	// A name alone may be found elsewhere on PHP's include_path.
	l.Dangling = errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(file)
	l.Path, l.Files = rel, []string{l.Name}
	l.describe(t, []string{rel})
	return l
}

// userINIPrepend reads a .user.ini as PHP's ini scanner does, as far as this one
// setting goes: the last one holds. False if there is none, or if it is computed.
func userINIPrepend(text string) (string, bool) {
	value, set := "", false
	for line := range iniLines(text) {
		key, rest, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(key) != "auto_prepend_file" {
			continue
		}
		value, set = iniValue(strings.TrimSpace(rest))
	}
	return value, set
}

// htaccessPrepend reads php_value and php_admin_value of a .htaccess.
func htaccessPrepend(text string) (string, bool) {
	value, set := "", false
	for line := range iniLines(text) {
		words := strings.Fields(line)
		if len(words) < 3 || !strings.EqualFold(words[0], "php_value") && !strings.EqualFold(words[0], "php_admin_value") || words[1] != "auto_prepend_file" {
			continue
		}
		_, rest, _ := strings.Cut(line, words[1])
		rest = strings.TrimSpace(rest)
		if q := rest[0]; q == '"' || q == '\'' {
			rest, _, _ = strings.Cut(rest[1:], string(q))
		} else {
			rest = words[2]
		}
		value, set = rest, true
		if strings.EqualFold(value, "none") {
			value = ""
		}
	}
	return value, set
}

func iniLines(text string) func(func(string) bool) {
	return strings.FieldsFuncSeq(strings.TrimPrefix(text, "\ufeff"), func(r rune) bool { return r == '\n' || r == '\r' })
}

// iniValue is a value as PHP's ini scanner takes it; false where it holds
// something that PHP replaces.
func iniValue(s string) (string, bool) {
	switch {
	case strings.HasPrefix(s, "'"):
		s, _, _ = strings.Cut(s[1:], "'")
		return s, true
	case strings.HasPrefix(s, `"`):
		s, _, _ = strings.Cut(s[1:], `"`)
	default:
		s, _, _ = strings.Cut(s, ";")
		s = strings.TrimSpace(s)
		switch strings.ToLower(s) {
		case "none", "off", "no", "false", "null":
			return "", true
		}
		if strings.ContainsAny(s, `()|&^~!"'`) {
			return "", false
		}
	}
	return s, !strings.Contains(s, "${") && !strings.Contains(s, `\`)
}
