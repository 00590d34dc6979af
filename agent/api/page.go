package api

import (
	"encoding/base64"
	"strings"
)

// Paging is what lists are asked with.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many items there are in one answer."`
	Cursor string `query:"cursor" maxLength:"512" doc:"Where to go on: the \"next\" of the answer before. It means nothing by itself."`
}

// cursor hides where a list goes on; list is its name, so that no other takes it.
func cursor(list, after string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + "\x00" + after))
}

func (p Paging) after(list string) (after string, err error) {
	if p.Cursor == "" {
		return "", nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	name, after, ok := strings.Cut(string(text), "\x00")
	if err != nil || !ok || name != list || after == "" {
		return "", problem("usage", "the cursor is not one of this list", "leave it out to begin at the beginning")
	}
	return after, nil
}

// page cuts one page out of a list that is sorted by key, of what comes after the cursor.
// behind says whether an item's key lies behind another.
func pageOf[T any](p Paging, list string, items []T, key func(T) string, behind func(key, after string) bool) (page []T, next string, err error) {
	after, err := p.after(list)
	if err != nil {
		return nil, "", err
	}
	page = []T{}
	for _, item := range items {
		if after != "" && !behind(key(item), after) {
			continue
		}
		if len(page) == p.Limit {
			return page, cursor(list, key(page[len(page)-1])), nil
		}
		page = append(page, item)
	}
	return page, "", nil
}

func ascending(key, after string) bool  { return key > after }
func descending(key, after string) bool { return key < after }
