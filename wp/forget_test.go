package wp_test

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wpmend/packaging/lab"
	"wpmend/wp"
)

// speaker prints what it is told of two options, one of which is not there.
const speaker = `<?php
/* Plugin Name: Speaker */
add_action('wp_footer', function () { echo '<!-- says ' . get_option('blogname') . ', ' . get_option('fresh', 'none') . ' -->'; });`

func TestShadowForgets(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Options{Plugins: 1})
	site := l.Site(0)
	cache, err := os.ReadFile("testdata/object-cache.php")
	if err != nil {
		t.Fatal(err)
	}
	dropIn := filepath.Join(site.Root, "wp-content/object-cache.php")
	activate(t, l, map[string]string{"plugins/speaker/speaker.php": speaker, "object-cache.php": string(cache),
		"mu-plugins/mu.php": "<?php touch(getenv('WPTEST_OUT') . '/mu');"}, "speaker/speaker.php")
	live := startPool(t, l, nil, "")
	// Both keep the cache in one place.
	shadow := startPool(t, l, wp.Prepend(""), "")
	for _, err := range []error{os.Remove(shadow.out), os.Symlink(live.out, shadow.out)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	says := func(p pool, mask wp.Mask) string {
		_, said, _ := strings.Cut(p.get(t, mask), "<!-- says ")
		said, _, _ = strings.Cut(said, " -->")
		return said
	}
	forget := func(names ...string) error {
		mask := wp.Mask{Forget: names, Nonce: rand.Text()}
		body := shadow.ask(t, map[string]string{wp.MaskParam: mask.Encode()})
		_, body, _ = strings.Cut(body, "\r\n\r\n")
		return mask.Forgotten([]byte(body))
	}
	says(live, wp.Mask{})
	for _, q := range []string{"UPDATE wp_options SET option_value = 'Renamed' WHERE option_name = 'blogname'", "INSERT INTO wp_options (option_name, option_value) VALUES ('fresh', 'here')"} {
		if _, err := l.DB().Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if got := says(live, wp.Mask{}); got != "Lab shop, none" {
		t.Fatalf("the live site says %q: the cache does not keep it", got)
	}
	if got := says(shadow, wp.Mask{}) + "; " + says(shadow, wp.Mask{ObjectCache: true}); got != "Renamed, here; Lab shop, none" {
		t.Errorf("without and with the cache the shadow says %q", got)
	}
	os.Remove(live.out + "/mu")
	if err := forget("blogname"); err != nil {
		t.Errorf("blogname: %v", err)
	}
	if left := live.left(t); strings.Contains(left, "mu") || !strings.Contains(left, "object-cache") {
		t.Errorf("to forget, it ran %s", left)
	}
	if got := says(live, wp.Mask{}); got != "Renamed, here" {
		t.Errorf("then the live site says %q", got)
	}
	if err := forget("active_plugins", "template", "no such option", "blog-1:blogname"); err != nil {
		t.Error(err)
	}
	for source, want := range map[string]string{
		strings.Replace(string(cache), "return @unlink", "return false; @unlink", 1): "still there: blogname",
		"<?php echo 'Error establishing a Redis connection'; exit;":                  "the request ended",
		"<?php no_such_function();":                                                  "undefined function",
	} {
		write(t, dropIn, source)
		says(live, wp.Mask{})
		if err := forget("blogname"); !errors.Is(err, wp.ErrNotForgotten) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := os.Remove(dropIn); err != nil {
		t.Fatal(err)
	}
	if err := forget("blogname"); err != nil {
		t.Errorf("without a drop-in: %v", err)
	}
}
