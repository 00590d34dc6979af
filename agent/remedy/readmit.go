package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/wp"
)

// Standing is what has become of what a change switched off.
type Standing string

// The standings, the one that weighs most last.
const (
	Back        Standing = "back"        // it is on again, or the change was undone
	Off         Standing = "off"         // nothing has happened to it since
	Changed     Standing = "changed"     // off, and its files have changed since: it may be well now
	Superseded  Standing = "superseded"  // the owner has chosen another theme since
	Gone        Standing = "gone"        // off, and removed since
	Reinstalled Standing = "reinstalled" // a new one lies at its place, beside the one that is off
)

var weights = []Standing{Back, Off, Changed, Superseded, Gone, Reinstalled}

// Situation says how a change stands, and in words by what.
type Situation struct {
	Standing Standing
	What     string
}

// unnoticed is how long after the change a file may change unnoticed: the change itself
// touches what it renames, and the record counts in milliseconds.
const unnoticed = time.Second

// Readmit tells whether what a change switched off could be let in again: whether the
// owner has updated it. It only looks. Of several components the one that weighs most
// counts; [Changed] is worth a question to the shadow, and [Reinstalled] is the owner's
// to sort out, since enabling overwrites nothing.
func Readmit(s site.Site, w site.WordPress, c journal.Change) (Situation, error) {
	if c.State == journal.Undone || c.UndoNone != "" || c.Untouched {
		return Situation{Back, "nothing of the change is in force"}, nil
	}
	t, err := wp.OpenTree(s.Root, s.Owner)
	if err != nil {
		return Situation{}, fmt.Errorf("open %s: %w", s.Root, err)
	}
	defer t.Close()
	r := readmission{tree: t, w: w, since: applied(c).Add(unnoticed)}
	worst := Situation{Standing: Back}
	for _, step := range c.Steps {
		now, counts, err := r.step(step)
		if err != nil {
			return Situation{}, fmt.Errorf("look how %q stands: %w", c.What, err)
		}
		if counts && (worst.What == "" || slices.Index(weights, now.Standing) > slices.Index(weights, worst.Standing)) {
			worst = now
		}
	}
	return worst, nil
}

// applied is when the change was first in effect.
func applied(c journal.Change) time.Time {
	for _, e := range c.Log {
		if e.State == journal.Applied || e.State == journal.Verified {
			return e.Time
		}
	}
	return c.Created
}

type readmission struct {
	tree  *wp.Tree
	w     site.WordPress
	since time.Time
}

// step tells how one step stands; false for steps that switch nothing off.
func (r readmission) step(s journal.Step) (Situation, bool, error) {
	switch s.Kind {
	case journal.Rename:
		now, err := r.renamed(s)
		return now, true, err
	case journal.Setting:
		return r.theme(s)
	case journal.Deactivate:
		now, err := r.deactivated(s)
		return now, true, err
	}
	return Situation{}, false, nil
}

func (r readmission) renamed(s journal.Step) (Situation, error) {
	here, err := r.lies(s.From)
	if err != nil {
		return Situation{}, err
	}
	hidden, err := r.lies(s.To)
	switch {
	case err != nil:
		return Situation{}, err
	case here && hidden:
		return Situation{Reinstalled, fmt.Sprintf("%s is there again, beside the one at %s", s.From, s.To)}, nil
	case here:
		return Situation{Back, s.From + " is at its place"}, nil
	case !hidden:
		return Situation{Gone, s.To + " is not there any more"}, nil
	}
	return r.files(s.To)
}

func (r readmission) lies(rel string) (bool, error) {
	_, err := r.tree.Lstat(rel)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// files tells whether what is off has changed.
func (r readmission) files(at string) (Situation, error) {
	file, err := wp.Changed(r.tree, at, r.since)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Situation{Gone, at + " is not there any more"}, nil
	case err != nil:
		return Situation{}, err
	case file != "":
		return Situation{Changed, file + " has changed since"}, nil
	}
	return Situation{Off, "nothing at " + at + " has changed since"}, nil
}

// theme tells how a theme stands by the option that says which one is shown. What other
// blogs show is not known here; their themes count by their files.
func (r readmission) theme(s journal.Step) (Situation, bool, error) {
	now := ""
	switch s.Name {
	case "template":
		now = r.w.Active.Template
	case "stylesheet":
		now = r.w.Active.Stylesheet
	default:
		if _, ok := themeOf(s.Name); !ok {
			return Situation{}, false, nil
		}
		now = string(s.After)
	}
	switch {
	case now == string(s.Before):
		return Situation{Back, now + " is shown again"}, true, nil
	case now != string(s.After) && now != "":
		return Situation{Superseded, now + " was chosen since"}, true, nil
	}
	found, err := r.files(path.Join(r.w.Paths.Themes, folder(string(s.Before))))
	return found, true, err
}

func (r readmission) deactivated(s journal.Step) (Situation, error) {
	active := slices.Concat(r.w.Active.Plugins, r.w.Active.Network)
	for _, list := range r.w.Active.Blogs {
		active = append(active, list...)
	}
	worst := Situation{}
	for _, file := range s.Plugins {
		if slices.Contains(active, file) {
			return Situation{Back, file + " is active again"}, nil
		}
		found, err := r.files(path.Join(r.w.Paths.Plugins, folder(file)))
		if err != nil {
			return Situation{}, err
		}
		if worst.What == "" || slices.Index(weights, found.Standing) > slices.Index(weights, worst.Standing) {
			worst = found
		}
	}
	return worst, nil
}
