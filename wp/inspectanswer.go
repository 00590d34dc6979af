package wp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// answerMark begins the line that the prepend itself answers with:
// mark, nonce, ":" and the answer.
const answerMark = "wpmend:"

// ErrNoAnswer says that a request for the prepend alone was not answered by it:
// it did not run, or the site's code stopped the request for good.
var ErrNoAnswer = errors.New("the site did not answer what was asked")

// answer is the prepend's own line in a body: the last one that bears the
// mask's nonce. What the site's code printed before it does not matter.
func (m Mask) answer(body []byte) (string, error) {
	line, ok := lastLine(body, answerMark+m.Nonce+":")
	if !ok {
		return "", noAnswer(body)
	}
	return line, nil
}

func lastLine(body []byte, begin string) (string, bool) {
	i := bytes.LastIndex(append([]byte("\n"), body...), []byte("\n"+begin))
	if i < 0 {
		return "", false
	}
	line, _, _ := bytes.Cut(body[i+len(begin):], []byte("\n"))
	return string(line), true
}

func noAnswer(body []byte) error {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return fmt.Errorf("%w: it said nothing at all", ErrNoAnswer)
	}
	return fmt.Errorf("%w: it said %q", ErrNoAnswer, body[:min(len(body), 200)])
}

// NoSuchUser says that a body is the answer to a mask whose AsUser is no user of
// the site.
func (m Mask) NoSuchUser(body []byte) bool {
	said, err := m.answer(body)
	return m.AsUser != "" && err == nil && said == "no such user"
}

// ErrNotForgotten says that the persistent object cache still has an option.
var ErrNotForgotten = errors.New("the object cache was not told")

// Forgotten says whether a body is the answer that nothing of Forget is left in
// the object cache: nil if so, or if the site has no persistent one. What lives
// in the memory of the pool's own master (APCu) cannot be reached from a shadow:
// [ErrNotForgotten], and only a reload of the pool helps.
func (m Mask) Forgotten(body []byte) error {
	said, err := m.answer(body)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotForgotten, err)
	}
	if said == "forgotten" {
		return nil
	}
	return fmt.Errorf("%w: %q", ErrNotForgotten, said[:min(len(said), 200)])
}

// Inspection reads the answer to a mask that asks to inspect.
func (m Mask) Inspection(body []byte) (Inspection, error) {
	said, err := m.answer(body)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect: %w", err)
	}
	return readInspection(said)
}

// ParseInspection reads the last answer to an inspection in a body, whatever its
// nonce; [Mask.Inspection] is for an answer to one request.
func ParseInspection(body []byte) (Inspection, error) {
	line, ok := lastLine(body, answerMark)
	if !ok {
		return Inspection{}, fmt.Errorf("inspect: %w", noAnswer(body))
	}
	_, said, _ := strings.Cut(line, ":")
	return readInspection(said)
}

// Bounds of an answer, far above what a site has.
const (
	maxAnswerText   = 8 << 20 // bytes
	maxInspectValue = 4096    // bytes, of all but the lists of plugins
	maxInspectList  = 10_000  // plugins
)

// ErrInspection says that an answer is not what the prepend writes.
var ErrInspection = errors.New("not an inspection that can be believed")

// readInspection takes the answer apart. All strings in it are written as by
// PHP's rawurlencode, since a path may hold any byte and JSON may not.
func readInspection(said string) (Inspection, error) {
	i, err := decodeInspection(said)
	if err != nil {
		return Inspection{}, fmt.Errorf("%w: %w", ErrInspection, err)
	}
	return i, nil
}

func decodeInspection(said string) (Inspection, error) {
	if len(said) > maxAnswerText {
		return Inspection{}, fmt.Errorf("it has %d bytes", len(said))
	}
	var raw struct {
		Constants                                          map[string]string
		Prefix, Version, PHP, Template, Stylesheet, Config string
		Plugins, Network, Problem                          string
		Multisite                                          bool
	}
	d := json.NewDecoder(strings.NewReader(said))
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return Inspection{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Inspection{}, errors.New("more follows it")
	}
	i := Inspection{Multisite: raw.Multisite, Constants: make(map[string]string, len(raw.Constants))}
	r := textReader{}
	for name, text := range raw.Constants {
		if !slices.Contains(inspected, name) {
			r.fail("a constant that was not asked for", name)
			continue
		}
		switch name {
		case "ABSPATH", "WP_CONTENT_DIR", "WP_PLUGIN_DIR", "WPMU_PLUGIN_DIR":
			i.Constants[name] = r.path(name, text)
		case "DB_PASSWORD":
			i.Constants[name] = r.bytes(name, text)
		default:
			i.Constants[name] = r.text(name, text)
		}
	}
	for _, f := range []struct {
		name string
		to   *string
		from string
	}{
		{"the prefix", &i.Prefix, raw.Prefix}, {"the version", &i.Version, raw.Version}, {"PHP's version", &i.PHP, raw.PHP},
		{"the template", &i.Template, raw.Template}, {"the stylesheet", &i.Stylesheet, raw.Stylesheet}, {"the problem", &i.Problem, raw.Problem},
	} {
		*f.to = r.text(f.name, f.from)
	}
	if raw.Config != "" {
		i.Config = r.path("the configuration", raw.Config)
	}
	i.Plugins = r.plugins(&i, "active_plugins", raw.Plugins)
	i.Network = r.plugins(&i, sitewide, raw.Network)
	if i.Prefix != "" && !prefixes.MatchString(i.Prefix) {
		r.fail("the prefix", i.Prefix)
	}
	return i, r.err
}

// textReader keeps the first thing that was wrong.
type textReader struct{ err error }

func (r *textReader) fail(what, text string) {
	if r.err == nil {
		r.err = fmt.Errorf("%s is %.80q", what, text)
	}
}

// bytes are any but NUL, as in a file's name.
func (r *textReader) bytes(what, encoded string) string {
	s, err := url.PathUnescape(encoded)
	if err != nil || len(s) > maxInspectValue || strings.IndexByte(s, 0) >= 0 {
		r.fail(what, encoded)
		return ""
	}
	return s
}

// plugins takes a list as it is stored. A broken one is the site's trouble, not
// the answer's.
func (r *textReader) plugins(i *Inspection, name, encoded string) []string {
	stored, err := url.PathUnescape(encoded)
	if err != nil {
		r.fail(name, encoded)
		return nil
	}
	files, err := PluginList([]byte(stored))
	if err != nil && i.Problem == "" {
		i.Problem = fmt.Sprintf("option %s: %v", name, err)
	}
	if len(files) > maxInspectList {
		r.fail(name, encoded)
		return nil
	}
	return files
}

func (r *textReader) text(what, encoded string) string {
	s := r.bytes(what, encoded)
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.fail(what, s)
		return ""
	}
	return s
}

// path is absolute and says nothing twice; its last slash is dropped but for
// ABSPATH, which is written with one everywhere.
func (r *textReader) path(what, encoded string) string {
	s := r.text(what, encoded)
	clean := strings.TrimSuffix(s, "/")
	if !filepath.IsAbs(s) || filepath.Clean(s) != clean && s != "/" {
		r.fail(what, s)
		return ""
	}
	if what == "ABSPATH" || s == "/" {
		return s
	}
	return clean
}
