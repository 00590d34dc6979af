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
	"strings"
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

// The options that hold lists of plugin files: of the main blog, sorted; of another
// blog; of a network, with the time of each activation.
const (
	activePlugins  = "active_plugins"
	networkPlugins = "network:active_sitewide_plugins"
)

// isPluginList tells whether an option's name is that of a list of plugins.
func isPluginList(name string) bool {
	blog, of, ok := strings.Cut(name, ":")
	return name == activePlugins || name == networkPlugins || ok && strings.HasPrefix(blog, "blog-") && of == activePlugins
}

var errNoOptions = errors.New("nothing is given to read options with")

const (
	optionTimeout = 10 * time.Second // of the reading at planning time
	optionTries   = 5                // swaps against somebody who writes at the same time
)

// GuardPlugins keeps plugins active across a renaming. The renaming alone leaves
// active_plugins as it is, but whoever opens wp-admin → Plugins meanwhile makes
// WordPress drop what is missing (wp-admin/includes/plugin.php,
// validate_active_plugins). The undo inserts what was active, is missing and whose
// renaming was undone; later edits of the owner stay.
func GuardPlugins(root string, plugins []string) Step { return GuardList(root, activePlugins, plugins) }

// GuardList is GuardPlugins for the list of plugins of this name: of another blog
// ("blog-2:active_plugins") or of the network ("network:active_sitewide_plugins").
func GuardList(root, name string, plugins []string) Step {
	return Step{Kind: Option, SiteRoot: root, Name: name, Plugins: plugins}
}

// guarding carries out the steps that keep plugins active.
type guarding struct{}

func (guarding) undoable() bool { return true }

func (guarding) check(s Step) error {
	if !isPluginList(s.Name) {
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

func (guarding) byHand(s Step, _ Change) []string {
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
	before, err := j.option(ctx, s)
	if err != nil {
		return s, err
	}
	if _, err := wp.PluginList(before); err != nil {
		return s, fmt.Errorf("read %s: %w", s.Name, err)
	}
	s.Before = before
	return s, nil
}

// look: a guard has no effect of its own.
func (guarding) look(context.Context, *Journal, Step) (standing, error) { return inert, nil }

func (guarding) apply(context.Context, *work, Step) error { return nil }

func (guarding) undo(ctx context.Context, w *work, s Step) error {
	return w.edit(ctx, s, w.again, func(now []byte) ([]byte, error) { return s.merged(now, s.back(ctx, w.Journal, w.change.Steps)) })
}

// edit changes a list of plugins against others who write it at the same time. sure: an
// earlier question, of a wpmend that died or a connection that broke, may still wait for
// the server's lock on the row. A swap that changes nothing waits behind it; a list that
// was only read could change afterwards.
func (w *work) edit(ctx context.Context, s Step, sure bool, change func(now []byte) ([]byte, error)) error {
	for range optionTries {
		now, err := w.option(ctx, s)
		if blog, _ := ofBlog(s.Name); blog != "" && errors.Is(err, wp.ErrNoOption) {
			w.note("%s is gone with its blog", s.Name)
			return nil
		}
		if err != nil {
			return err
		}
		want, err := change(now)
		if err != nil {
			return &RefusedError{What: fmt.Sprintf("the option %s of %s cannot be read (%v), so nothing was put back into it", s.Name, s.SiteRoot, err),
				Do: "see in wp-admin, Plugins, that these are active: " + join(s.Plugins)}
		}
		if bytes.Equal(want, now) && !sure {
			return nil
		}
		if bytes.Equal(want, now) {
			still, err := w.deps.Options.SwapOption(ctx, s.SiteRoot, s.Name, now, now)
			if err != nil {
				return fmt.Errorf("make sure of %s: %w", s.Name, err)
			}
			if still {
				return nil
			}
			continue
		}
		if s.Kind == Option {
			w.begin()
		}
		if swapped, err := w.swap(ctx, s, now, want); err != nil || swapped {
			return err
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
	if s.only(missing, now) {
		// The bytes as found, also where they were not sorted.
		return s.Before, nil
	}
	for _, p := range missing {
		if s.Name == networkPlugins {
			now, err = wp.InsertSitewide(now, p, activated(s.Before, p))
		} else {
			now, err = wp.InsertPlugin(now, p)
		}
		if err != nil {
			return nil, err
		}
	}
	return now, nil
}

// only tells whether these plugins are all that the list lacks of what it was. Keys
// are not compared: WordPress counts them anew, or not.
func (s Step) only(missing []string, now []byte) bool {
	rest := []byte(s.Before)
	for _, p := range missing {
		var err error
		if rest, err = wp.RemovePlugin(rest, p); err != nil {
			return false
		}
	}
	if s.Name == networkPlugins {
		return bytes.Equal(rest, now) // the values are the times of activation
	}
	was, err := wp.PluginList(rest)
	is, err2 := wp.PluginList(now)
	return err == nil && err2 == nil && slices.Equal(was, is)
}

// activated is when a network's plugin was activated, in seconds since 1970, by a list
// that holds it.
func activated(list []byte, file string) int64 {
	n, err := wp.Unserialize(list)
	if err != nil {
		return 0
	}
	for _, p := range n.Pairs {
		if string(p.Key.Text) == file {
			at, _ := strconv.ParseInt(string(p.Value.Text), 10, 64) // PluginList took integers only
			return at
		}
	}
	return 0
}

// option reads the option of a step.
func (j *Journal) option(ctx context.Context, s Step) ([]byte, error) {
	if j.deps.Options == nil {
		return nil, errNoOptions
	}
	ctx, cancel := context.WithTimeout(ctx, optionTimeout)
	defer cancel()
	now, err := j.deps.Options.Option(ctx, s.SiteRoot, s.Name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Name, err)
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
