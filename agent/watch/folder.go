package watch

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// folder is a folder with files that are followed.
type folder struct {
	path    string      // without links: the kernel knows one watch for all names of a folder
	files   []*followed // ordered by their names in it
	watched bool
	heard   bool // since the last look
	deaf    int  // looks for which it is not believed to tell of everything
	part    int  // its place among those that are looked at by turns
}

// enter puts a file into its folder.
func (f *Follower) enter(x *followed) {
	dir, name := filepath.Split(filepath.Clean(x.path))
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	dir = filepath.Clean(dir)
	d := f.folders[dir]
	if d == nil {
		d = &folder{path: dir, part: len(f.folders)}
		f.folders[dir] = d
		f.watch(d)
	}
	at, _ := d.place(name)
	d.files = slices.Insert(d.files, at, x)
	x.folder = d
}

// place is where a name comes in the folder's files: that of the first of this name, if there is one.
func (d *folder) place(name string) (at int, known bool) {
	return slices.BinarySearchFunc(d.files, name, func(x *followed, name string) int { return strings.Compare(x.name(), name) })
}

// named are the files of a name: several where links lead to the folder.
func (d *folder) named(name string) []*followed {
	at, _ := d.place(name)
	end := at
	for end < len(d.files) && d.files[end].name() == name {
		end++
	}
	return d.files[at:end]
}

// forget ends the following of a file.
func (f *Follower) forget(x *followed) {
	f.shut(x)
	f.drop(x)
	delete(f.files, x.path)
	f.queue = slices.DeleteFunc(f.queue, func(q *followed) bool { return q == x })
	d := x.folder
	d.files = slices.DeleteFunc(d.files, func(o *followed) bool { return o == x })
	if len(d.files) == 0 {
		f.unwatch(d)
		delete(f.folders, d.path)
	}
}

// wake asks the kernel for news; without, files are looked at from time to time.
func (f *Follower) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, err := fsnotify.NewBufferedWatcher(maxNews)
	if err != nil {
		f.note("", "the kernel gives no news of files, so logs are looked at every "+f.pace.poll.String()+": "+err.Error())
		return
	}
	f.watcher = w
	go func() { // fsnotify may wait for its reader with a lock that Add needs
		for range w.Errors {
			select {
			case f.overrun <- struct{}{}:
			default:
			}
		}
	}()
	for _, d := range f.folders {
		f.watch(d)
	}
	// What was written since Set.
	for _, x := range f.files {
		f.enqueue(x)
	}
}

// news are the kernel's; nil where there are none.
func (f *Follower) news() <-chan fsnotify.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watcher == nil {
		return nil
	}
	return f.watcher.Events
}

// watch asks for news of a folder. Where that fails (the folder does not exist yet,
// or no more watches are to be had) it is asked for again at the next look.
func (f *Follower) watch(d *folder) {
	if d.watched || f.watcher == nil || f.watches >= f.pace.folders || f.watcher.Add(d.path) != nil {
		return
	}
	d.watched = true
	f.watches++
}

func (f *Follower) unwatch(d *folder) {
	if d.watched && f.watcher != nil {
		// It fails where the folder went meanwhile, and the watch with it.
		_ = f.watcher.Remove(d.path)
	}
	f.lost(d)
}

// lost: there is no watch of the folder any more.
func (f *Follower) lost(d *folder) {
	if d.watched {
		d.watched = false
		f.watches--
	}
}
