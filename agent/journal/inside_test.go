package journal

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Folders of a site that are links to other folders of it: everything comes back
// through them, and a link that leads out is refused.
func TestLinksWithinTheSite(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		link    string // wp-content, or plugins below it
		target  string // with ROOT, TOP
		real    string // where the folder really is, below the root
		maker   int
		refused bool
	}{
		{name: "wp-content -> app", link: "wp-content", target: "app", real: "app", maker: owner},
		{name: "made by root", link: "wp-content", target: "app", real: "app"},
		{name: "plugins -> ../lib/plugins", link: "wp-content/plugins", target: "../lib/plugins", real: "lib/plugins", maker: owner},
		{name: "absolute", link: "wp-content/plugins", target: "ROOT/lib", real: "lib", maker: owner},
		{name: "absolute, by the root's other name", link: "wp-content", target: "TOP/current/app", real: "app", maker: owner},
		{name: "a neighbour's", link: "wp-content", target: "app", real: "app", maker: neighbour, refused: true},
		{name: "by a detour", link: "wp-content", target: "lib/../app", real: "app", maker: owner, refused: true},
		{name: "to itself", link: "wp-content", target: "wp-content", maker: owner, refused: true},
		{name: "out of the site", link: "wp-content", target: "../elsewhere", real: "../elsewhere", maker: owner, refused: true},
		{name: "out of the site, absolute", link: "wp-content", target: "TOP/elsewhere", real: "../elsewhere", maker: owner, refused: true},
		{name: "to nowhere", link: "wp-content", target: "nowhere", maker: owner, refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			top := p.dir
			// The gateway knows the site as current, as after a deploy.
			link := p.path(tt.link)
			target := tt.target
			for from, to := range map[string]string{"ROOT": p.root, "TOP": top} {
				if rest, ok := strings.CutPrefix(target, from); ok {
					target = to + rest
				}
			}
			err := errors.Join(os.Symlink("site", filepath.Join(top, "current")), os.MkdirAll(p.path("lib"), 0o755))
			if tt.real != "" {
				if tt.real == "lib" {
					err = errors.Join(err, os.Remove(p.path("lib")))
				}
				err = errors.Join(err, os.Rename(link, p.path(tt.real)))
			} else {
				err = errors.Join(err, os.RemoveAll(link))
			}
			err = errors.Join(err, os.Symlink(target, link))
			if err != nil {
				t.Fatal(err)
			}
			p.own(t, ".")
			if err := os.Lchown(link, tt.maker, tt.maker); err != nil {
				t.Fatal(err)
			}
			p.root = filepath.Join(top, "current")
			before := treeOf(t, top)
			c, err := p.disable()
			if tt.refused {
				if err == nil {
					t.Error("not refused")
				}
				if now := treeOf(t, top); now != before {
					t.Errorf("something changed:\n%s", now)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			site := treeOf(t, filepath.Join(top, "site"))
			j := p.open(t)
			p.disabled(t, j, true)
			if !isDisabled(p) || c.Steps[0].From != "wp-content/plugins/foo" {
				t.Errorf("not disabled, or under another name: %+v", c.Steps[0])
			}
			if err := undoAll(j); err != nil {
				t.Fatal(err)
			}
			if now := treeOf(t, filepath.Join(top, "site")); now != site {
				t.Errorf("not as before:\n%s\nbefore:\n%s", now, site)
			}
		})
	}
}

// A link of a site that comes to lead elsewhere between the plan and the act.
func TestLinkLeadsElsewhereLater(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if err := errors.Join(os.Rename(p.path("wp-content"), p.path("app")), os.Symlink("app", p.path("wp-content"))); err != nil {
		t.Fatal(err)
	}
	p.own(t, ".")
	j := p.open(t)
	p.disabled(t, j, true)
	err := errors.Join(os.Mkdir(p.path("new"), 0o755), os.CopyFS(p.path("new"), os.DirFS(p.path("app"))), os.Remove(p.path("wp-content")), os.Symlink("new", p.path("wp-content")))
	if err != nil {
		t.Fatal(err)
	}
	p.own(t, ".")
	before := treeOf(t, p.root)
	var refused *RefusedError
	if err := undoAll(j); !errors.As(err, &refused) {
		t.Errorf("error %v", err)
	}
	if now := treeOf(t, p.root); now != before {
		t.Errorf("something changed:\n%s", now)
	}
	if err := errors.Join(os.Remove(p.path("wp-content")), os.Symlink("app", p.path("wp-content"))); err != nil {
		t.Fatal(err)
	}
	p.own(t, "wp-content")
	if err := undoAll(j); err != nil {
		t.Error(err)
	}
}
