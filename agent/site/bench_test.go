package site

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"wpmend/packaging/lab"
)

// BenchmarkDiscover asks a real nginx and PHP-FPM with so many sites, each with a
// vhost, a pool and a root of its own.
func BenchmarkDiscover(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("%d sites", n), func(b *testing.B) {
			l := lab.New(b, lab.Options{Sites: n})
			for b.Loop() {
				h, err := Discover(context.Background(), Host{}, func(root string) bool { return strings.HasPrefix(root, l.Dir+"/") })
				if err != nil || len(h.Sites) != n {
					b.Fatalf("%d sites, %v, %v", len(h.Sites), h.Problems, err)
				}
			}
		})
	}
}
