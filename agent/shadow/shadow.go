// Package shadow puts a private copy of a site's pool and the masks together: it
// answers "would this URL work without these components?" without touching the
// live site.
//
// What WordPress' filters can hide is hidden by a parameter of the request; what
// they cannot (must-use plugins, db.php) by the file system: one private copy for
// each set of such components, started when it is first asked for. Every copy has
// an overlay over the site's files, so that what the site's code writes there
// disappears with it. Where no overlay can be had, the parameter alone serves, and
// [Shadow.Untestable] says what cannot be asked.
//
// Its invariant: what it starts, ends; a crash of wpmend leaves a folder at the
// most, which Clean removes. It convicts nobody: it reports what happened and
// whom a trace or a fatal names.
package shadow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/wp"
)

// Dir holds the shadows' sockets and prepends while they live.
const Dir = "/run/wpmend/shadow"

// Shadow is a set of private copies of one site's pool. Its methods may be called
// from several goroutines.
type Shadow struct {
	site   site.Site
	body   int
	files  files
	copies *copies
	first  *fpm.Private // the pattern of the others; it may have ended
	sight  *sight
	asking sync.WaitGroup
}

// Options bounds a shadow.
type Options struct {
	Dir       string // where it keeps its files; Dir by default
	Workers   int    // questions side by side, 1 to 4
	Body      int    // bytes read of an answer
	NoOverlay bool   // hide by parameters alone, as where no overlay can be had
}

// spare is how many workers so many questions take: a hanging one is sent twice, and
// requests are begun ahead of what is asked next.
func spare(questions int) int { return 2 * max(questions, 1) }

// Start brings a private copy of the site's pool up, with nothing hidden. Paths may
// be zero where they are not known yet: then the site's root alone is overlaid.
func Start(ctx context.Context, s site.Site, paths wp.Paths, o Options) (*Shadow, error) {
	if err := s.Unserved(); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		o.Dir = Dir
	}
	sh := &Shadow{site: s, body: o.Body, files: readFiles(s, paths)}
	sh.sight = newSight(s, paths, sh.files.links)
	if o.NoOverlay {
		sh.files.none = errors.New("it was asked to do without")
	}
	sh.copies = newCopies(func(ctx context.Context, hide []wp.Component) (*fpm.Private, error) {
		overlays, err := sh.files.overlays(hide)
		if err != nil {
			return nil, err
		}
		if sh.first != nil {
			return sh.first.Again(ctx, overlays)
		}
		return fpm.StartPrivate(ctx, s.Master, s.Pool, fpm.PrivateOptions{
			Dir: o.Dir, Prepend: prepend(s.Pool), Workers: spare(o.Workers), SlowlogTimeout: hangFloor, Overlays: overlays})
	}, spare(o.Workers))
	c, err := sh.copies.take(ctx, nil)
	if errors.Is(err, fpm.ErrNoOverlay) {
		sh.files.none = err
		c, err = sh.copies.take(ctx, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("start a private copy of pool %s: %w", s.Pool.Name, err)
	}
	sh.first = c.private
	sh.copies.give(c)
	return sh, nil
}

// prepend masks, then loads what the live pool would have loaded first.
func prepend(p fpm.Pool) []byte {
	if admin, ok := p.Get("php_admin_value[auto_prepend_file]"); ok {
		return wp.PrependAdmin(admin)
	}
	original, set := p.Get("php_value[auto_prepend_file]")
	if set && original == "" {
		original = "none" // PHP's own word for it: unset would mean php.ini's
	}
	return wp.Prepend(original)
}

// Close ends the copies and removes their files.
func (s *Shadow) Close() error {
	err := s.copies.close()
	s.asking.Wait()
	return err
}

// Clean removes what a dead wpmend left; living shadows are left alone.
func Clean(dir string) error { return fpm.CleanPrivates(dir) }

// Question is one request with components masked, of any kind.
type Question struct {
	Target *url.URL
	Method string // "" is GET
	Cookie string
	Mask   wp.Mask
}

// Answer is the result of one question.
type Answer struct {
	probe.Result
	Blamed []string // ids of the components that a trace or a fatal names, the innermost first
	Hung   bool
}

// Ask requests target with the given components masked.
func (s *Shadow) Ask(ctx context.Context, target *url.URL, masked []wp.Component) (Answer, error) {
	return s.Put(ctx, Question{Target: target, Mask: wp.Mask{Components: masked}})
}

// Put asks a question. An error says that it has no answer: that a private copy
// cannot be had or has died twice, that a component cannot be hidden here, that
// Mask.AsUser is no user of the site. It says nothing of the site.
func (s *Shadow) Put(ctx context.Context, q Question) (Answer, error) {
	hide, err := s.hidden(q.Mask.Components)
	if err != nil {
		return Answer{}, err
	}
	var a Answer
	err = s.with(ctx, hide, func(c *copied) error {
		a, err = s.put(ctx, c, q)
		if err == nil && q.Mask.AsUser != "" && a.Answered() && a.Bytes <= maxRefusal && !a.Closed {
			err = s.userThere(ctx, c, q)
		}
		return err
	})
	return a, err
}

// errDead says that a private copy does not serve, whatever the site does.
var errDead = errors.New("the private copy of the pool does not serve")

// with runs f on the copy without hide, and once more on a new one if it died.
func (s *Shadow) with(ctx context.Context, hide []wp.Component, f func(*copied) error) error {
	for try := 1; ; try++ {
		c, err := s.copies.take(ctx, hide)
		if err != nil {
			return fmt.Errorf("start a private copy of pool %s: %w", s.site.Pool.Name, err)
		}
		err = f(c)
		dead := errors.Is(err, errDead)
		if dead {
			err = errors.Join(err, s.copies.drop(c))
		}
		s.copies.give(c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !dead || try == 2 {
			return err
		}
	}
}

// Inspect asks WordPress what it knows of itself, before any plugin loads.
func (s *Shadow) Inspect(ctx context.Context) (i wp.Inspection, err error) {
	mask := wp.Mask{Inspect: true, Nonce: rand.Text()}
	err = s.with(ctx, nil, func(c *copied) error {
		body, err := s.read(ctx, c, Question{Target: probe.Home(s.site), Mask: mask})
		if err == nil {
			i, err = mask.Inspection(body)
		}
		return err
	})
	return i, err
}

// Forget drops options from the site's persistent object cache, the one thing that
// a shadow changes outside of itself: see [wp.Mask].Forget. It is an error if one
// may still be there.
func (s *Shadow) Forget(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	mask := wp.Mask{Forget: names, Nonce: rand.Text(), ObjectCache: true}
	return s.with(ctx, nil, func(c *copied) error {
		body, err := s.read(ctx, c, Question{Target: probe.Home(s.site), Mask: mask})
		if err == nil {
			err = mask.Forgotten(body)
		}
		return err
	})
}
