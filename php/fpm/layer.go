package fpm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// scratchOptions bound what a copy may write: enough for caches and uploads of a minute, no burden for the host.
const scratchOptions = "mode=0700,size=128m,nr_inodes=32768"

// lay gives the calling thread, and what it forks, a mount namespace of its own with the overlays in it. Scratch is an
// empty folder of root's; its content is seen in that namespace only.
func lay(overlays []Overlay, scratch string) error {
	if len(overlays) == 0 {
		return nil
	}
	if err := layAll(overlays, scratch); err != nil {
		return fmt.Errorf("%w: %w", ErrNoOverlay, err)
	}
	return nil
}

func layAll(overlays []Overlay, scratch string) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make a mount namespace (needs CAP_SYS_ADMIN): %w", err)
	}
	// What is mounted here must not appear outside; what is unmounted outside must not be held here.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("part from the host's mounts: %w", err)
	}
	if err := unix.Mount("wpmend", scratch, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, scratchOptions); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	table, err := readMounts()
	if err != nil {
		return err
	}
	layers, err := planLayers(overlays, table)
	if err != nil {
		return err
	}
	// All are opened before the first is covered.
	lowers := make([]*os.File, len(layers))
	for i, l := range layers {
		if lowers[i], err = openNames(l.dir); err != nil {
			return err
		}
		defer lowers[i].Close()
	}
	for i, l := range layers {
		id, err := mountID(lowers[i])
		if err != nil {
			return err
		}
		if id != l.mount.id {
			// Another mount covers it, so nobody saw it before either.
			if l.overlay {
				return fmt.Errorf("%s is not what the mount table says", l.dir)
			}
			continue
		}
		if l.overlay {
			err = l.cover(lowers[i], filepath.Join(scratch, fmt.Sprint(i)))
		} else {
			err = l.rebind(lowers[i])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.dir, err)
		}
	}
	// The overlays keep what they need of it.
	return unix.Unmount(scratch, unix.MNT_DETACH)
}

// cover lays an overlay over the folder, with its upper folder and work folder in scratch.
func (l layer) cover(lower *os.File, scratch string) error {
	upper, work := filepath.Join(scratch, "upper"), filepath.Join(scratch, "work")
	for _, dir := range []string{scratch, upper, work} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if err := likeness(lower, upper); err != nil {
		return err
	}
	for _, name := range l.hide {
		if err := hide(lower, upper, name); err != nil {
			return fmt.Errorf("hide %s: %w", name, err)
		}
	}
	target, err := openNames(l.dir)
	if err != nil {
		return err
	}
	defer target.Close()
	data := "lowerdir=" + handle(lower) + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", handle(target), "overlay", l.mount.flags()|unix.MS_NOSUID|unix.MS_NODEV, data); err != nil {
		return fmt.Errorf("mount an overlay: %w", err)
	}
	return l.check()
}

// check makes sure that what is to be hidden is, whatever this kernel makes of whiteouts.
func (l layer) check() error {
	for _, name := range l.hide {
		seen, err := openNames(filepath.Join(l.dir, name))
		if err == nil {
			seen.Close()
			err = errors.New("it is still seen")
		}
		if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("hide %s: %w", name, err)
		}
	}
	return nil
}

// rebind brings a mount back that the overlay around it hides, read-only.
func (l layer) rebind(origin *os.File) error {
	target, err := openNames(l.dir)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Mount(handle(origin), handle(target), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind it again: %w", err)
	}
	bound, err := openNames(l.dir)
	if err != nil {
		return err
	}
	defer bound.Close()
	if err := unix.Mount("", handle(bound), "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|l.mount.flags(), ""); err != nil {
		return fmt.Errorf("make it read-only: %w", err)
	}
	return nil
}

// hide puts a whiteout for name into upper, below folders like those of lower.
func hide(lower *os.File, upper, name string) error {
	at, err := unix.Dup(int(lower.Fd()))
	if err != nil {
		return err
	}
	defer func() { unix.Close(at) }()
	parts := strings.Split(name, "/")
	for _, part := range parts[:len(parts)-1] {
		next, err := unix.Openat(at, part, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s is no folder: %w", part, err)
		}
		unix.Close(at)
		at = next
		upper = filepath.Join(upper, part)
		if err := os.Mkdir(upper, 0o700); errors.Is(err, os.ErrExist) {
			continue
		} else if err != nil {
			return err
		}
		if err := likenessOf(at, upper); err != nil {
			return err
		}
	}
	return unix.Mknod(filepath.Join(upper, parts[len(parts)-1]), unix.S_IFCHR, int(unix.Mkdev(0, 0)))
}
