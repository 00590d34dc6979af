package wp

import (
	"fmt"
	"slices"
	"strings"
)

// MaskParam is the FastCGI parameter that tells the prepend what to hide.
const MaskParam = "WPMEND_MASK"

// objectCache is the drop-in that a shadow hides unless it is let in: a
// persistent cache would carry what a masked site computes to the live one.
const objectCache = "object-cache.php"

// Mask says what one request to a shadow does without, and as whom it comes.
type Mask struct {
	Components []Component
	// Fallback is an installed theme, no child of another, to show instead of a
	// masked one that has no parent to fall back to. With none, the prepend renders a page of its own
	// around WordPress's content.
	Fallback string
	// ObjectCache lets the persistent object cache in: the question is about it.
	ObjectCache bool
	// AsUser is the login of the user that the request is authenticated as,
	// without a password and with nothing stored. Without such a user the answer
	// is [Mask.NoSuchUser]'s.
	AsUser string
	// HoldHTTP lets the site's own requests to other hosts fail at once, as far
	// as they go through WordPress' HTTP API.
	HoldHTTP bool
	// Inspect asks for what WordPress knows of itself instead of the page, before
	// any plugin, must-use plugin or theme loads: see [Mask.Inspection].
	Inspect bool
	// Forget names options to be dropped from the persistent object cache instead
	// of the page, each with what WordPress keeps of it elsewhere: see
	// [Mask.Forgotten]. "blog-2:x" is blog 2's, "network:x" the network's.
	Forget []string
	// Nonce marks what the prepend itself answers, so that nothing else, such as
	// an older answer that the site has cached, is taken for it. It is random
	// ([crypto/rand.Text]); letters and digits only.
	Nonce string
}

// EncodeMask is [Mask.Encode] of these components alone.
func EncodeMask(masked []Component) string { return Mask{Components: masked}.Encode() }

// Encode writes the mask as the parameter's value: one line of plain ASCII,
// the same for the same set. What filters cannot hide ([Filterable]) is left out.
func (m Mask) Encode() string {
	words := []string{}
	add := func(key, value string) {
		if value != "" {
			words = append(words, key+":"+percent(value))
		}
	}
	for _, c := range m.Components {
		if Filterable(c) {
			add(c.Kind, c.Name)
		}
	}
	for _, name := range m.Forget {
		add("forget", name)
	}
	add("fallback", m.Fallback)
	add("as-user", m.AsUser)
	add("nonce", m.Nonce)
	if m.ObjectCache {
		add("allow", objectCache)
	}
	if m.HoldHTTP {
		add("hold", "http")
	}
	if m.Inspect {
		for _, name := range inspected {
			add("ask", name)
		}
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ",")
}

// Filterable says whether WordPress has a filter that hides the component.
// Must-use plugins and the other drop-ins are loaded unasked: only a file
// system can hide them.
func Filterable(c Component) bool {
	switch c.Kind {
	case KindPlugin, KindTheme, KindPrepend:
		return true
	case KindDropIn:
		return c.Name == objectCache || c.Name == "advanced-cache.php"
	}
	return false
}

// percent escapes all that rawurldecode of PHP gives back and that could end a
// word of the mask.
func percent(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
