package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// HostSnapshot reads what a remedy may change besides a site's components: the
// configuration of gateway and FPM, the sockets of the pools, the settings and the
// core's own files in the site's root, and which master processes run. It asks
// no database.
func (l *Lab) HostSnapshot(site int) (Snapshot, error) {
	s := l.sites[site]
	snap := Snapshot{Files: map[string]string{}, Options: map[string]string{}}
	fail := func(err error) (Snapshot, error) {
		return Snapshot{}, fmt.Errorf("cannot take a snapshot of the host of %s: %w", s.Domain, err)
	}
	note := func(path string) error {
		rel, err := filepath.Rel(l.Dir, path)
		if err != nil {
			return err
		}
		snap.Files[rel], err = describe(path)
		if errors.Is(err, fs.ErrNotExist) {
			delete(snap.Files, rel)
			return nil
		}
		return err
	}
	dirs := []string{filepath.Dir(l.GatewayConfig())}
	for m := range l.o.Masters {
		dirs = append(dirs, filepath.Dir(l.FPMConfig(m)))
	}
	for _, dir := range dirs {
		if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error { return errors.Join(err, note(path)) }); err != nil {
			return fail(err)
		}
	}
	places := []string{filepath.Dir(s.Socket), s.Config}
	for _, p := range l.sites {
		if filepath.IsAbs(p.Socket) {
			places = append(places, p.Socket)
		}
	}
	for _, dir := range []string{s.Root, s.Core} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fail(err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				places = append(places, filepath.Join(dir, e.Name()))
			}
		}
	}
	for _, place := range places {
		if !filepath.IsAbs(place) {
			continue // the folder of a TCP address
		}
		if err := note(place); err != nil {
			return fail(err)
		}
	}
	snap.Options["gateway process"] = fmt.Sprint(l.GatewayMaster())
	snap.Options["FPM masters"] = fmt.Sprint(l.FPMMasters())
	return snap, nil
}
