package journal

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"
)

// move renames without overwriting and proves that it moved what was meant: between
// a look and the act the owner may have exchanged it.
func (j *Journal) move(p *pair, in *folder, from string, out *folder, to string) error {
	whole := path.Join(p.SiteRoot, from)
	if out == nil {
		return &RefusedError{What: fmt.Sprintf("the folder of %s does not exist", path.Join(p.SiteRoot, to)), Do: "make it again, then try once more"}
	}
	o, err := lies(in, from)
	if err != nil {
		return err
	}
	if o == nil {
		return &RefusedError{What: whole + " has just gone"}
	}
	if err := in.movable(o, whole, p.Owners); err != nil {
		return err
	}
	rename := func(a *folder, an string, b *folder, bn string) error {
		return eintr(func() error {
			return unix.Renameat2(a.fd, path.Base(an), b.fd, path.Base(bn), unix.RENAME_NOREPLACE)
		})
	}
	if err := j.disk.call("renameat2", func() error { return rename(in, from, out, to) }); err != nil {
		return fmt.Errorf("rename %s to %s: %w", whole, path.Join(p.SiteRoot, to), err)
	}
	moved, err := lies(out, to)
	if err != nil {
		return err
	}
	if moved == nil || !p.Object.is(moved.Identity) {
		if back := rename(out, to, in, from); back != nil {
			return fmt.Errorf("%s was exchanged at the very moment of its renaming, and what now lies at %s cannot be put back: %w", whole, path.Join(p.SiteRoot, to), back)
		}
		return &RefusedError{What: whole + " was exchanged at the very moment of its renaming", Do: "see who changes the site's files"}
	}
	return j.syncBoth(p)
}

func (j *Journal) syncBoth(p *pair) error {
	var errs []error
	for _, f := range []*folder{p.in, p.out} {
		if f != nil {
			errs = append(errs, j.disk.sync(f.path, f.fd))
		}
	}
	return errors.Join(errs...)
}

// makeHidden makes the folder for a single file, owned like the one beside it. An
// empty one of an interrupted earlier try is taken over.
func (j *Journal) makeHidden(p *pair) error {
	if p.in == nil || p.Folder == "" {
		return &RefusedError{What: fmt.Sprintf("the folder of %s does not exist", path.Join(p.SiteRoot, p.To))}
	}
	if p.out == nil {
		err := j.disk.call("mkdir", func() error { return unix.Mkdirat(p.in.fd, path.Base(p.Folder), 0o700) })
		if err != nil && err != unix.EEXIST {
			return fmt.Errorf("make the folder %s: %w", path.Join(p.SiteRoot, p.Folder), err)
		}
		out, err := enter(p.in.fd, path.Base(p.Folder), path.Join(p.SiteRoot, p.Folder))
		if err != nil {
			return err
		}
		p.out = out
	}
	if err := p.out.trusted(p.Owners); err != nil {
		return err
	}
	empty, err := p.out.empty()
	if err != nil {
		return err
	}
	if !empty {
		return &RefusedError{What: fmt.Sprintf("the folder %s appeared meanwhile and is not empty", p.out.path), Do: "see what it holds"}
	}
	// Only what looks exactly like a folder just made is given away: the owner of the
	// folder above could have put another one of root's in its place.
	if p.out.uid == 0 && p.out.mode&0o7777 == 0o700 {
		err := j.disk.call("chown", func() error { return unix.Fchown(p.out.fd, int(p.in.uid), int(p.in.gid)) })
		if err == nil {
			err = j.disk.call("chmod", func() error { return unix.Fchmod(p.out.fd, p.in.mode&0o755) })
		}
		if err != nil {
			return fmt.Errorf("give %s to the site's owner: %w", p.out.path, err)
		}
	}
	return nil
}

// removeHidden removes the folder that was made for a single file, if it is empty.
func (j *Journal) removeHidden(p *pair) error {
	if p.Folder == "" || p.in == nil {
		return nil
	}
	err := j.disk.call("rmdir", func() error { return unix.Unlinkat(p.in.fd, path.Base(p.Folder), unix.AT_REMOVEDIR) })
	switch err {
	case nil:
		return j.disk.sync(p.in.path, p.in.fd)
	case unix.ENOENT, unix.ENOTEMPTY, unix.EEXIST, unix.ENOTDIR:
		// Never made, or in use by somebody: not ours to remove.
		return nil
	}
	return fmt.Errorf("remove the folder %s: %w", path.Join(p.SiteRoot, p.Folder), err)
}
