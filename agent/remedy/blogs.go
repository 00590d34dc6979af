package remedy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"wpmend/agent/site"
	"wpmend/wp"
)

const (
	// maxBlogs bounds the blogs whose theme is exchanged at once: each has options of
	// its own to be written and to be put back.
	maxBlogs     = 200
	blogsTimeout = 30 * time.Second
)

// shown is the theme that one blog shows; prefix begins the names of its options, ""
// the main blog.
type shown struct{ prefix, template, stylesheet string }

func (b shown) shows(theme string) bool {
	return folder(b.template) == theme || folder(b.stylesheet) == theme
}

// folder is the name of a theme's component: themes may lie one folder deeper.
func folder(slug string) string {
	name, _, _ := strings.Cut(slug, "/")
	return name
}

// showing finds the blogs that show one of these themes, the main one first.
func showing(w site.WordPress, themes []string) (found []shown, err error) {
	main := shown{"", w.Active.Template, w.Active.Stylesheet}
	if slices.ContainsFunc(themes, main.shows) {
		found = append(found, main)
	}
	digests := map[string]bool{}
	for _, slug := range w.Active.Themes {
		if slices.Contains(themes, folder(slug)) {
			digests[fmt.Sprintf("%x", sha256.Sum256([]byte(slug)))] = true
		}
	}
	if len(digests) == 0 {
		return found, nil
	}
	// What was read of the site tells that another blog shows one of them, not which.
	ctx, cancel := context.WithTimeout(context.Background(), blogsTimeout)
	defer cancel()
	db, err := wp.OpenDatabase(ctx, w.Config, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	raw, err := db.RawOptions(ctx)
	if err != nil {
		return nil, err
	}
	var blogs []int64
	for name, digest := range raw {
		if blog, ok := themeOf(name); ok && digests[digest] && !slices.Contains(blogs, blog) {
			blogs = append(blogs, blog)
		}
	}
	if len(blogs) > maxBlogs {
		return nil, fmt.Errorf("%d blogs show it, more than the %d that are changed at once: choose another theme for them in the network's wp-admin", len(blogs), maxBlogs)
	}
	slices.Sort(blogs)
	for _, blog := range blogs {
		b := shown{prefix: fmt.Sprintf("blog-%d:", blog)}
		o, err := db.Options(ctx, b.prefix+"template", b.prefix+"stylesheet")
		if err != nil {
			return nil, err
		}
		b.template, b.stylesheet = string(o[b.prefix+"template"]), string(o[b.prefix+"stylesheet"])
		if slices.ContainsFunc(themes, b.shows) {
			found = append(found, b)
		}
	}
	return found, nil
}

// themeOf is the blog whose theme an option says, false for any other option.
func themeOf(name string) (blog int64, ok bool) {
	number, option, ok := strings.Cut(strings.TrimPrefix(name, "blog-"), ":")
	if !ok || !strings.HasPrefix(name, "blog-") || option != "template" && option != "stylesheet" {
		return 0, false
	}
	blog, err := strconv.ParseInt(number, 10, 64)
	return blog, err == nil
}
