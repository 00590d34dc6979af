package fpm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"wpmend/php/process"
)

// claim is a folder of a private copy while its owner lives. The lock on its file `owner` goes with the owner's
// process, however that ends; the master that it started is recorded in `master`.
type claim struct {
	dir  string
	lock *flock.Flock
}

const (
	claimStart = "c"
	lockWait   = 5 * time.Second
)

// gate keeps a cleaner from a folder that was made and is not locked yet.
func gate(ctx context.Context, base string) (*flock.Flock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	lock := flock.New(filepath.Join(base, "gate"), flock.SetPermissions(0o600))
	if ok, err := lock.TryLockContext(ctx, 2*time.Millisecond); err != nil || !ok {
		return nil, fmt.Errorf("lock %s: %w", base, err)
	}
	return lock, nil
}

func claimFolder(ctx context.Context, base string) (*claim, error) {
	if err := makeBase(base); err != nil {
		return nil, err
	}
	if err := rootsFolder(base); err != nil {
		return nil, err
	}
	g, err := gate(ctx, base)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	dir, err := os.MkdirTemp(base, claimStart)
	if err != nil {
		return nil, err
	}
	c := &claim{dir: dir, lock: flock.New(filepath.Join(dir, "owner"), flock.SetPermissions(0o600))}
	ok, err := c.lock.TryLock()
	if err == nil && !ok {
		err = errors.New("somebody else holds it")
	}
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("claim %s: %w", dir, err), c.release())
	}
	return c, nil
}

// makeBase makes the folder, so that the pool's user can pass through it whatever our umask is.
func makeBase(base string) error {
	err := os.Mkdir(base, 0o711)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case errors.Is(err, fs.ErrNotExist):
		if err := makeBase(filepath.Dir(base)); err != nil {
			return err
		}
		return makeBase(base)
	case err != nil:
		return err
	}
	return os.Chmod(base, 0o711)
}

// rootsFolder makes sure that nobody else can change what we are about to run.
func rootsFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || sys.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s must be a folder of root's that nobody else can write", dir)
	}
	return nil
}

func (c *claim) record(master process.Process) error {
	text, err := json.Marshal(master)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, "master"), text, 0o600)
}

// release removes the folder and then lets go of it.
func (c *claim) release() error {
	return errors.Join(os.RemoveAll(c.dir), c.lock.Close())
}

// CleanPrivates removes what private copies of a wpmend that died have left in dir: their folders and, should one still
// run, its master. Copies whose owner lives are left alone.
func CleanPrivates(dir string) error {
	if err := rootsFolder(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	g, err := gate(context.Background(), dir)
	if err != nil {
		return err
	}
	defer g.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), claimStart) {
			errs = append(errs, clean(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func clean(dir string) error {
	c := &claim{dir: dir, lock: flock.New(filepath.Join(dir, "owner"), flock.SetPermissions(0o600))}
	if ok, err := c.lock.TryLock(); err != nil || !ok {
		return err
	}
	if err := endOrphans(dir); err != nil {
		return errors.Join(err, c.lock.Close())
	}
	return c.release()
}

// endOrphans ends a master that outlived its owner: the one on record, or one whose owner died between starting it and
// writing that down, which only its title shows.
func endOrphans(dir string) error {
	var recorded process.Process
	if text, err := os.ReadFile(filepath.Join(dir, "master")); err == nil {
		// A record that was cut short names nobody.
		_ = json.Unmarshal(text, &recorded)
	}
	procs, err := process.List()
	if err != nil {
		return err
	}
	for _, p := range procs {
		config, titled := configOf(p)
		same := recorded.PID == p.PID && recorded.Start == p.Start && p.PID > 1
		if !same && !(titled && config == filepath.Join(dir, "fpm.conf")) || p.SpeaksForHost() != nil {
			continue
		}
		if found, err := os.FindProcess(p.PID); err == nil && p.Alive() {
			if err := found.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("end the orphan %d of %s: %w", p.PID, dir, err)
			}
		}
	}
	return nil
}
