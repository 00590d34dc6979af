package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"wpmend/wp"
)

// SetOption gives an option of a site another value, such as the theme that is
// shown. name is as [Options] take it. The options of one blog are undone all or
// none: if somebody has chosen another theme since, that one stays.
//
// Without an option current_theme it is not made: WordPress goes by the theme's own
// name then.
func SetOption(root, name string, value []byte) Step {
	return Step{Kind: Setting, SiteRoot: root, Name: name, After: value}
}

// currentTheme is the theme's title. Where a theme has no settings of its own yet,
// WordPress looks for older ones under that title, and wp-admin moves them
// (wp-includes/theme.php, get_theme_mods): a wrong title takes those of another theme.
const currentTheme = "current_theme"

// settable are the options that may be set; those of another blog carry its number.
var settable = []string{"template", "stylesheet", currentTheme}

// ofBlog takes the name of an option apart; the main blog is "".
func ofBlog(name string) (blog, option string) {
	if blog, option, ok := strings.Cut(name, ":"); ok && strings.HasPrefix(blog, "blog-") {
		return blog, option
	}
	return "", name
}

// setting carries out the steps that give an option another value.
type setting struct{}

func (setting) undoable() bool { return true }

func (setting) check(s Step) error {
	if _, option := ofBlog(s.Name); !slices.Contains(settable, option) {
		return fmt.Errorf("the option %q is not one that is set", s.Name)
	}
	if len(s.After) == 0 || len(s.After) > 4096 {
		return fmt.Errorf("%d bytes are no value for the option %q", len(s.After), s.Name)
	}
	return nil
}

func (setting) describe(s Step) string {
	return fmt.Sprintf("set the option %s from %s to %s", s.Name, shown(s.Before), shown(s.After))
}

func shown(value []byte) string { return join([]string{string(value)}) }

func (setting) byHand(s Step, _ Change) []string {
	return []string{fmt.Sprintf("# then set the option %s to %s again, if it is still %s: wp-admin, Appearance, or `wp option update`", s.Name, shown(s.Before), shown(s.After))}
}

func (setting) prepare(ctx context.Context, j *Journal, s Step) (Step, error) {
	now, err := j.option(ctx, s)
	if _, option := ofBlog(s.Name); option == currentTheme && errors.Is(err, wp.ErrNoOption) {
		s.Before = s.After // no effect
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if !utf8.Valid(now) {
		return s, fmt.Errorf("the option %s is not valid UTF-8", s.Name)
	}
	s.Before = now
	return s, nil
}

// effective tells whether a step that was prepared changes anything.
func (s Step) effective() bool {
	switch s.Kind {
	case Setting:
		return !bytes.Equal(s.Before, s.After)
	case Content:
		return s.File.effective()
	}
	return true
}

// look: any other value than ours is somebody's own choice, so nothing of the step
// is in effect then.
func (setting) look(ctx context.Context, j *Journal, s Step) (standing, error) {
	now, err := j.option(ctx, s)
	if err != nil {
		return notDone, err
	}
	if bytes.Equal(now, s.After) {
		return done, nil
	}
	return notDone, nil
}

func (setting) apply(ctx context.Context, w *work, s Step) error {
	swapped, err := w.swap(ctx, s, s.Before, s.After)
	if err != nil || swapped {
		return err
	}
	now, err := w.option(ctx, s)
	if err == nil && bytes.Equal(now, s.After) {
		return nil // an earlier call was interrupted
	}
	return errors.Join(err, &RefusedError{What: fmt.Sprintf("the option %s of %s is %s now, not %s", s.Name, s.SiteRoot, shown(now), shown(s.Before)),
		Do: "somebody is at work on the site: look again"})
}

func (setting) undo(ctx context.Context, w *work, s Step) error {
	// While the steps were still being done, half of them may be in effect beside half
	// of somebody's own choice: each of ours is taken back then. Later, a value that is
	// ours by chance belongs to what was chosen: a child of the theme that we showed.
	if w.change.State != Planned {
		if other, err := w.chosen(ctx, s); err != nil || other != "" {
			if other != "" {
				w.note("somebody chose another theme since, which stays: %s", other)
			}
			return err
		}
	}
	swapped, err := w.swap(ctx, s, s.After, s.Before)
	if err != nil || swapped {
		return err
	}
	now, err := w.option(ctx, s)
	if err == nil && !bytes.Equal(now, s.Before) {
		w.note("somebody has set %s to %s since, which stays", s.Name, shown(now))
	}
	return err
}

// chosen tells which option of a step's blog is neither as found nor as set, "" none.
func (w *work) chosen(ctx context.Context, s Step) (string, error) {
	blog, _ := ofBlog(s.Name)
	for _, o := range w.change.Steps {
		if b, option := ofBlog(o.Name); o.Kind != Setting || b != blog || option == currentTheme {
			continue
		}
		now, err := w.option(ctx, o)
		if errors.Is(err, wp.ErrNoOption) && blog != "" {
			return o.Name + " is gone with its blog", nil
		}
		if err != nil {
			return "", err
		}
		if !bytes.Equal(now, o.Before) && !bytes.Equal(now, o.After) {
			return fmt.Sprintf("%s is %s", o.Name, shown(now)), nil
		}
	}
	return "", nil
}
