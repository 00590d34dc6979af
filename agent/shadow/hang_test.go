package shadow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wpmend/agent/probe"
	"wpmend/packaging/lab"
	"wpmend/wp"
)

// BenchmarkHang asks what a search with good evidence asks of a site with a plugin
// that hangs: two rounds of two questions, from the shadow's start to its end.
func BenchmarkHang(b *testing.B) {
	for _, fault := range []lab.Fault{lab.Hang, lab.Compute} {
		b.Run(string(fault), func(b *testing.B) {
			st := newStage(b, lab.Options{Plugins: 30, TerminateTimeout: 30 * time.Second})
			if err := st.lab.Break(0, fault, lab.Slug(17)); err != nil {
				b.Fatal(err)
			}
			culprit, _, _ := st.wp.Component("plugin:" + lab.Slug(17))
			others := slices.DeleteFunc(st.wp.Plugins(), func(c wp.Component) bool { return c.ID() == culprit.ID() })
			var first, second time.Duration
			for b.Loop() {
				sh := st.start(b)
				start := time.Now()
				a := side(b, sh, nil, st.wp.Plugins())
				first += time.Since(start)
				start = time.Now()
				c := side(b, sh, others, []wp.Component{culprit})
				second += time.Since(start)
				sh.close(b)
				if !a[0].Hung || !c[0].Hung || a[1].Outcome != probe.Healthy || c[1].Outcome != probe.Healthy || !slices.Contains(c[0].Blamed, culprit.ID()) {
					b.Fatalf("%+v\n%+v", a, c)
				}
			}
			b.ReportMetric(first.Seconds()/float64(b.N), "s/new")
			b.ReportMetric(second.Seconds()/float64(b.N), "s/known")
		})
	}
}

// side asks questions side by side.
func side(t testing.TB, sh *Shadow, masks ...[]wp.Component) []Answer {
	t.Helper()
	answers := make([]Answer, len(masks))
	var wg sync.WaitGroup
	for i, masked := range masks {
		wg.Go(func() {
			var err error
			if answers[i], err = sh.Ask(context.Background(), probe.Home(sh.site), masked); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return answers
}

// A page that only compiles is no hang, however long it takes: here much longer than
// a second, with its traces in one plugin all the time.
func TestColdPageIsNoHang(t *testing.T) {
	t.Parallel()
	st := newStage(t, lab.Options{Plugins: 2})
	for i := range 300 {
		var b strings.Builder
		b.WriteString("<?php\n")
		for f := range 300 {
			fmt.Fprintf(&b, "function cold_%d_%d($a, $b) { $x = array('k%d' => $a, 'n' => [$b, $a . 'text %d', $a + $b * %d]); "+
				"foreach ($x as $k => $v) { if ($k === 'n' && isset($v[1])) { $x[$k] = strlen($v[1]) > 3 ? $v[0] : null; } } return $x; }\n", i, f, f, i, f)
		}
		st.put(t, fmt.Sprintf("wp-content/plugins/plugin-01/part-%d.php", i), b.String())
	}
	st.put(t, "wp-content/plugins/plugin-01/plugin-01.php", "<?php\n/* Plugin Name: Big */\nini_set('memory_limit', '-1');\nfor ($i = 0; $i < 300; $i++) { require __DIR__ . \"/part-$i.php\"; }\n")
	sh := st.start(t)
	defer sh.close(t)
	for _, a := range side(t, sh, nil, st.wp.Plugins()) {
		if a.Hung || a.Outcome != probe.Healthy {
			t.Errorf("%+v", a)
		}
		t.Logf("a page of the cold copy took %v", a.Took)
	}
}
