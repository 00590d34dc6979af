package lab

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Layout is a way to lay the files of a site out.
type Layout string

// The layouts. Each but Plain is one that hosts and deploy tools really use.
const (
	Plain        Layout = ""              // all in the document root, or in Options.Subfolder of it
	Bedrock      Layout = "bedrock"       // web/{wp,app}, config/application.php, .env and the pool's environment
	ParentConfig Layout = "parent-config" // wp-config.php in the folder above the document root
	CoreFolder   Layout = "core-folder"   // the core in wp/, wp-content and wp-config.php beside it
	OwnFolder    Layout = "own-folder"    // all of WordPress in wp/, only index.php above it
	MovedContent Layout = "moved-content" // wp-content is called content, by dirname( __FILE__ )
	Env          Layout = "env"           // DB_* and the table prefix from getenv, set by the pool
	Docker       Layout = "docker"        // wp-config.php of Docker's image: getenv_docker() and an eval
	Symlinked    Layout = "symlinked"     // current -> releases/1; wp-config.php, uploads and one plugin are links to shared/
)

// Layouts lists every layout.
func Layouts() []Layout {
	return []Layout{Plain, Bedrock, ParentConfig, CoreFolder, OwnFolder, MovedContent, Env, Docker, Symlinked}
}

// LinkedPlugin is the plugin of a Symlinked site that lies in shared/plugins.
const LinkedPlugin = "linked"

// coreBelow says whether a layout's core lies in wp/ of the document root.
func (y Layout) coreBelow() bool { return y == Bedrock || y == CoreFolder || y == OwnFolder }

// layout is that of site i.
func (o Options) layout(i int) Layout {
	if i < len(o.Layouts) {
		return o.Layouts[i]
	}
	return o.Layout
}

func (o Options) checkLayouts() error {
	if len(o.Layouts) > o.Sites || len(o.Networks) > o.Sites {
		return fmt.Errorf("%d layouts and %d networks for %d sites", len(o.Layouts), len(o.Networks), o.Sites)
	}
	for i := range o.Sites {
		y, net := o.layout(i), o.network(i)
		switch {
		case !slices.Contains(Layouts(), y):
			return fmt.Errorf("no layout %q: there are %q", y, Layouts())
		case net != "" && net != Subfolders && net != Subdomains:
			return fmt.Errorf("no network %q: there are %q and %q", net, Subfolders, Subdomains)
		case net == "" && (o.NetworkPlugins > 0 || o.BlogPlugins > 0) && len(o.Networks) == 0:
			return errors.New("plugins of a network need Multisite")
		case o.Subfolder != "" && (net != "" || y.coreBelow() || y == Symlinked):
			return errors.New("a subfolder goes with sites of one blog whose core lies in the document root, only")
		case o.Handler == ModPHP && (y == Env || y == Docker || y == Bedrock):
			return fmt.Errorf("layout %s takes its settings from a pool's environment, which mod_php has not", y)
		}
	}
	return nil
}

// place says where everything of a site lies, below its base folder.
func (s *Site) place(base, subfolder string) {
	s.base, s.DocRoot = base, base
	switch s.Layout {
	case Bedrock:
		s.DocRoot = filepath.Join(base, "web")
	case ParentConfig:
		s.DocRoot = filepath.Join(base, "public")
	case Symlinked:
		s.DocRoot = filepath.Join(base, "current")
	}
	s.Root = filepath.Join(s.DocRoot, subfolder)
	s.Core = s.Root
	if s.Layout.coreBelow() {
		s.Core = filepath.Join(s.Root, "wp")
	}
	s.Content = filepath.Join(s.Core, "wp-content")
	s.Config = filepath.Join(s.Core, "wp-config.php")
	s.URL = strings.TrimSuffix("http://"+s.Domain+"/"+subfolder, "/")
	s.coreURL = s.URL
	if s.Layout.coreBelow() {
		s.coreURL += "/wp"
	}
	switch s.Layout {
	case Bedrock:
		s.Content = filepath.Join(s.Root, "app")
		s.Config = filepath.Join(s.Root, "wp-config.php")
	case CoreFolder:
		s.Content = filepath.Join(s.Root, "wp-content")
		s.Config = filepath.Join(s.Root, "wp-config.php")
	case ParentConfig:
		s.Config = filepath.Join(filepath.Dir(s.Root), "wp-config.php")
	case MovedContent:
		s.Content = filepath.Join(s.Root, "content")
	case Symlinked:
		s.Config = filepath.Join(base, "shared", "wp-config.php")
	}
}

// settings is the file that constants are added to.
func (s Site) settings() string {
	if s.Layout == Bedrock {
		return filepath.Join(s.base, "config", "application.php")
	}
	return s.Config
}
