package wp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxBlogs bounds the blogs of a network that are asked: the largest have
	// hundreds of thousands, each with tables of its own.
	maxBlogs = 5000
	// blogsAtOnce are asked in one question: a server keeps a few hundred tables
	// open at least (table_open_cache, 400 by MariaDB's oldest default).
	blogsAtOnce = 100
	// maxBlogOption bounds what is read of one blog's option; a list of a hundred
	// plugins has 5 kB.
	maxBlogOption = 128 << 10
	// maxBlogLists bounds the lists of all blogs together, blogsTimeout the time
	// that they may take.
	maxBlogLists = 32 << 20
	blogsTimeout = 20 * time.Second
)

// readBlogs adds what a network's other blogs have switched on.
func (d *Database) readBlogs(ctx context.Context, a *ActiveState) error {
	if !d.network {
		return nil
	}
	blogs, more, err := d.otherBlogs(ctx)
	if err != nil {
		return fmt.Errorf("read the network's blogs: %w", err)
	}
	unread, left := map[int64]bool{}, maxBlogLists
	value := fmt.Sprintf("IF(LENGTH(option_value) > %d, '?', CAST(option_value AS BINARY))", maxBlogOption)
	err = d.eachBlog(ctx, blogs, value, func(blog int64, name, value string) error {
		if name != "active_plugins" {
			if value != "" && !slices.Contains(a.Themes, value) {
				a.Themes = append(a.Themes, value)
			}
			return nil
		}
		files, err := PluginList([]byte(value))
		if left -= len(value); err != nil || left < 0 {
			unread[blog] = true
			return nil
		}
		if len(files) == 0 {
			return nil
		}
		if a.Blogs == nil {
			a.Blogs = map[int64][]string{}
		}
		a.Blogs[blog] = files
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the network's blogs: %w", err)
	}
	slices.Sort(a.Themes)
	a.BlogsUnread = more + len(unread)
	return nil
}

// otherBlogs are the numbers of the network's blogs, without the main one and those
// that are closed, as far as their tables exist: at most maxBlogs, and how many more
// there are. A site without the network's tables has none.
func (d *Database) otherBlogs(ctx context.Context) (blogs []int64, more int, err error) {
	tables := map[string]bool{}
	like := strings.NewReplacer("_", `\_`, "%", `\%`).Replace(d.prefix) + `%\_options`
	err = d.query(ctx, 1, func(v []string) error {
		tables[v[0]] = true
		return nil
	}, "SHOW TABLES LIKE ?", like)
	if err != nil {
		return nil, 0, err
	}
	err = d.query(ctx, 1, func(v []string) error {
		blog, err := strconv.ParseInt(v[0], 10, 64)
		// Servers may tell names in lower case (lower_case_table_names).
		name := d.blogPrefix(blog) + "options"
		switch {
		case err != nil || blog < 1 || blog == d.mainBlog || blog != 1 && !tables[name] && !tables[strings.ToLower(name)]:
		case len(blogs) == maxBlogs:
			more++
		default:
			blogs = append(blogs, blog)
		}
		return nil
	}, fmt.Sprintf("SELECT blog_id FROM `%sblogs` WHERE site_id = ? AND archived = 0 AND spam = 0 AND deleted = 0 ORDER BY blog_id", d.prefix), d.site)
	if errors.Is(err, ErrNoTable) {
		return nil, 0, nil
	}
	return blogs, more, err
}

// eachBlog reads of each blog the options that switch components on. Value is what
// is asked of each, in SQL.
func (d *Database) eachBlog(ctx context.Context, blogs []int64, value string, option func(blog int64, name, value string) error) error {
	ctx, cancel := context.WithTimeout(ctx, blogsTimeout)
	defer cancel()
	for some := range slices.Chunk(blogs, blogsAtOnce) {
		var parts []string
		for _, blog := range some {
			parts = append(parts, fmt.Sprintf("SELECT %d, option_name, %s FROM `%soptions` WHERE option_name IN ('active_plugins', 'template', 'stylesheet')",
				blog, value, d.blogPrefix(blog)))
		}
		err := d.query(ctx, 3, func(v []string) error {
			blog, err := strconv.ParseInt(v[0], 10, 64)
			if err != nil || !slices.Contains(some, blog) {
				return fmt.Errorf("%w: an answer of blog %q", errProtocol, v[0])
			}
			return option(blog, v[1], v[2])
		}, strings.Join(parts, " UNION ALL "))
		if err != nil {
			return err
		}
	}
	return nil
}
