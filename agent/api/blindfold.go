package api

import (
	"path"
	"reflect"
	"strings"
	"time"

	"wpmend/agent"
	"wpmend/agent/site"
)

// leftOut stands in the place of a text that an owner must not see.
const leftOut = "(left out: it names a site of another owner)"

const (
	mostWord = 4096 // no path is longer
	mostName = 256  // no name is longer
)

// blindfold leaves out of texts and reports what names the sites of others: logs and pools
// are shared, and a report says what it found there. Who brings a name into such a text
// learns by it whether that site is on this host; the gateway tells that to everybody.
type blindfold struct {
	own     map[string]bool // words of the own sites
	foreign map[string]bool
	roots   []string        // of the own sites
	theirs  map[string]bool // roots of the others
	pools   map[string]bool // of the others
	refs    map[string]bool // ids of the own sites
}

func newBlindfold(own, all []site.Site) *blindfold {
	b := &blindfold{own: map[string]bool{}, foreign: map[string]bool{}, theirs: map[string]bool{}, pools: map[string]bool{}, refs: map[string]bool{}}
	for _, s := range own {
		b.refs[s.ID] = true
		b.roots = append(b.roots, s.Roots()...)
		for _, w := range words(s) {
			b.own[w] = true
		}
	}
	for _, s := range all {
		if b.refs[s.ID] {
			continue
		}
		for _, root := range s.Roots() {
			b.theirs[root] = true
		}
		b.pools[s.Pool.Name] = true
		for _, w := range words(s) {
			if !b.own[w] {
				b.foreign[w] = true
			}
		}
	}
	for _, s := range own {
		delete(b.pools, s.Pool.Name)
	}
	return b
}

// words are those by which a site can be told in a text, in lower case.
func words(s site.Site) []string {
	list := []string{s.ID, strings.ToLower(s.Domain)}
	if host, _, sub := strings.Cut(s.Domain, "/"); sub {
		list = append(list, strings.ToLower(host))
	}
	for _, v := range s.Vhosts {
		for _, n := range v.Names {
			list = append(list, strings.ToLower(strings.TrimPrefix(n, "*.")))
		}
	}
	// A number alone says nothing.
	if name := strings.ToLower(s.OwnerName()); strings.Trim(name, "0123456789") != "" {
		list = append(list, name)
	}
	return list
}

// text is t, or what stands for it.
func (b *blindfold) text(t string) string {
	if b == nil || !b.names(t) {
		return t
	}
	return leftOut
}

// names says whether a text names the site of another.
func (b *blindfold) names(text string) bool {
	before := ""
	for _, word := range strings.FieldsFunc(text, func(r rune) bool {
		return r < 128 && !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9') && !strings.ContainsRune("._/-", r)
	}) {
		if before == "pool" && b.pools[strings.TrimRight(word, "./-")] || b.word(word) {
			return true
		}
		before = word
	}
	return false
}

func (b *blindfold) word(word string) bool {
	if len(word) > mostWord {
		return true // who knows
	}
	if strings.HasPrefix(word, "/") {
		for _, root := range b.roots {
			if word == root || strings.HasPrefix(word, root+"/") {
				return false
			}
		}
		for p := path.Clean(word); p != "/" && p != "."; p = path.Dir(p) {
			if b.theirs[p] {
				return true
			}
		}
	}
	word = strings.ToLower(strings.Trim(word, ".-"))
	if b.own[strings.TrimRight(word, "/")] {
		return false
	}
	if b.foreign[strings.TrimRight(word, "/")] {
		return true
	}
	for part := range strings.SplitSeq(word, "/") {
		if part = strings.Trim(part, ".-"); b.begins(part) {
			return true
		}
		for part != "" && !b.own[part] {
			if b.foreign[part] {
				return true
			}
			_, part, _ = strings.Cut(part, ".")
		}
	}
	return false
}

// begins says whether a word begins with the name of another's site, as that of a log does
// (shop.example.com-error.log), or with a user's, as that of a database does (alice_wp).
func (b *blindfold) begins(word string) bool {
	word = strings.TrimPrefix(word, "www.")
	for i, r := range word[:min(len(word), mostName)] {
		if name := word[:i]; i > 0 && (r == '_' || strings.ContainsRune("-.", r) && strings.Contains(name, ".")) && b.foreign[name] {
			return true
		}
	}
	return false
}

// clean is a copy of a report without what names others, or v itself where all may be
// seen. References to their sites are left out of lists.
func clean[T any](b *blindfold, v T) T {
	if b == nil {
		return v
	}
	to := reflect.New(reflect.TypeFor[T]()).Elem()
	b.copy(to, reflect.ValueOf(&v).Elem())
	return to.Interface().(T)
}

func (b *blindfold) copy(to, from reflect.Value) {
	to.Set(from)
	switch from.Kind() {
	case reflect.String:
		to.SetString(b.text(from.String()))
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			b.copy(to.Elem(), from.Elem())
		}
	case reflect.Interface:
		if !from.IsNil() {
			value := reflect.New(from.Elem().Type()).Elem()
			b.copy(value, from.Elem())
			to.Set(value)
		}
	case reflect.Struct:
		if from.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		if ref, ok := from.Interface().(agent.SiteRef); ok {
			if !b.refs[ref.ID] {
				to.SetZero()
			}
			return
		}
		for i := range from.NumField() {
			if from.Type().Field(i).IsExported() {
				b.copy(to.Field(i), from.Field(i))
			}
		}
	case reflect.Slice:
		if from.IsNil() || from.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		list := reflect.MakeSlice(from.Type(), 0, from.Len())
		for i := range from.Len() {
			if ref, ok := from.Index(i).Interface().(agent.SiteRef); ok && !b.refs[ref.ID] {
				continue
			}
			item := reflect.New(from.Type().Elem()).Elem()
			b.copy(item, from.Index(i))
			list = reflect.Append(list, item)
		}
		to.Set(list)
	case reflect.Map:
		if from.IsNil() {
			return
		}
		m := reflect.MakeMap(from.Type())
		for _, k := range from.MapKeys() {
			item := reflect.New(from.Type().Elem()).Elem()
			b.copy(item, from.MapIndex(k))
			m.SetMapIndex(k, item)
		}
		to.Set(m)
	}
}
