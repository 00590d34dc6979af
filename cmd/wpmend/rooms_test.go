package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms says which of our own packages each package may import, beyond its tests.
// Dependencies point one way: cmd → agent → wp, php; wp and php know neither the
// agent nor each other.
var rooms = map[string][]string{
	"cmd/wpmend":               {"agent", "agent/api", "agent/bisect", "agent/config", "agent/diagnose", "agent/doctor", "agent/feed", "agent/history", "agent/lock", "agent/metrics", "agent/panel", "agent/probe", "agent/report", "agent/site", "agent/supervisor", "agent/web", "packaging", "php/fpm", "php/ini", "php/transient"},
	"agent":                    {"agent/bisect", "agent/config", "agent/diagnose", "agent/evidence", "agent/feed", "agent/gateway", "agent/history", "agent/journal", "agent/lock", "agent/panel", "agent/policy", "agent/probe", "agent/redact", "agent/remedy", "agent/report", "agent/shadow", "agent/site", "agent/watch", "php/account", "php/fpm", "php/ini", "php/process", "wp"},
	"agent/api":                {"agent", "agent/config", "agent/feed", "agent/history", "agent/lock", "agent/report", "agent/site", "php/ini"},
	"agent/bisect":             {},
	"agent/config":             {"php", "php/account", "wp"},
	"agent/diagnose":           {"agent/gateway", "agent/probe", "php/errlog", "wp"},
	"agent/doctor":             {"agent/config", "agent/evidence", "agent/gateway", "agent/lock", "agent/panel", "agent/site", "php/errlog", "php/fpm", "php/process", "wp"},
	"agent/evidence":           {"agent/diagnose", "agent/gateway", "agent/probe", "agent/site", "php/account", "php/errlog", "php/fpm", "php/ini", "php/lint", "php/process", "php/socket", "php/transient", "wp"},
	"agent/feed":               {"agent/history"},
	"agent/gateway":            {"php/fpm", "php/process", "php/stamp", "php/transient"},
	"agent/history":            {"agent/diagnose", "agent/journal"},
	"agent/journal":            {"wp"},
	"agent/lock":               {},
	"agent/metrics":            {"agent", "agent/config", "agent/diagnose", "agent/feed", "agent/history", "agent/policy", "agent/probe"},
	"agent/panel":              {"php/ini", "php/transient"},
	"agent/policy":             {},
	"agent/probe":              {"agent/gateway", "agent/site", "php/errlog", "php/fcgi", "php/fpm", "php/socket", "wp"},
	"agent/redact":             {},
	"agent/remedy":             {"agent/gateway", "agent/journal", "agent/panel", "agent/site", "php/fpm", "php/ini", "wp"},
	"agent/report":             {"agent/diagnose", "agent/history", "agent/redact"},
	"agent/shadow":             {"agent/probe", "agent/site", "php/errlog", "php/fcgi", "php/fpm", "wp"},
	"agent/site":               {"agent/gateway", "php/account", "php/fpm", "php/process", "php/stamp", "wp"},
	"agent/supervisor":         {},
	"agent/watch":              {"php/errlog"},
	"agent/web":                {},
	"packaging":                {},
	"packaging/bench/scale":    {},
	"packaging/bench/search":   {"packaging/lab"},
	"packaging/crash":          {},
	"packaging/docs/recording": {"packaging/lab"},
	"packaging/lab":            {},
	"packaging/lab/try":        {"packaging/lab"},
	"php":                      {},
	"php/account":              {},
	"php/errlog":               {},
	"php/fcgi":                 {"php/socket"},
	"php/fpm":                  {"php", "php/account", "php/errlog", "php/fcgi", "php/process", "php/stamp", "php/transient"},
	"php/ini":                  {"php"},
	"php/lint":                 {"php/process", "php/transient"},
	"php/process":              {},
	"php/socket":               {},
	"php/stamp":                {},
	"php/transient":            {"php/process"},
	"wp":                       {},
}

// pure packages take values and return values: no clock, disk, network or process.
var pure = []string{"agent/bisect", "agent/diagnose", "agent/policy"}

const (
	module   = "wpmend"
	maxLines = 600 // where a file stops; at 400 it is a question whether it is two subjects
)

func TestRooms(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	documented := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && path != root) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if n := strings.Count(string(text), "\n"); n > maxLines {
			t.Errorf("%s has %d lines, more than %d", path, n, maxLines)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		room, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		seen[room] = true
		documented[room] = documented[room] || isPackageComment(file)
		if !strings.HasSuffix(path, "_test.go") {
			checkImports(t, path, room, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range seen {
		if _, known := rooms[room]; !known {
			t.Errorf("package %s is not in the table of rooms", room)
		}
		if !documented[room] {
			t.Errorf("package %s has no package comment", room)
		}
	}
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		if !seen[room] {
			t.Errorf("the table of rooms names %s, which does not exist", room)
		}
	}
}

func isPackageComment(f *ast.File) bool { return f.Doc != nil && len(f.Doc.Text()) > 60 }

func checkImports(t *testing.T, path, room string, file *ast.File) {
	t.Helper()
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if ours, ok := strings.CutPrefix(name, module+"/"); ok && !slices.Contains(rooms[room], ours) {
			t.Errorf("%s imports %s, which %s may not know", path, ours, room)
		}
		if slices.Contains(pure, room) && slices.Contains([]string{"os", "net", "os/exec", "syscall", "database/sql"}, name) {
			// Error numbers are values; only diagnose reads them.
			if room == "agent/diagnose" && name == "syscall" {
				continue
			}
			t.Errorf("%s imports %s, but %s is pure", path, name, room)
		}
	}
}
