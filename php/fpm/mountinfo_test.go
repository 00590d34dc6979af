package fpm

import (
	"slices"
	"strings"
	"testing"
)

func TestParseMounts(t *testing.T) {
	t.Parallel()
	table, err := parseMounts("36 35 98:0 /mnt1 /mnt/a\\040b\\134 rw,noatime,nosuid master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue\n" +
		"40 36 0:5 / /p ro - proc proc rw\n")
	if err != nil || len(table) != 2 {
		t.Fatal(table, err)
	}
	if m := table[0]; m.id != 36 || m.point != `/mnt/a b\` || m.kind != "ext3" || !slices.Contains(m.options, "nosuid") {
		t.Errorf("got %+v", m)
	}
	for _, bad := range []string{"36 35 98:0\n", "x 35 98:0 / /a rw - ext4 d rw\n", "36 35 98:0 / a rw x - ext4 d rw\n", "\n"} {
		if table, err := parseMounts(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, table)
		}
	}
	if real, err := readMounts(); err != nil || !slices.ContainsFunc(real, func(m mountPoint) bool { return m.point == "/" }) {
		t.Errorf("our own: %+v, %v", real, err)
	}
}

func TestParseActivity(t *testing.T) {
	t.Parallel()
	a, err := parseActivity("7 (php-fpm: (x) pool) S 1 7 7 0 -1 4194560 100 0 3 0 12 34 0 0 20 0 1 0 5 6 7")
	if err != nil || !a.Waiting || a.Faults != 103 || a.CPU != 460e6 {
		t.Errorf("%+v, %v", a, err)
	}
	for _, bad := range []string{"", "7 (x) S 1 2", "7 (x) S 1 7 7 0 -1 4194560 x 0 3 0 12 34 0 0"} {
		if a, err := parseActivity(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, a)
		}
	}
}

// Every mount is at an absolute path, and a table is one mount a line.
func FuzzParseMounts(f *testing.F) {
	f.Add("36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root rw\n")
	f.Add("36 35 98:0 / /\\8 rw - ext3 d rw")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := parseMounts(text)
		if err != nil {
			return
		}
		if n := strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1; text != "" && len(table) != n {
			t.Errorf("%d mounts of %d lines", len(table), n)
		}
		for _, m := range table {
			if !strings.HasPrefix(m.point, "/") || m.kind == "" {
				t.Errorf("%+v", m)
			}
		}
	})
}
