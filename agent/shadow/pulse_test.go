package shadow

import (
	"testing"
	"time"

	"wpmend/php/errlog"
	"wpmend/php/fpm"

	"wpmend/agent/site"
	"wpmend/wp"
)

func TestPulse(t *testing.T) {
	t.Parallel()
	const step = 40 * time.Millisecond
	for name, c := range map[string]struct {
		step  func(a *fpm.Activity)
		steps int
		want  stance
	}{
		"sleeps":                   {func(a *fpm.Activity) {}, 12, stands},
		"sleeps, but not for long": {func(a *fpm.Activity) {}, 6, works},
		"sleeps on a disk":         {func(a *fpm.Activity) { a.Waiting = false }, 12, works},
		"computes":                 {func(a *fpm.Activity) { a.Waiting = false; a.CPU += step }, 12, stands},
		"computes, but starves":    {func(a *fpm.Activity) { a.Waiting = false; a.CPU += step / 8 }, 12, works},
		"compiles":                 {func(a *fpm.Activity) { a.Waiting = false; a.CPU += step; a.Bytes += 9000; a.Faults += 90 }, 50, works},
		"compiles what is mapped":  {func(a *fpm.Activity) { a.Waiting = false; a.CPU += step; a.Faults += 90 }, 50, works},
		"writes a log for ever":    {func(a *fpm.Activity) { a.CPU += step; a.Bytes += 100 }, 50, loops},
		"wrote a log for a while":  {func(a *fpm.Activity) { a.CPU += step; a.Bytes += 100 }, 20, works},
	} {
		var p pulse
		a, now := fpm.Activity{PID: 7, Waiting: true}, time.Now()
		for range c.steps {
			p.note(now, []fpm.Activity{a})
			now = now.Add(step)
			c.step(&a)
		}
		if got, _ := p.of(7); got != c.want {
			t.Errorf("one that %s: %v, want %v", name, got, c.want)
		}
		if got, _ := p.of(8); got != works {
			t.Errorf("one that is not known: %v", got)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	s := newSight(site.Site{Root: "/srv/a"}, wp.DefaultPaths(), []link{{rel: "wp-content/plugins/linked", real: "/srv/shared/linked-2"}})
	hook := errlog.Frame{Func: "bad_loop", File: "/srv/a/wp-includes/class-wp-hook.php", Line: 308}
	core := errlog.Frame{Func: "apply_filters", File: "/srv/a/wp-includes/class-wp-hook.php", Line: 332}
	inside := errlog.Frame{Func: "md5", File: "/srv/a/wp-content/plugins/bad/bad.php", Line: 9}
	look := func(want string, frames ...errlog.Frame) {
		t.Helper()
		if place, _ := s.look(frames); place != want {
			t.Errorf("%v is %q, want %q", frames, place, want)
		}
	}
	look("bad_loop() /srv/a/wp-includes/class-wp-hook.php:308", hook, core)
	if s.seen("bad_loop() /srv/a/wp-includes/class-wp-hook.php:308") || s.anyKnown() {
		t.Error("one look is enough")
	}
	// What was called from core is known now, and was seen before.
	look("plugin:bad", inside, hook, core)
	if !s.seen("plugin:bad") || !s.known("plugin:bad") || !s.anyKnown() {
		t.Errorf("looks %v", s.looks)
	}
	look("plugin:bad", hook, core)
	look("apply_filters() /srv/a/wp-includes/class-wp-hook.php:332", core)
	look("plugin:linked", errlog.Frame{Func: "sleep", File: "/srv/shared/linked-2/x.php", Line: 1})
	look("sleep() /srv/shared/linked-20/x.php:1", errlog.Frame{Func: "sleep", File: "/srv/shared/linked-20/x.php", Line: 1})
	look("")
}
