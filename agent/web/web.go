// Package web holds the page: the files that a browser is given, built into the program.
// It knows how to serve files; it refuses to know what the service knows, which the page
// asks of the API itself, with the rights of whoever looks at it.
//
// Its invariant: the page loads nothing from elsewhere, holds neither a style nor a script
// within its HTML, and shows what comes from outside as text alone.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed assets
var files embed.FS

// Handler serves the page at / and what it is made of below /assets/. Everything is small
// and known by its content, so that a browser asks again and is told that nothing changed.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for _, f := range load() {
		mux.Handle("GET "+f.route, f)
	}
	return mux
}

// file is one that a browser may ask for.
type file struct {
	route   string // of http.ServeMux
	name    string
	media   string
	tag     string
	content []byte
}

func (f file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.media)
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.content))
}

// media are the types of the page's files: /etc/mime.types, which package mime would ask,
// is not on every host.
func media(name string) string {
	return map[string]string{
		".html": "text/html; charset=utf-8",
		".css":  "text/css; charset=utf-8",
		".js":   "text/javascript; charset=utf-8",
		".svg":  "image/svg+xml",
	}[path.Ext(name)]
}

func load() []file {
	var list []file
	err := fs.WalkDir(files, "assets", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		f := file{route: "/" + name, name: name, media: media(name), tag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, content: content}
		if name == "assets/index.html" {
			f.route = "/{$}"
		}
		list = append(list, f)
		return nil
	})
	if err != nil {
		// What is built in cannot be missing: embed refuses to compile then.
		panic(fmt.Sprintf("the page's own files: %v", err))
	}
	return list
}
