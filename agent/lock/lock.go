// Package lock lets one actor at a time work on a site: the service and the command
// line take the same locks. It knows how a site and a database are told from others;
// it refuses to know what is done under the lock.
//
// Its invariant: the kernel's lock on the file is the truth (flock), so a crash frees
// it; what the file says of its holder only serves the message. Files are never
// removed: two actors would hold "the" lock of two files of one name.
package lock

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// Dir is where the locks lie, whatever the state folder is: two actors with
// different state folders must meet.
const Dir = "/run/wpmend/lock"

// Key names one thing that only one actor may work on.
type Key struct {
	file string
	what string // for messages
}

func (k Key) String() string { return k.what }

// Folder is the key of a site's root, by device and inode: every path to it is the same.
func Folder(root string) (Key, error) {
	var st unix.Stat_t
	if err := unix.Stat(root, &st); err != nil {
		return Key{}, fmt.Errorf("lock: %w", &fs.PathError{Op: "stat", Path: root, Err: err})
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return Key{}, fmt.Errorf("lock: %s is not a folder", root)
	}
	return Key{file: fmt.Sprintf("folder-%d-%d.lock", st.Dev, st.Ino), what: "the site in " + root}, nil
}

// Database is the key of a database with its table prefix: copies of a site that
// share it share active_plugins.
func Database(identity string) Key {
	return hashed("database", identity, "the database "+identity)
}

// Master is the key of a PHP-FPM master, by its configuration: its sites are healed side
// by side, and each may want it restarted.
func Master(config string) Key {
	return hashed("fpm", config, "PHP-FPM with "+config)
}

// hashed is a key for what is known by a text that is no file name.
func hashed(kind, identity, what string) Key {
	sum := sha256.Sum256([]byte(identity))
	return Key{file: kind + "-" + hex.EncodeToString(sum[:16]) + ".lock", what: what}
}

// Held is the error of an actor who finds a lock taken. PID is 0 when the holder
// could not be told.
type Held struct {
	PID     int
	Command string
	Since   time.Time
	Key     Key
}

func (h *Held) Error() string {
	if h.PID == 0 {
		return fmt.Sprintf("another wpmend is at work on %s", h.Key)
	}
	return fmt.Sprintf("another wpmend is at work on %s: %q, pid %d, since %s", h.Key, h.Command, h.PID, h.Since.Format(time.RFC3339))
}

// holder is what a lock file says.
type holder struct {
	PID     int       `json:"pid"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

// Lock is a set of keys that are held.
type Lock struct {
	files []*flock.Flock
}

// Acquire takes all keys or none; it does not wait. A key that is taken, also by this
// process, gives a [*Held]. command is what the next one is told. dir is made if it is
// missing and must be root's own.
func Acquire(dir string, keys []Key, command string) (*Lock, error) {
	if err := prepare(dir); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	// Everybody takes them in one order, so that two actors with two keys in common
	// cannot each hold one of them and send the other away.
	keys = slices.Clone(keys)
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.file, b.file) })
	keys = slices.CompactFunc(keys, func(a, b Key) bool { return a.file == b.file })
	l := &Lock{}
	for _, k := range keys {
		if err := l.take(filepath.Join(dir, k.file), k, command); err != nil {
			return nil, errors.Join(err, l.Release())
		}
	}
	return l, nil
}

func (l *Lock) take(path string, k Key, command string) error {
	f := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK), flock.SetPermissions(0o600))
	got, err := f.TryLock()
	if err != nil {
		return fmt.Errorf("lock %s: %w", k, err)
	}
	if !got {
		return whoHolds(path, k)
	}
	l.files = append(l.files, f)
	info, err := json.Marshal(holder{PID: os.Getpid(), Command: command, Since: time.Now().UTC().Truncate(time.Second)})
	if err == nil {
		err = os.WriteFile(path, append(info, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", k, err)
	}
	return nil
}

// maxHolder bounds what is read of a lock file, in bytes.
const maxHolder = 64 << 10

// patience is how long an unnamed holder may take to write down his name, which he
// does only once he has the lock.
const patience = 20 * 10 * time.Millisecond

// whoHolds reads who took a lock. What stands there may be a dead one's: then nobody
// is named.
func whoHolds(path string, k Key) error {
	h := &Held{Key: k}
	for waited := time.Duration(0); ; waited += patience / 20 {
		if said, ok := read(path); ok {
			h.PID, h.Command, h.Since = said.PID, said.Command, said.Since
			return h
		}
		if waited >= patience {
			return h
		}
		time.Sleep(patience / 20)
	}
}

func read(path string) (holder, bool) {
	var said holder
	f, err := os.Open(path)
	if err != nil {
		return said, false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxHolder))
	if err != nil || json.Unmarshal(data, &said) != nil || said.PID <= 0 {
		return said, false
	}
	err = unix.Kill(said.PID, 0)
	return said, err == nil || errors.Is(err, unix.EPERM)
}

// Release gives all keys back. It may be called again.
func (l *Lock) Release() error {
	var errs []error
	for _, f := range slices.Backward(l.files) {
		// The name goes first: it must not be read as that of the next holder.
		errs = append(errs, os.Truncate(f.Path(), 0), f.Unlock())
	}
	l.files = nil
	return errors.Join(errs...)
}

// prepare makes the folder and refuses one in which others could exchange a file. Who
// may as much as read a lock file can lock it (flock(2) asks for no more), and keep
// every site from being healed: so the folder is closed, that of an earlier wpmend too.
func prepare(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &fs.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s must be a folder of root's that nobody else may write to; it belongs to uid %d with mode %04o", dir, st.Uid, st.Mode&0o7777)
	}
	if st.Mode&0o077 != 0 {
		return os.Chmod(dir, 0o700)
	}
	return nil
}
