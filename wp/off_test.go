package wp

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestChanged(t *testing.T) {
	t.Parallel()
	old := time.Now().Add(-48 * time.Hour)
	for _, tt := range []struct {
		name string
		do   func(at string) error
		want string
	}{
		{"nothing", nil, ""},
		{"a file was written", func(at string) error { return os.WriteFile(at+"/inc/a.php", []byte("x"), 0o644) }, "p/inc/a.php"},
		{"a file with an old date", func(at string) error {
			return errors.Join(os.WriteFile(at+"/inc/a.php", []byte("x"), 0o644), os.Chtimes(at+"/inc/a.php", old, old))
		}, "p/inc/a.php"},
		{"a file went", func(at string) error { return os.Remove(at + "/inc/b.php") }, "p/inc"},
		{"a date in the future", func(at string) error {
			future := time.Now().Add(48 * time.Hour)
			return os.Chtimes(at+"/inc", future, future)
		}, ""},
		{"linked for a backup", func(at string) error {
			return errors.Join(os.Link(at+"/p.php", filepath.Dir(at)+"/backup1"), os.Link(at+"/inc/a.php", filepath.Dir(at)+"/backup2"), os.Link(at+"/inc/b.php", filepath.Dir(at)+"/backup3"))
		}, ""},
		{"links in circles and to elsewhere", func(at string) error {
			return errors.Join(os.Symlink("..", at+"/loop"), os.Symlink("../recent", at+"/out"), os.WriteFile(filepath.Dir(at)+"/recent", nil, 0o600),
				setLinkTime(at+"/loop", old), setLinkTime(at+"/out", old), os.Chtimes(at, old, old), unix.Mkfifo(at+"/inc/pipe", 0o644),
				os.Chtimes(at+"/inc/pipe", old, old), os.Chtimes(at+"/inc", old, old))
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			at := filepath.Join(dir, "p")
			if err := os.MkdirAll(at+"/inc", 0o755); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{"/p.php", "/inc/a.php", "/inc/b.php"} {
				if err := os.WriteFile(at+f, []byte("<?php"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error { return errors.Join(err, os.Chtimes(name, old, old)) })
			if err != nil {
				t.Fatal(err)
			}
			since := time.Now().Add(20 * time.Millisecond)
			time.Sleep(30 * time.Millisecond) // past the kernel's coarse clock
			if tt.do != nil {
				if err := tt.do(at); err != nil {
					t.Fatal(err)
				}
			}
			tree, err := OpenTree(dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			if got, err := Changed(tree, "p", since); err != nil || got != tt.want {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
			if _, err := Changed(tree, "gone", since); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func setLinkTime(name string, to time.Time) error {
	at := unix.NsecToTimespec(to.UnixNano())
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}
