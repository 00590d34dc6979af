package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// SetOption gives an option of a site another value, such as the theme that is
// shown. name is as [Options] take it. The undo puts the old value back, unless
// somebody has chosen another one since: that one stays.
func SetOption(root, name string, value []byte) Step {
	return Step{Kind: Setting, SiteRoot: root, Name: name, After: value}
}

// settable are the options that may be set; those of another blog carry its number.
var settable = []string{"template", "stylesheet", "current_theme"}

// setting carries out the steps that give an option another value.
type setting struct{}

func (setting) undoable() bool { return true }

func (setting) check(s Step) error {
	name := s.Name
	if blog, of, ok := strings.Cut(name, ":"); ok && strings.HasPrefix(blog, "blog-") {
		name = of
	}
	for _, known := range settable {
		if name == known {
			if len(s.After) == 0 || len(s.After) > 4096 {
				return fmt.Errorf("%d bytes are no value for the option %q", len(s.After), s.Name)
			}
			return nil
		}
	}
	return fmt.Errorf("the option %q is not one that is set", s.Name)
}

func (setting) describe(s Step) string {
	return fmt.Sprintf("set the option %s from %s to %s", s.Name, shown(s.Before), shown(s.After))
}

func shown(value []byte) string { return join([]string{string(value)}) }

func (setting) byHand(s Step) []string {
	return []string{fmt.Sprintf("# then set the option %s to %s again, if it is still %s: wp-admin, Appearance, or `wp option update`", s.Name, shown(s.Before), shown(s.After))}
}

func (setting) prepare(ctx context.Context, j *Journal, s Step) (Step, error) {
	now, err := j.option(ctx, s)
	if err != nil {
		return s, err
	}
	if !utf8.Valid(now) {
		return s, fmt.Errorf("the option %s is not valid UTF-8", s.Name)
	}
	s.Before = now
	return s, nil
}

// look: any other value than ours is somebody's own choice, so nothing of the step
// is in effect then.
func (setting) look(ctx context.Context, j *Journal, s Step) (standing, error) {
	now, err := j.option(ctx, s)
	if err != nil {
		return notDone, err
	}
	if bytes.Equal(now, s.After) || bytes.Equal(s.Before, s.After) {
		return done, nil
	}
	return notDone, nil
}

func (setting) apply(ctx context.Context, j *Journal, s Step) error {
	if bytes.Equal(s.Before, s.After) {
		return nil
	}
	swapped, err := j.swap(ctx, s, s.Before, s.After)
	if err != nil {
		return err
	}
	if !swapped {
		now, err := j.option(ctx, s)
		if err == nil && bytes.Equal(now, s.After) {
			return nil // an earlier call was interrupted
		}
		return &RefusedError{What: fmt.Sprintf("the option %s of %s is %s now, not %s", s.Name, s.SiteRoot, shown(now), shown(s.Before)),
			Do: "somebody is at work on the site: look again"}
	}
	return nil
}

func (setting) undo(ctx context.Context, j *Journal, s Step, _ []Step) error {
	if bytes.Equal(s.Before, s.After) {
		return nil
	}
	_, err := j.swap(ctx, s, s.After, s.Before)
	return err
}

// option reads the option of a step.
func (j *Journal) option(ctx context.Context, s Step) ([]byte, error) {
	if j.deps.Options == nil {
		return nil, errors.New("nothing is given to read options with")
	}
	ctx, cancel := context.WithTimeout(ctx, optionTimeout)
	defer cancel()
	now, err := j.deps.Options.Option(ctx, s.SiteRoot, s.Name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.Name, err)
	}
	return now, nil
}

// swap exchanges the value of a step's option. A persistent object cache is then told
// to forget the old one.
func (j *Journal) swap(ctx context.Context, s Step, old, value []byte) (bool, error) {
	if j.deps.Options == nil {
		return false, errors.New("nothing is given to write options with")
	}
	swapped, err := j.deps.Options.SwapOption(ctx, s.SiteRoot, s.Name, old, value)
	if err != nil {
		return false, fmt.Errorf("write %s: %w", s.Name, err)
	}
	if swapped && j.deps.Forget != nil {
		j.deps.Forget(ctx, s.SiteRoot, s.Name)
	}
	return swapped, nil
}
