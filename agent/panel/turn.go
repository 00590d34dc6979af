package panel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// turnFile is locked by who has the panel change something.
const turnFile = "/run/wpmend/panel.lock"

// takeTurn waits until nobody else has the panel change something: its scripts edit the same files and know no lock. The
// file is handed to the panel's program, and the lock is the file's: when wpmend is killed the program goes on, and who
// comes to put things right waits for its end.
func takeTurn(ctx context.Context, file string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o711); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for since := time.Now(); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Since(since) > maxTime {
			return nil, errors.Join(fmt.Errorf("another change by the panel is under way (%s): %w", file, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
