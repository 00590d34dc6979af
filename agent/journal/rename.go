package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// PlanRename describes giving an object of a site another name; both are relative to
// the root. owner is the uid of the site's pool: what lies on the way, and the object,
// must belong to him, to the owner of the root folder or to root. When To lies in a
// folder that does not exist, a hidden folder beside From is made for it.
func PlanRename(root string, owner uint32, from, to string) (Step, error) {
	s := Step{Kind: Rename, SiteRoot: root, From: from, To: to, Owners: []uint32{owner}}
	fail := func(err error) (Step, error) {
		return Step{}, fmt.Errorf("rename %s to %s below %s: %w", from, to, root, err)
	}
	if err := errors.Join(checkRel(from), checkRel(to)); err != nil {
		return fail(err)
	}
	top, err := openRoot(root)
	if err != nil {
		return fail(err)
	}
	if top.uid != owner && top.uid != 0 {
		s.Owners = append(s.Owners, top.uid)
	}
	top.close()
	in, err := openFolder(root, path.Dir(from), s.Owners)
	if err != nil {
		return fail(err)
	}
	defer in.close()
	o, err := identify(in.fd, path.Base(from))
	if err == nil && o == nil {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = in.movable(o, path.Join(root, from), s.Owners)
	}
	if err != nil {
		return fail(err)
	}
	s.Object = &o.Identity
	switch out, err := openFolder(root, path.Dir(to), s.Owners); {
	case errors.Is(err, fs.ErrNotExist):
		s.Folder = path.Dir(to)
	case err != nil:
		return fail(err)
	default:
		defer out.close()
		if taken, err := identify(out.fd, path.Base(to)); err != nil || taken != nil {
			return fail(cmpErr(err, fs.ErrExist))
		}
	}
	if err := (renaming{}).check(s); err != nil {
		return fail(err)
	}
	return s, nil
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// movable refuses an object that is not the site's own, or another file system's root.
func (f *folder) movable(o *object, whole string, owners []uint32) error {
	switch {
	case o.uid != 0 && !slices.Contains(owners, o.uid):
		return &RefusedError{What: fmt.Sprintf("%s belongs to uid %d, which is neither root nor the site's owner", whole, o.uid), Do: "see who put it there"}
	case o.Type == "special file":
		return &RefusedError{What: whole + " is neither a folder nor a file nor a link"}
	case o.Dev != f.dev:
		return &RefusedError{What: whole + " is the top of another file system", Do: "unmount it by hand to switch it off"}
	}
	return nil
}

// renaming carries out steps that rename one object.
type renaming struct{}

func (renaming) undoable() bool { return true }

func (renaming) check(s Step) error {
	if err := errors.Join(checkRel(s.From), checkRel(s.To)); err != nil {
		return err
	}
	switch {
	case s.From == s.To || strings.HasPrefix(s.To, s.From+"/") || strings.HasPrefix(s.From, s.To+"/"):
		return fmt.Errorf("%q and %q lie in each other", s.From, s.To)
	case s.Object == nil:
		return errors.New("the object's identity is missing")
	case s.Folder != "" && (s.Folder != path.Dir(s.To) || path.Dir(s.Folder) != path.Dir(s.From) || !strings.HasPrefix(path.Base(s.Folder), ".")):
		return fmt.Errorf("the new folder %q is not a hidden one beside %q", s.Folder, s.From)
	}
	return nil
}

func (renaming) describe(s Step) string { return fmt.Sprintf("rename %s to %s", s.From, s.To) }

func (renaming) byHand(s Step, _ Change) []string {
	lines := []string{"mv -n -T -- " + quote(path.Join(s.SiteRoot, s.To)) + " " + quote(path.Join(s.SiteRoot, s.From))}
	if s.Folder != "" {
		lines = append(lines, "rmdir -- "+quote(path.Join(s.SiteRoot, s.Folder)))
	}
	return lines
}

// quote makes one word of the shell of any text.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (renaming) prepare(_ context.Context, _ *Journal, s Step) (Step, error) { return s, nil }

func (renaming) look(_ context.Context, _ *Journal, s Step) (standing, error) {
	p, err := s.open()
	if err != nil {
		return notDone, err
	}
	defer p.close()
	return p.standing()
}

// pair is the two ends of a renaming; a nil folder does not exist.
type pair struct {
	Step
	in, out *folder
}

func (s Step) open() (*pair, error) {
	p := &pair{Step: s}
	for _, end := range []struct {
		rel string
		at  **folder
	}{{s.From, &p.in}, {s.To, &p.out}} {
		f, err := openFolder(s.SiteRoot, path.Dir(end.rel), s.Owners)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.close()
			return nil, err
		}
		*end.at = f
	}
	return p, nil
}

func (p *pair) close() {
	for _, f := range []*folder{p.in, p.out} {
		if f != nil {
			f.close()
		}
	}
}

func lies(f *folder, rel string) (*object, error) {
	if f == nil {
		return nil, nil
	}
	o, err := identify(f.fd, path.Base(rel))
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path.Join(f.path, path.Base(rel)), Err: err}
	}
	return o, nil
}

// standing tells by names and identities alone what is in effect.
func (p *pair) standing() (standing, error) {
	old, err := lies(p.in, p.From)
	if err != nil {
		return notDone, err
	}
	now, err := lies(p.out, p.To)
	if err != nil {
		return notDone, err
	}
	switch {
	case old != nil && now == nil && p.Object.is(old.Identity):
		return notDone, nil
	case old == nil && now != nil && p.Object.is(now.Identity):
		return done, nil
	}
	return notDone, p.refuse(old, now)
}

func (p *pair) refuse(old, now *object) error {
	say := func(rel string, o *object) string {
		name := path.Join(p.SiteRoot, rel)
		switch {
		case o == nil:
			return name + " does not exist"
		case p.Object.is(o.Identity):
			return fmt.Sprintf("%s is the one that was meant (%s)", name, o.Identity)
		}
		return fmt.Sprintf("%s is another one (%s) than was meant (%s)", name, o.Identity, p.Object)
	}
	do := "look at both, keep the one that belongs at the first name, and remove the other"
	if old == nil && now == nil {
		do = "put it back from a backup, if it was not removed on purpose"
	}
	return &RefusedError{What: say(p.From, old) + ", and " + say(p.To, now), Do: do}
}

func (renaming) apply(_ context.Context, w *work, s Step) error {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer p.close()
	at, err := p.standing()
	if err != nil {
		return err
	}
	if at == done {
		return w.syncBoth(p)
	}
	if p.out == nil || s.Folder != "" {
		if err := w.makeHidden(p); err != nil {
			return err
		}
	}
	return w.move(p, p.in, s.From, p.out, s.To)
}

func (renaming) undo(_ context.Context, w *work, s Step) error {
	p, err := s.open()
	if err != nil {
		return err
	}
	defer p.close()
	at, err := p.standing()
	if err != nil {
		// A person has been told already, and has seen to it: there is nothing of the
		// change left to take back.
		if now, lerr := lies(p.out, s.To); w.change.State == Refused && lerr == nil && now == nil {
			w.note("%s is gone, what is at %s stays", s.To, s.From)
			return w.removeHidden(p)
		}
		return err
	}
	if at == done {
		if err := w.move(p, p.out, s.To, p.in, s.From); err != nil {
			return err
		}
	} else if err := w.syncBoth(p); err != nil {
		return err
	}
	return w.removeHidden(p)
}
