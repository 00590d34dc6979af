package fpm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"wpmend/php/process"
)

// Test asks FPM itself whether it would start with its configuration (php-fpm -t); the error holds FPM's own words.
// It does not see unknown php_admin_value names and sockets in use. FPM opens its logs for it.
func (m Master) Test(ctx context.Context) error {
	args := append([]string{"-t", "--fpm-config", m.Config}, extraArgs(m.Args)...)
	_, err := run(ctx, m.Binary, cleanEnv(m.Env), args...)
	return err
}

// trusted resolves a binary that may be named by a link and makes sure that nobody but root can replace it.
func trusted(binary string) (string, error) {
	if !filepath.IsAbs(binary) {
		return "", fmt.Errorf("the binary %q is not an absolute path", binary)
	}
	path, err := filepath.EvalSymlinks(binary)
	if err != nil {
		return "", err
	}
	if err := process.RootOnly(path); err != nil {
		return "", fmt.Errorf("%s is not run as root: %w", binary, err)
	}
	return path, nil
}

// cleanEnv is what a program of the host's gets: nothing of ours that could change what it does (NOTIFY_SOCKET,
// LISTEN_FDS, HOME), the time zone, which its log's times hang on, and what its unit is known to set.
func cleanEnv(known []string) []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	if tz, ok := os.LookupEnv("TZ"); ok {
		env = append(env, "TZ="+tz)
	}
	for _, e := range known {
		name, _, ok := strings.Cut(e, "=")
		if !ok || name == "" || name == "NOTIFY_SOCKET" || name == "FPM_SOCKETS" || strings.HasPrefix(name, "LISTEN_") ||
			strings.ContainsRune(e, 0) {
			continue
		}
		env = append(env, e)
	}
	return env
}

var logPrefix = regexp.MustCompile(`(?m)^\[[^\]]*\] (?:ERROR|ALERT|WARNING|NOTICE): `)

// words takes from FPM's output what it complained of, short enough for an error.
func words(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "] ERROR: ") || strings.Contains(line, "] ALERT: ") || strings.HasPrefix(line, "PHP:") ||
			strings.Contains(line, "error while loading") || strings.HasPrefix(line, "Failed to start transient service unit") {
			said = append(said, logPrefix.ReplaceAllString(line, ""))
		}
		if len(said) == 4 {
			break
		}
	}
	if len(said) == 0 {
		return ""
	}
	text := strings.Join(said, "; ")
	if len(text) > 1000 {
		text = text[:1000]
	}
	return ": " + strings.ToValidUTF8(text, "?")
}
