package panel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// mark stands in every file that is put into a panel, so that no other's is replaced or removed.
const mark = "wpmend"

// Hooks are how a panel tells wpmend of accounts and domains that come, change and go.
type Hooks struct {
	Files   []HookFile
	Install [][]string // commands after the files are there
	Remove  [][]string // commands before they are removed
	Removed [][]string // and afterwards
	// List is a command whose output says by Found which further commands remove what is registered.
	List  []string
	Found func(listing []byte) [][]string
	// ByHand is what is left to a person, "" nothing.
	ByHand string
}

// HookFile is a file of packaging/panels and where it goes.
type HookFile struct {
	Source string
	Path   string
	Mode   fs.FileMode
}

// HooksReport is what was put into a panel or taken out of it.
type HooksReport struct {
	Panel    string   `json:"panel"`
	Files    []string `json:"files"`
	Commands []string `json:"commands"`
	ByHand   string   `json:"by_hand"`
}

// InstallHooks puts wpmend's hooks into the panel; files is packaging/panels. It may be done again.
func (p Panel) InstallHooks(ctx context.Context, files fs.FS) (HooksReport, error) {
	return p.installHooks(ctx, host{}, files)
}

func (p Panel) installHooks(ctx context.Context, h host, files fs.FS) (HooksReport, error) {
	hooks := p.with.hooks()
	r := HooksReport{Panel: p.Name, Files: []string{}, Commands: []string{}, ByHand: hooks.ByHand}
	for _, f := range hooks.Files {
		text, err := fs.ReadFile(files, f.Source)
		if err == nil {
			err = h.put(f, text)
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", p.Title, err)
		}
		r.Files = append(r.Files, f.Path)
	}
	commands := hooks.Install
	if hooks.List != nil {
		out, err := h.run(ctx, hooks.List[0], hooks.List[1:]...)
		if err != nil {
			return r, fmt.Errorf("%s: %w", p.Title, err)
		}
		commands = append(hooks.Found(out), commands...)
	}
	return r, h.all(ctx, &r, commands)
}

// RemoveHooks takes them out again.
func (p Panel) RemoveHooks(ctx context.Context) (HooksReport, error) {
	return p.removeHooks(ctx, host{})
}

func (p Panel) removeHooks(ctx context.Context, h host) (HooksReport, error) {
	hooks := p.with.hooks()
	r := HooksReport{Panel: p.Name, Files: []string{}, Commands: []string{}, ByHand: hooks.ByHand}
	there := len(hooks.Files) == 0 || slices.ContainsFunc(hooks.Files, func(f HookFile) bool { return h.has(f.Path, ownerOf(h, filepath.Dir(f.Path))...) })
	commands := slices.Clone(hooks.Remove)
	if hooks.List != nil {
		out, err := h.run(ctx, hooks.List[0], hooks.List[1:]...)
		if err != nil {
			return r, fmt.Errorf("%s: %w", p.Title, err)
		}
		commands = append(commands, hooks.Found(out)...)
	}
	if !there {
		return r, nil
	}
	errs := []error{h.all(ctx, &r, commands)}
	for _, f := range hooks.Files {
		gone, err := h.drop(f.Path)
		if gone {
			r.Files = append(r.Files, f.Path)
		}
		errs = append(errs, err)
	}
	return r, errors.Join(append(errs, h.all(ctx, &r, hooks.Removed))...)
}

// all runs commands, each even if another failed.
func (h host) all(ctx context.Context, r *HooksReport, commands [][]string) error {
	var errs []error
	for _, c := range commands {
		_, err := h.run(ctx, c[0], c[1:]...)
		errs = append(errs, err)
		r.Commands = append(r.Commands, strings.Join(c, " "))
	}
	return errors.Join(errs...)
}

// put writes a file of wpmend's own into the panel: whole or not at all, and never over another's.
func (h host) put(f HookFile, text []byte) error {
	dir := filepath.Dir(f.Path)
	if err := h.mkdir(dir); err != nil {
		return err
	}
	own := ownerOf(h, dir)
	was, err := h.readIf(f.Path, own...)
	if err != nil {
		return err
	}
	if was != nil && !bytes.Contains(was, []byte(mark)) {
		return fmt.Errorf("%s is there already and is not wpmend's", f.Path)
	}
	tmp, err := os.CreateTemp(h.at(dir), ".wpmend-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(f.Mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), h.at(f.Path))
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// mkdir makes a folder below one that is trusted, and its parents.
func (h host) mkdir(dir string) error {
	err := h.trusted(dir, ownerOf(h, dir)...)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := h.mkdir(filepath.Dir(dir)); err != nil {
		return err
	}
	return os.Mkdir(h.at(dir), 0o755)
}

// drop removes a file of wpmend's own, and the folders above it that are then empty and bear its name.
func (h host) drop(path string) (gone bool, err error) {
	text, err := h.readIf(path, ownerOf(h, filepath.Dir(path))...)
	if err != nil || text == nil {
		return false, err
	}
	if !bytes.Contains(text, []byte(mark)) {
		return false, fmt.Errorf("%s is not wpmend's, and stays", path)
	}
	if err := os.Remove(h.at(path)); err != nil {
		return false, err
	}
	for dir := filepath.Dir(path); strings.Contains(dir, "/wpmend"); dir = filepath.Dir(dir) {
		if os.Remove(h.at(dir)) != nil {
			break // something else is in it
		}
	}
	return true, nil
}

// ownerOf is a panel's own user, as the owner of one of its folders below /usr/local/directadmin; nobody elsewhere.
func ownerOf(h host, dir string) []uint32 {
	if !strings.HasPrefix(dir, "/usr/local/directadmin/") {
		return nil
	}
	info, err := os.Lstat(h.at("/usr/local/directadmin"))
	if err != nil || !info.IsDir() {
		return nil
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || sys.Uid >= 1000 {
		return nil // a customer's uid: no panel gives its own user one
	}
	return []uint32{sys.Uid}
}
