package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"wpmend/wp"
)

// Options reads and writes options of a site's database.
type Options interface {
	Option(ctx context.Context, siteRoot, name string) ([]byte, error)
	// SwapOption replaces old by new, or reports false when it is not old any more.
	SwapOption(ctx context.Context, siteRoot, name string, old, new []byte) (bool, error)
}

// activePlugins is the option that this version guards: a sorted PHP list of plugin files.
const activePlugins = "active_plugins"

const (
	optionTimeout = 10 * time.Second // of the reading at planning time
	optionTries   = 5                // swaps against somebody who writes at the same time
)

// GuardPlugins keeps plugins active across a renaming. The renaming alone leaves
// active_plugins as it is, but whoever opens wp-admin → Plugins meanwhile makes
// WordPress drop what is missing (wp-admin/includes/plugin.php,
// validate_active_plugins). The undo inserts what was active, is missing and whose
// renaming was undone; later edits of the owner stay.
func GuardPlugins(root string, plugins []string) Step {
	return Step{Kind: Option, SiteRoot: root, Name: activePlugins, Plugins: plugins}
}

// guarding carries out the steps that keep plugins active.
type guarding struct{}

func (guarding) undoable() bool { return true }

func (guarding) check(s Step) error {
	if s.Name != activePlugins {
		return fmt.Errorf("the option %q is not one that can be guarded", s.Name)
	}
	if slices.Contains(s.Plugins, "") {
		return errors.New("a plugin without a name")
	}
	for _, p := range s.Plugins {
		if !utf8.ValidString(p) {
			return fmt.Errorf("the plugin %q is not valid UTF-8, so the journal could not hold it", p)
		}
	}
	return nil
}

func (guarding) describe(s Step) string {
	return fmt.Sprintf("keep in %s, should wp-admin drop it meanwhile: %s", s.Name, join(s.Plugins))
}

func (guarding) byHand(s Step) []string {
	return []string{"# then see in wp-admin, Plugins, that these are active: " + join(s.Plugins)}
}

// join writes names into one line whatever they hold: it may end in a shell.
func join(names []string) string {
	var b []byte
	for i, n := range names {
		if i > 0 {
			b = append(b, ", "...)
		}
		if q := strconv.Quote(n); q == `"`+n+`"` {
			b = append(b, n...)
		} else {
			b = append(b, q...)
		}
	}
	return string(b)
}

func (guarding) prepare(ctx context.Context, j *Journal, s Step) (Step, error) {
	if j.deps.Options == nil {
		return s, errors.New("nothing is given to read options with")
	}
	ctx, cancel := context.WithTimeout(ctx, optionTimeout)
	defer cancel()
	before, err := j.deps.Options.Option(ctx, s.SiteRoot, s.Name)
	if err != nil {
		return s, fmt.Errorf("read %s: %w", s.Name, err)
	}
	if _, err := wp.PluginList(before); err != nil {
		return s, fmt.Errorf("read %s: %w", s.Name, err)
	}
	s.Before = before
	return s, nil
}

// look: a guard has no effect of its own.
func (guarding) look(context.Context, *Journal, Step) (standing, error) { return done, nil }

func (guarding) apply(context.Context, *Journal, Step) error { return nil }

func (guarding) undo(ctx context.Context, j *Journal, s Step, steps []Step) error {
	if j.deps.Options == nil {
		return errors.New("nothing is given to write options with")
	}
	for range optionTries {
		now, err := j.deps.Options.Option(ctx, s.SiteRoot, s.Name)
		if err != nil {
			return fmt.Errorf("read %s: %w", s.Name, err)
		}
		want, err := s.merged(now, s.back(ctx, j, steps))
		if err != nil {
			return &RefusedError{What: fmt.Sprintf("the option %s of %s cannot be read (%v), so nothing was put back into it", s.Name, s.SiteRoot, err),
				Do: "see in wp-admin, Plugins, that these are active: " + join(s.Plugins)}
		}
		if bytes.Equal(want, now) {
			return nil
		}
		swapped, err := j.deps.Options.SwapOption(ctx, s.SiteRoot, s.Name, now, want)
		if err != nil {
			return fmt.Errorf("write %s: %w", s.Name, err)
		}
		if swapped {
			return nil
		}
	}
	return fmt.Errorf("%s was changed by somebody else each of %d times: try again", s.Name, optionTries)
}

// back are the guarded plugins whose renaming is not in effect any more.
func (s Step) back(ctx context.Context, j *Journal, steps []Step) []string {
	var found []string
	for _, file := range s.Plugins {
		owner := pluginFolder(file)
		renamed, undone := false, true
		for _, r := range steps {
			if r.Kind == Rename && path.Base(r.From) == owner {
				at, err := renaming{}.look(ctx, j, r)
				renamed, undone = true, undone && err == nil && at == notDone
			}
		}
		if renamed && undone {
			found = append(found, file)
		}
	}
	return found
}

// pluginFolder is the name in the plugins folder that a plugin's file lies under.
func pluginFolder(file string) string {
	for path.Dir(file) != "." && path.Dir(file) != "/" {
		file = path.Dir(file)
	}
	return file
}

// merged is the option's value with those of the plugins in it again that were in it before.
func (s Step) merged(now []byte, plugins []string) ([]byte, error) {
	before, err := wp.PluginList(s.Before)
	if err != nil {
		return nil, err
	}
	active, err := wp.PluginList(now)
	if err != nil {
		return nil, err
	}
	var missing []string
	for _, p := range plugins {
		if slices.Contains(before, p) && !slices.Contains(active, p) {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return now, nil
	}
	rest := slices.DeleteFunc(slices.Clone(before), func(p string) bool { return slices.Contains(missing, p) })
	if slices.Equal(rest, active) {
		// Nothing else changed: the bytes as found, also where they were not sorted.
		return s.Before, nil
	}
	for _, p := range missing {
		if now, err = wp.InsertPlugin(now, p); err != nil {
			return nil, err
		}
	}
	return now, nil
}

// raw are bytes that a person should be able to read in the record: text as text,
// anything else as {"base64": …}.
type raw []byte

type encoded struct {
	Base64 []byte `json:"base64"`
}

func (r raw) MarshalJSON() ([]byte, error) {
	if utf8.Valid(r) {
		return json.Marshal(string(r))
	}
	return json.Marshal(encoded{r})
}

func (r *raw) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*r = raw(text)
		return nil
	}
	var e encoded
	if err := json.Unmarshal(b, &e); err != nil {
		return err
	}
	*r = e.Base64
	return nil
}
