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

// Mask says what one request to a shadow does without.
type Mask struct {
	Components []Component
	// Fallback is an installed theme to show instead of a masked one that has no
	// parent to fall back to. With none, the prepend renders a page of its own
	// around WordPress's content.
	Fallback string
	// ObjectCache lets the persistent object cache in: the question is about it.
	ObjectCache bool
}

// EncodeMask is [Mask.Encode] of these components alone.
func EncodeMask(masked []Component) string { return Mask{Components: masked}.Encode() }

// Encode writes the mask as the parameter's value: one line of plain ASCII,
// the same for the same set. What filters cannot hide ([Filterable]) is left out.
func (m Mask) Encode() string {
	words := []string{}
	for _, c := range m.Components {
		if Filterable(c) {
			words = append(words, c.Kind+":"+percent(c.Name))
		}
	}
	if m.Fallback != "" {
		words = append(words, "fallback:"+percent(m.Fallback))
	}
	if m.ObjectCache {
		words = append(words, "allow:"+objectCache)
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
