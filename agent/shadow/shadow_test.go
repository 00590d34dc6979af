package shadow

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/packaging/lab"
	"wpmend/wp"
)

// stage is a lab and its first site, read.
type stage struct {
	lab  *lab.Lab
	site site.Site
	wp   site.WordPress
	dir  string // of the shadows
}

func newStage(t testing.TB, o lab.Options) *stage {
	t.Helper()
	l := lab.New(t, o)
	ctx := context.Background()
	host, err := site.Discover(ctx, site.Host{}, func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") })
	if err != nil {
		t.Fatal(err)
	}
	st := &stage{lab: l}
	if st.site, err = site.Find(host.Sites, l.Site(0).Root); err != nil {
		t.Fatalf("%v; %v", err, host.Problems)
	}
	if st.wp, err = st.site.Read(ctx); err != nil || st.wp.Database != nil {
		t.Fatal(err, st.wp.Database)
	}
	// Not below the lab: the folders above a shadow must be root's.
	if st.dir, err = os.MkdirTemp("/run", "wpmend-test-"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(st.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left, err := filepath.Glob(st.dir + "/*/")
		if err != nil || len(left) != 0 {
			t.Errorf("a shadow left %v, %v", left, err)
		}
		if err := os.RemoveAll(st.dir); err != nil {
			t.Error(err)
		}
	})
	return st
}

func (st *stage) start(t testing.TB) *Shadow {
	t.Helper()
	sh, err := Start(context.Background(), st.site, st.wp.Paths, Options{Dir: st.dir, Workers: 4, Body: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return sh
}

func (s *Shadow) close(t testing.TB) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// broken is a stage with one broken plugin and a shadow beside it.
func broken(t *testing.T, fault lab.Fault, plugin string) (*stage, *Shadow) {
	t.Helper()
	st := newStage(t, lab.Options{Plugins: 4, TerminateTimeout: 30 * time.Second})
	if fault != "" {
		if err := st.lab.Break(0, fault, plugin); err != nil {
			t.Fatal(err)
		}
	}
	sh := st.start(t)
	t.Cleanup(func() { sh.close(t) })
	return st, sh
}

func ask(t *testing.T, sh *Shadow, masked ...wp.Component) Answer {
	t.Helper()
	a, err := sh.Ask(context.Background(), probe.Home(sh.site), masked)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestMaskedPluginDoesNoHarm(t *testing.T) {
	t.Parallel()
	for fault, signature := range map[lab.Fault]string{
		lab.Segfault: "worker died: SIGSEGV", lab.Kill9: "worker died: SIGKILL", lab.Blank200: "blank", lab.Header9k: "header too big", lab.Fatal: "fatal: Error at ",
	} {
		t.Run(string(fault), func(t *testing.T) {
			st, sh := broken(t, fault, lab.Slug(2))
			w := st.wp
			culprit, _, ok := w.Component("plugin:" + lab.Slug(2))
			if !ok {
				t.Fatal("the broken plugin is not among the components")
			}
			if a := ask(t, sh); !a.Outcome.Failing() || !strings.HasPrefix(a.Signature, signature) || a.Hung {
				t.Errorf("nothing masked: %+v", a)
			}
			if a := ask(t, sh, culprit); a.Outcome != probe.Healthy || !a.Closed {
				t.Errorf("culprit masked: %+v", a)
			}
			others := slices.DeleteFunc(w.Plugins(), func(c wp.Component) bool { return c.ID() == culprit.ID() })
			a := ask(t, sh, others...)
			if !a.Outcome.Failing() {
				t.Errorf("only the culprit: %+v", a)
			}
			if fault == lab.Fatal && !slices.Equal(a.Blamed, []string{culprit.ID()}) {
				t.Errorf("the fatal blames %v", a.Blamed)
			}
		})
	}
}

func TestHangIsTraced(t *testing.T) {
	t.Parallel()
	for _, fault := range []lab.Fault{lab.Hang, lab.Compute} {
		t.Run(string(fault), func(t *testing.T) {
			st, sh := broken(t, fault, lab.Slug(3))
			w := st.wp
			if a := ask(t, sh, w.Plugins()...); a.Outcome != probe.Healthy {
				t.Fatalf("all masked: %+v", a)
			}
			a := ask(t, sh)
			if !a.Hung || a.Signature != "hang" || !strings.Contains(a.Detail, "standing in ") {
				t.Errorf("nothing masked: %+v", a)
			}
			// FPM shows where a function was called. Between two calls a loop of the
			// plugin's own is seen as called by core, and then nobody is named.
			if named := len(a.Blamed) > 0 && a.Blamed[0] == "plugin:"+lab.Slug(3); !named && (fault == lab.Hang || len(a.Blamed) > 0) {
				t.Errorf("the trace names %v: %s", a.Blamed, a.Detail)
			}
			if looks := slices.Max(slices.Collect(maps.Values(sh.sight.looks))); looks < 2 {
				t.Errorf("believed after %d traces of one place: %v", looks, sh.sight.looks)
			}
			culprit, _, _ := w.Component("plugin:" + lab.Slug(3))
			if a := ask(t, sh, culprit); a.Outcome != probe.Healthy {
				t.Errorf("the ended worker was not replaced: %+v", a)
			}
		})
	}
}

func TestSlowPageIsNoHang(t *testing.T) {
	t.Parallel()
	st, sh := broken(t, "", "")
	l, w := st.lab, st.wp
	file := filepath.Join(l.Site(0).Root, "wp-content/plugins", lab.Slug(1), lab.Slug(1)+".php")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// Standing in another place at every look: work, not a hang.
	slow := "\nadd_action('init', function () { static $n; for ($i = 0; $i < 3; $i++) { usleep(150000); } });\n"
	if err := os.WriteFile(file, append(text, slow...), 0o644); err != nil {
		t.Fatal(err)
	}
	ask(t, sh, w.Plugins()...)
	if a := ask(t, sh); a.Outcome != probe.Healthy || a.Hung {
		t.Errorf("a page that takes half a second: %+v", a)
	}
}

func TestCancelledQuestion(t *testing.T) {
	t.Parallel()
	_, sh := broken(t, lab.Hang, lab.Slug(1))
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := sh.Ask(ctx, probe.Home(sh.site), nil); err == nil {
		t.Error("a cancelled question has no answer")
	}
}
