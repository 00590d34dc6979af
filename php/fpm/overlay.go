package fpm

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNoOverlay says that a private copy cannot have its overlays here: no right to mount, no overlayfs in this kernel, a
// file system that overlayfs does not take. It comes wrapped around the reason. Without overlays the copy may still start.
var ErrNoOverlay = errors.New("no overlay can be laid over the site's files")

// Overlay is a layer of a copy's own over a folder: what the copy writes there goes into its memory and disappears with
// it, and what is in Hide does not exist for it. The live files are only read.
type Overlay struct {
	// Dir is absolute and names no link: a link could be swapped by whoever owns it between the caller's check and the mount.
	Dir string
	// Hide is what does not exist for the copy, relative to Dir. A link is hidden itself, not what it leads to. Folders on
	// the way must be no links. A name that is not there is no error.
	Hide []string
}

// layer is one mount of a plan: an overlay, or what the overlay around it would hide, bound again read-only.
type layer struct {
	dir     string
	mount   mountPoint // in which dir lies
	hide    []string   // relative to dir
	overlay bool
}

// maxLayers bounds a plan; a site with more mounts below it is none that was ever seen.
const maxLayers = 64

// planLayers says what is to be mounted, each folder before those within it. Mounts below an overlay appear empty in it
// (overlayfs takes one file system), so each is bound again; one in which something is hidden gets an overlay itself.
func planLayers(overlays []Overlay, table []mountPoint) ([]layer, error) {
	var dirs, hidden []string
	for _, o := range overlays {
		if !filepath.IsAbs(o.Dir) || filepath.Clean(o.Dir) != o.Dir || o.Dir == "/" || strings.ContainsRune(o.Dir, 0) {
			return nil, fmt.Errorf("%q is no folder to lay something over", o.Dir)
		}
		dirs = append(dirs, o.Dir)
		for _, name := range o.Hide {
			if !filepath.IsLocal(name) || filepath.Clean(name) != name || name == "." || strings.ContainsRune(name, 0) {
				return nil, fmt.Errorf("%q is no name in %s", name, o.Dir)
			}
			hidden = append(hidden, filepath.Join(o.Dir, name))
		}
	}
	slices.Sort(hidden)
	hidden = slices.Compact(hidden)
	byPoint := topmost(table)
	var layers []layer
	for _, dir := range dirs {
		// One overlay holds what lies in another.
		if !slices.ContainsFunc(dirs, func(o string) bool { return o != dir && within(dir, o) }) &&
			!slices.ContainsFunc(layers, func(l layer) bool { return l.dir == dir }) {
			layers = append(layers, layer{dir: dir, mount: around(dir, byPoint), overlay: true})
		}
	}
	tops := len(layers)
	for point, m := range byPoint {
		gone := slices.ContainsFunc(hidden, func(h string) bool { return point == h || within(point, h) })
		inside := slices.ContainsFunc(layers[:tops], func(l layer) bool { return within(point, l.dir) })
		if inside && !gone {
			layers = append(layers, layer{dir: point, mount: m})
		}
	}
	if len(layers) > maxLayers {
		return nil, fmt.Errorf("%d file systems are mounted there, more than %d", len(layers), maxLayers)
	}
	slices.SortFunc(layers, func(a, b layer) int { return strings.Compare(a.dir, b.dir) })
	for _, h := range hidden {
		deepest := -1
		for i, l := range layers {
			if within(h, l.dir) && (deepest < 0 || within(l.dir, layers[deepest].dir)) {
				deepest = i
			}
		}
		l := &layers[deepest]
		name, err := filepath.Rel(l.dir, h)
		if err != nil {
			return nil, err
		}
		l.hide, l.overlay = append(l.hide, name), true
	}
	for _, l := range layers {
		if l.overlay && remote[l.mount.kind] {
			// overlayfs reads the lower files as root, whom such servers take for nobody.
			return nil, fmt.Errorf("%s lies on %s, where root may not read everything", l.dir, l.mount.kind)
		}
	}
	return layers, nil
}

var remote = map[string]bool{"nfs": true, "nfs4": true, "cifs": true, "smb3": true}

// topmost is the table by mount point; of several mounts on one point the last hides the others.
func topmost(table []mountPoint) map[string]mountPoint {
	byPoint := map[string]mountPoint{}
	for _, m := range table {
		byPoint[m.point] = m
	}
	return byPoint
}

// around is the mount in which a folder lies.
func around(dir string, byPoint map[string]mountPoint) mountPoint {
	for at := dir; ; at = filepath.Dir(at) {
		if m, ok := byPoint[at]; ok || at == "/" {
			return m
		}
	}
}

// within says whether a clean path lies below a folder.
func within(path, dir string) bool {
	return strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") && path != dir
}
