package wp

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// maxLoader bounds a must-use plugin that is looked through for a loader: Bedrock's
// autoloader has 6 kB.
const maxLoader = 64 << 10

// muPlugins are files loaded by their suffix alone, hidden ones included
// (wp_get_mu_plugins), and, where one of them is an autoloader such as Bedrock's,
// the folders that it loads.
func muPlugins(t *Tree, p Paths, _ ActiveState) ([]Component, error) {
	entries, err := list(t, p.MUPlugins)
	if err != nil {
		return nil, fmt.Errorf("list must-use plugins: %w", err)
	}
	var found []Component
	loads := false
	for _, e := range entries {
		if isPHP(e.Name()) && !e.IsDir() {
			at := path.Join(p.MUPlugins, e.Name())
			found = appendFile(found, t, Component{Kind: KindMUPlugin, Name: e.Name(), Path: at, Active: true})
			loads = loads || autoloads(t, at)
		}
	}
	if !loads {
		return found, nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		c := Component{Kind: KindMUPlugin, Name: e.Name(), Path: path.Join(p.MUPlugins, e.Name()), Active: true}
		info, err := t.Stat(c.Path)
		if err != nil || !info.IsDir() {
			continue
		}
		if c.Files, _ = pluginFiles(t, c.Path, c.Name); len(c.Files) == 0 {
			continue
		}
		c.ModTime = info.ModTime()
		var paths []string
		for _, f := range c.Files {
			paths = append(paths, path.Join(p.MUPlugins, f))
		}
		c.describe(t, paths)
		found = append(found, c)
	}
	return found, nil
}

var (
	listsFolders = regexp.MustCompile(`(?i)\b(?:get_plugins|glob|scandir|opendir|readdir|(?:Recursive)?DirectoryIterator)\s*\(`)
	includesFile = regexp.MustCompile(`(?i)\b(?:include|require)(?:_once)?\b`)
)

// autoloads tells whether a must-use plugin loads whole folders beside it: it goes
// over the folder and includes what it finds. One that names the files it includes
// is a component together with them.
func autoloads(t *Tree, file string) bool {
	b, err := t.ReadHead(file, maxLoader)
	if err != nil {
		return false
	}
	here := strings.Contains(string(b), "WPMU_PLUGIN_DIR") || strings.Contains(string(b), "__DIR__")
	return here && listsFolders.Match(b) && includesFile.Match(b)
}
