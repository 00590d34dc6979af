package wp

import (
	"path"
	"strings"
	"testing"
)

func TestBlame(t *testing.T) {
	t.Parallel()
	const root = "/srv/site"
	bedrock := Paths{Content: "app", Plugins: "app/plugins", MUPlugins: "app/plugins/must", Themes: "app/themes"}
	for _, tt := range []struct {
		file  string
		paths Paths
		roots []string
		want  string
	}{
		{"/srv/site/wp-content/plugins/foo/inc/x.php", DefaultPaths(), nil, "plugin:foo"},
		{"/srv/site/wp-content/plugins/hello.php", DefaultPaths(), nil, "plugin:hello.php"},
		{"/srv/site/wp-content/plugins/hello.php(12) : eval()'d code", DefaultPaths(), nil, "plugin:hello.php"},
		{"/srv/site/wp-content/plugins/hello.php(12) : eval()'d code(1) : eval()'d code", DefaultPaths(), nil, "plugin:hello.php"},
		{"/srv/site/wp-content/plugins/a\nb/x.php", DefaultPaths(), nil, "plugin:a%0Ab"},
		{"/srv/site/wp-content/themes/astra/functions.php", DefaultPaths(), nil, "theme:astra"},
		{"/srv/site/wp-content/mu-plugins/x.php", DefaultPaths(), nil, "mu-plugin:x.php"},
		{"/srv/site/wp-content/object-cache.php", DefaultPaths(), nil, "drop-in:object-cache.php"},
		{"/srv/site/app/plugins/must/x.php", bedrock, nil, "mu-plugin:x.php"},
		{"/srv/site/app/plugins/foo/x.php", bedrock, nil, "plugin:foo"},
		{"/data/site/wp-content/plugins/foo/x.php", DefaultPaths(), []string{root, "/data/site"}, "plugin:foo"},
		{"/srv/site/wp-content/../wp-content/plugins//foo/x.php", DefaultPaths(), nil, "plugin:foo"},

		{"/srv/site/wp-includes/plugin.php", DefaultPaths(), nil, ""},
		{"/srv/site/wp-content/uploads/x.php", DefaultPaths(), nil, ""},
		{"/srv/site/wp-content/other.php", DefaultPaths(), nil, ""},
		{"/srv/site/wp-content/plugins/readme.txt", DefaultPaths(), nil, ""},
		{"/srv/site/wp-content/plugins", DefaultPaths(), nil, ""},
		{"/srv/site/wp-content/plugins/.foo.off-by-wpmend/x.php", DefaultPaths(), nil, ""},
		{"/srv/site2/wp-content/plugins/foo/x.php", DefaultPaths(), nil, ""},
		{"/srv/site/wp-content/plugins/../../../x/plugins/foo/x.php", DefaultPaths(), nil, ""},
		{"/data/site/wp-content/plugins/foo/x.php", DefaultPaths(), nil, ""},
		{"wp-content/plugins/foo/x.php", DefaultPaths(), nil, ""},
		{"", DefaultPaths(), nil, ""},
		{"/srv/site/wp-content/plugins/foo/x.php", Paths{}, nil, ""},
	} {
		if tt.roots == nil {
			tt.roots = []string{root}
		}
		got, ok := Blame(tt.file, tt.paths, tt.roots...)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("Blame(%q) = %q, %v; want %q", tt.file, got, ok, tt.want)
		}
	}
}

func FuzzBlame(f *testing.F) {
	f.Add("/srv/site/wp-content/plugins/foo/x.php", "/srv/site")
	f.Add("/srv/site/wp-content/plugins/../../etc/x.php(1) : eval()'d code", "/srv/site/")
	f.Add("/wp-content/db.php", "/")
	f.Fuzz(func(t *testing.T, file, root string) {
		id, ok := Blame(file, DefaultPaths(), root)
		if !ok {
			if id != "" {
				t.Errorf("%q though none is to blame", id)
			}
			return
		}
		kind, name, err := ParseID(id)
		if err != nil {
			t.Fatalf("%q cannot be read: %v", id, err)
		}
		if !strings.HasPrefix(path.Clean(evaluated.ReplaceAllString(file, "")), strings.TrimSuffix(path.Clean(root), "/")+"/") {
			t.Errorf("%q is outside of %q, and yet %s", file, root, id)
		}
		if !strings.Contains(file, name) || kind == KindPrepend {
			t.Errorf("%s is not in %q", id, file)
		}
	})
}
