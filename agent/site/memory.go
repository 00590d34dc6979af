package site

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// memoryFile holds the servers that were seen running, below the state folder.
const memoryFile = "host.json"

// Recall reads what Remember wrote; nothing remembered is an empty Host. A broken
// file is an error: the caller goes on with what runs now.
func Recall(state string) (Host, error) {
	file := filepath.Join(state, memoryFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Host{}, nil
	}
	if err != nil {
		return Host{}, fmt.Errorf("read what was seen before: %w", err)
	}
	var h Host
	if err := json.Unmarshal(text, &h); err != nil {
		return Host{}, fmt.Errorf("read what was seen before: %s: %w: remove the file; it is written anew", file, err)
	}
	return h, nil
}

// Remember writes the servers of h for the next run. Losing it costs nothing but
// the chance to start a server that nobody saw running, so it is replaced
// atomically but not synced.
func (h Host) Remember(state string) error {
	text, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("remember the host: %w", err)
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return fmt.Errorf("remember the host: %w", err)
	}
	dir, err := os.Open(state)
	if err != nil {
		return fmt.Errorf("remember the host: %w", err)
	}
	defer dir.Close()
	// Held until the end, so that all writers can use one name: nothing piles up when
	// they die.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("remember the host: lock %s: %w", state, err)
	}
	fresh := filepath.Join(state, "."+memoryFile+".new")
	if err = os.WriteFile(fresh, text, 0o600); err == nil {
		err = os.Rename(fresh, filepath.Join(state, memoryFile))
	}
	if err != nil {
		return fmt.Errorf("remember the host: %w", errors.Join(err, os.Remove(fresh)))
	}
	return nil
}
