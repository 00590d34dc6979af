package shadow

import (
	"context"
	"testing"

	"wpmend/agent/probe"
	"wpmend/packaging/lab"
)

// BenchmarkStart is a shadow's whole life: up, one answer of a cold page, gone.
func BenchmarkStart(b *testing.B) {
	st := newStage(b, lab.Options{Plugins: 30})
	b.Run("up and down", func(b *testing.B) {
		for b.Loop() {
			st.start(b).close(b)
		}
	})
	b.Run("up, first page and down", func(b *testing.B) {
		for b.Loop() {
			sh := st.start(b)
			if a, err := sh.Ask(context.Background(), probe.Home(sh.site), nil); err != nil || a.Outcome != probe.Healthy {
				b.Fatalf("%+v, %v", a, err)
			}
			sh.close(b)
		}
	})
}

// BenchmarkProbe is one probe of a page of 30 small plugins by each route.
func BenchmarkProbe(b *testing.B) {
	st := newStage(b, lab.Options{Plugins: 30})
	limits := probe.Limits{Timeout: longest, Body: 1 << 20}
	sh := st.start(b)
	defer sh.close(b)
	for route, ask := range map[probe.Route]func() probe.Result{
		probe.Front: func() probe.Result { return probe.ByFront(context.Background(), st.site, probe.Home(st.site), limits) },
		probe.Pool:  func() probe.Result { return probe.ByPool(context.Background(), st.site, probe.Home(st.site), limits) },
		probe.Shadow: func() probe.Result {
			return probe.ByShadow(context.Background(), st.site, probe.Home(st.site), sh.copies.alive[0].private.Socket(), nil, limits)
		},
	} {
		b.Run(string(route), func(b *testing.B) {
			for b.Loop() {
				if r := ask(); r.Outcome != probe.Healthy {
					b.Fatalf("%+v", r)
				}
			}
		})
	}
}
