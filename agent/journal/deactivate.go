package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"wpmend/wp"
)

// DeactivatePlugins takes plugins off a list of active ones (see [GuardList] for its
// name), without the hooks that WordPress would run. The undo puts them back at
// their places; later edits of the owner stay.
func DeactivatePlugins(root, name string, plugins []string) Step {
	return Step{Kind: Deactivate, SiteRoot: root, Name: name, Plugins: plugins}
}

// deactivating carries out the steps that take plugins off a list.
type deactivating struct{ guarding }

func (deactivating) check(s Step) error {
	if len(s.Plugins) == 0 {
		return errors.New("no plugin to deactivate")
	}
	return guarding{}.check(s)
}

func (deactivating) describe(s Step) string {
	return fmt.Sprintf("take off %s: %s", s.Name, join(s.Plugins))
}

func (deactivating) byHand(s Step, _ Change) []string {
	return []string{"# then activate in wp-admin, Plugins: " + join(s.Plugins)}
}

func (deactivating) look(ctx context.Context, j *Journal, s Step) (standing, error) {
	now, err := j.option(ctx, s)
	if err != nil {
		return notDone, err
	}
	active, err := wp.PluginList(now)
	if err != nil {
		return notDone, &RefusedError{What: fmt.Sprintf("the option %s of %s cannot be read: %v", s.Name, s.SiteRoot, err), Do: "see to it in wp-admin, Plugins"}
	}
	if slices.ContainsFunc(s.Plugins, func(p string) bool { return slices.Contains(active, p) }) {
		return notDone, nil
	}
	return done, nil
}

func (deactivating) apply(ctx context.Context, w *work, s Step) error {
	return w.edit(ctx, s, false, func(now []byte) (list []byte, err error) {
		list = now
		for _, p := range s.Plugins {
			if list, err = wp.RemovePlugin(list, p); err != nil {
				return nil, err
			}
		}
		return list, nil
	})
}

func (deactivating) undo(ctx context.Context, w *work, s Step) error {
	w.stale(s)
	return w.edit(ctx, s, true, func(now []byte) ([]byte, error) { return s.merged(now, s.Plugins) })
}
