package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxContent bounds a file that is replaced, in bytes.
const maxContent = 1 << 20

// FileMode is whose a file is, and who may do what with it.
type FileMode struct {
	UID  uint32      `json:"uid"`
	GID  uint32      `json:"gid"`
	Mode fs.FileMode `json:"mode"` // permissions only
}

// File is a file whose whole content is replaced. In JSON the contents are base64, as
// `base64 -d` reads it, and null where there is no file.
type File struct {
	Path string `json:"path"`           // relative to the site's root; absolute for a file of the host
	Host bool   `json:"host,omitempty"` // of the host's configuration, not of a site
	// Mode is what is there, or what a new file gets.
	Mode   FileMode `json:"mode"`
	Label  []byte   `json:"label,omitempty"` // security.selinux of what is there
	Before []byte   `json:"was"`             // when it was planned
	After  []byte   `json:"becomes"`
}

// ReplaceFile describes giving a file of a site's another content as a whole. path is
// relative to the root, slash-separated; nil after: no file. What is there is read
// when the change is planned. Only a regular file of root's or one of the owners', in
// folders that are theirs too, with no other name (hard link) and of at most 1 MiB is
// replaced; its owner, group, mode, security label and access list stay. A new file
// gets fresh. The undo puts back what was there only if the file is still exactly
// after.
func ReplaceFile(root, path string, after []byte, owners []uint32, fresh FileMode) Step {
	return Step{Kind: Content, SiteRoot: root, Owners: owners, File: &File{Path: path, After: after, Mode: fresh}}
}

// ReplaceHostFile is ReplaceFile for a file of the host's configuration, by its
// absolute path. It and every folder on the way must be root's, writable by nobody
// else. A new file is root's, 0644.
func ReplaceHostFile(path string, after []byte) Step {
	return Step{Kind: Content, File: &File{Path: path, Host: true, After: after, Mode: FileMode{Mode: 0o644}}}
}

// replacing carries out the steps that replace a file's content.
type replacing struct{}

func (replacing) undoable() bool { return true }

func (replacing) check(s Step) error {
	f := s.File
	if f == nil {
		return errors.New("which file is to be replaced is missing")
	}
	if f.Host {
		if !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" {
			return fmt.Errorf("%q is not a clean absolute path", f.Path)
		}
		if err := checkRel(f.Path[1:]); err != nil {
			return err
		}
		if s.SiteRoot != "" {
			return errors.New("a file of the host's belongs to no site")
		}
	} else if err := checkRel(f.Path); err != nil {
		return err
	}
	switch {
	case max(len(f.Before), len(f.After)) > maxContent:
		return fmt.Errorf("%s would have more than %d bytes", f.Path, maxContent)
	case f.Mode.Mode&^0o777 != 0:
		return fmt.Errorf("the mode %v of %s is more than permissions", f.Mode.Mode, f.Path)
	case f.Mode.UID != 0 && (f.Host || !slices.Contains(s.Owners, f.Mode.UID)):
		return fmt.Errorf("%s would belong to uid %d, who owns nothing there", f.Path, f.Mode.UID)
	case f.Host && f.Mode.Mode&0o022 != 0:
		return fmt.Errorf("%s could be written by others than root (mode %04o)", f.Path, f.Mode.Mode)
	}
	return nil
}

// whole is the file's absolute path.
func (s Step) whole() string {
	if s.File.Host {
		return s.File.Path
	}
	return path.Join(s.SiteRoot, s.File.Path)
}

func (replacing) prepare(_ context.Context, _ *Journal, s Step) (Step, error) {
	f := *s.File
	s.File = &f
	if !f.Host {
		top, err := openRoot(s.SiteRoot)
		if err != nil {
			return s, err
		}
		if top.uid != 0 && !slices.Contains(s.Owners, top.uid) {
			s.Owners = append(slices.Clone(s.Owners), top.uid)
		}
		top.close()
	}
	at, err := s.folder()
	if err != nil {
		return s, err
	}
	defer at.close()
	now, err := at.held(path.Base(f.Path))
	if err == nil {
		err = s.ours(now)
	}
	if err != nil || now == nil {
		s.File.Before = nil
		return s, err
	}
	s.File.Before, s.File.Mode, s.File.Label = now.data, now.mode, now.label()
	return s, (replacing{}).check(s)
}

// folder opens the folder that the file lies in.
func (s Step) folder() (*folder, error) {
	if s.File.Host {
		return openHost(path.Dir(s.File.Path))
	}
	return openFolder(s.SiteRoot, path.Dir(s.File.Path), s.Owners)
}

// now reads what lies at the file's name.
func (s Step) now() (at *folder, now *held, err error) {
	if at, err = s.folder(); err != nil {
		return nil, nil, err
	}
	if now, err = at.held(path.Base(s.File.Path)); err == nil {
		err = s.ours(now)
	}
	if err != nil {
		at.close()
		return nil, nil, err
	}
	return at, now, nil
}

// ours refuses a file that is not the site's own, or the host's.
func (s Step) ours(now *held) error {
	whole := s.whole()
	switch {
	case now == nil:
		return nil
	case now.mode.UID != 0 && (s.File.Host || !slices.Contains(s.Owners, now.mode.UID)):
		return &RefusedError{What: fmt.Sprintf("%s belongs to uid %d", whole, now.mode.UID), Do: "see who put it there"}
	case now.links > 1:
		return &RefusedError{What: fmt.Sprintf("%s has %d names (hard links), and only one of them would change", whole, now.links), Do: "make a copy of its own of it"}
	case s.File.Host && now.mode.Mode&0o022 != 0:
		return &RefusedError{What: fmt.Sprintf("others than root may write to %s (mode %04o)", whole, now.mode.Mode), Do: "chmod go-w it"}
	case now.special:
		return &RefusedError{What: whole + " has the setuid, setgid or sticky bit"}
	}
	return nil
}

// is compares a content with what lies there; nil is no file.
func (h *held) is(content []byte) bool {
	if h == nil || content == nil {
		return h == nil && content == nil
	}
	return bytes.Equal(h.data, content)
}

// look: a content that is neither the old nor the new one is somebody's own; if
// nothing of the change is left in it, it is as if undone.
func (replacing) look(_ context.Context, _ *Journal, s Step) (standing, error) {
	at, now, err := s.now()
	if err != nil {
		return notDone, err
	}
	at.close()
	switch {
	case now.is(s.File.After):
		return done, nil
	case now.is(s.File.Before), gone(s.File, now):
		return notDone, nil
	}
	return notDone, s.edited(now)
}

// edited is the refusal to touch a file that somebody wrote to.
func (s Step) edited(now *held) error {
	e := &RefusedError{What: s.whole() + " was edited since", Do: "take back by hand: " + strings.Join(difference(s.File.Before, s.File.After), ", ")}
	if now == nil {
		e.What = s.whole() + " was removed since"
	}
	return e
}

func (replacing) apply(_ context.Context, w *work, s Step) error {
	at, now, err := w.tidied(s)
	if err != nil {
		return err
	}
	defer at.close()
	switch {
	case now.is(s.File.After):
		return w.disk.sync(at.path, at.fd) // an earlier call was interrupted
	case !now.is(s.File.Before):
		return &RefusedError{What: s.whole() + " has changed since this was planned", Do: "somebody is at work on it: look again"}
	}
	return w.replace(at, s, now, s.File.Before, s.File.After)
}

func (replacing) undo(_ context.Context, w *work, s Step) error {
	at, now, err := w.tidied(s)
	if errors.Is(err, fs.ErrNotExist) {
		w.note("the folder of %s is gone", s.whole())
		return nil
	}
	if err != nil {
		return err
	}
	defer at.close()
	switch {
	case now.is(s.File.Before):
		return w.disk.sync(at.path, at.fd)
	case now.is(s.File.After):
		err := w.replace(at, s, now, s.File.After, s.File.Before)
		w.changed = w.changed || err == nil
		return err
	case w.change.State == Refused && gone(s.File, now):
		// A person has been told already, and has seen to it.
		w.note("%s stays as it was edited", s.whole())
		return nil
	}
	return s.edited(now)
}

// spare is the name of the file beside s's that takes part in the exchange. It ends in
// nothing that a server includes.
func (w *work) spare(s Step) string {
	sum := sha256.Sum256([]byte(s.File.Path))
	return ".wpmend-" + w.change.ID + "-" + hex.EncodeToString(sum[:4])
}

// effective tells whether a step that was prepared changes anything.
func (f *File) effective() bool {
	return (f.Before == nil) != (f.After == nil) || !bytes.Equal(f.Before, f.After)
}

func (replacing) describe(s Step) string {
	verb := "change "
	switch {
	case s.File.Before == nil:
		verb = "make "
	case s.File.After == nil:
		verb = "remove "
	}
	name := s.File.Path
	if !utf8.ValidString(name) {
		name = shown([]byte(name))
	}
	return verb + name + ": " + strings.Join(difference(s.File.Before, s.File.After), ", ")
}

// byHand takes the old content out of the record: it may hold passwords, so it is not
// shown. sha256sum lets nothing happen twice, nor to a file that was edited since.
func (replacing) byHand(s Step, c Change) []string {
	name := quote(s.whole())
	sum := func(content []byte) string {
		return fmt.Sprintf("[ \"$(sha256sum < %s | cut -c1-64)\" = %x ]", name, sha256.Sum256(content))
	}
	if s.File.Before == nil {
		return []string{sum(s.File.After) + " && rm -- " + name}
	}
	nth := 0
	for _, o := range c.Steps {
		if o.File != nil {
			nth++
		}
		if o.File == s.File {
			break
		}
	}
	m := s.File.Mode
	// With the rights of the file's owner, who could have put a link there.
	as := ""
	if m.UID != 0 {
		as = fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups ", m.UID, m.GID)
	}
	write := fmt.Sprintf("grep '\"was\": ' %s | sed -n %dp | cut -d'\"' -f4 | base64 -d | %stee -- %s > /dev/null", quote(c.Record), nth, as, name)
	if s.File.After == nil {
		return []string{fmt.Sprintf("[ -e %s ] || { %s; %schmod %04o -- %s; }", name, write, as, m.Mode, name)}
	}
	return []string{sum(s.File.After) + " && { " + write + "; }"}
}
