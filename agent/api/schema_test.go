package api

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// written is the document as an outsider reads it.
type written struct {
	root  map[string]any
	paths map[string]any
}

func readDocument(t *testing.T, text []byte) *written {
	t.Helper()
	d := &written{}
	if err := json.Unmarshal(text, &d.root); err != nil {
		t.Fatal(err)
	}
	d.paths, _ = d.root["paths"].(map[string]any)
	if d.root["openapi"] != "3.1.0" || len(d.paths) == 0 {
		t.Fatalf("no OpenAPI 3.1 document: %.200s", text)
	}
	return d
}

// at follows references and goes down.
func (d *written) at(v any, way ...string) any {
	for {
		m, _ := v.(map[string]any)
		if ref, ok := m["$ref"].(string); ok {
			v = d.at(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			continue
		}
		if len(way) == 0 {
			return v
		}
		v, way = m[way[0]], way[1:]
	}
}

// answer says what is wrong with an answer to an operation.
func (d *written) answer(operation any, status int, contentType, body string) (faults []string) {
	response := d.at(operation, "responses", fmt.Sprint(status))
	if response == nil {
		return []string{fmt.Sprintf("the status %d is not described", status)}
	}
	media, _, _ := strings.Cut(contentType, ";")
	content, _ := d.at(response, "content").(map[string]any)
	if content == nil && body == "" {
		return nil
	}
	described, ok := content[media].(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("the type %q is not described for %d", media, status)}
	}
	if !strings.HasSuffix(media, "json") || strings.Contains(media, "openapi") {
		return nil
	}
	return d.json(described["schema"], body)
}

func (d *written) json(schema any, body string) (faults []string) {
	var v any
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return []string{"no JSON: " + err.Error()}
	}
	if !utf8.ValidString(body) {
		faults = append(faults, "no UTF-8")
	}
	d.check(schema, v, "", &faults)
	return faults
}

// check is what JSON Schema says of a value, as far as our document uses it. A field that
// is not described is a fault, though a client must bear it.
func (d *written) check(schema, v any, where string, faults *[]string) {
	s, _ := d.at(schema).(map[string]any)
	fault := func(format string, args ...any) {
		*faults = append(*faults, where+": "+fmt.Sprintf(format, args...))
	}
	if any, ok := s["anyOf"].([]any); ok {
		var least []string
		for i, one := range any {
			var f []string
			if d.check(one, v, where, &f); i == 0 || len(f) < len(least) {
				least = f
			}
		}
		*faults = append(*faults, least...)
		return
	}
	if !isOf(s["type"], v) {
		fault("%T is not of type %v", v, s["type"])
		return
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, v) {
		fault("%v is none of %v", v, enum)
	}
	switch v := v.(type) {
	case string:
		d.text(s, v, fault)
	case float64:
		if low, ok := s["minimum"].(float64); ok && v < low {
			fault("%v is less than %v", v, low)
		}
		if high, ok := s["maximum"].(float64); ok && v > high {
			fault("%v is more than %v", v, high)
		}
	case []any:
		for i, item := range v {
			d.check(s["items"], item, fmt.Sprintf("%s[%d]", where, i), faults)
		}
	case map[string]any:
		properties, _ := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				fault("%v is missing", name)
			}
		}
		for name, item := range v {
			switch more, _ := s["additionalProperties"].(map[string]any); {
			case properties[name] != nil:
				d.check(properties[name], item, where+"."+name, faults)
			case more != nil:
				d.check(more, item, where+"."+name, faults)
			default:
				fault("%s is not described", name)
			}
		}
	}
}

func (d *written) text(s map[string]any, v string, fault func(string, ...any)) {
	n := float64(utf8.RuneCountInString(v))
	if low, ok := s["minLength"].(float64); ok && n < low {
		fault("%q is shorter than %v", v, low)
	}
	if high, ok := s["maxLength"].(float64); ok && n > high {
		fault("%q is longer than %v", v, high)
	}
	if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
		fault("%q is not like %s", v, pattern)
	}
	if s["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			fault("%v", err)
		}
	}
}

func isOf(types, v any) bool {
	list, ok := types.([]any)
	if !ok {
		if types == nil {
			return true
		}
		list = []any{types}
	}
	return slices.ContainsFunc(list, func(t any) bool {
		switch v := v.(type) {
		case nil:
			return t == "null"
		case bool:
			return t == "boolean"
		case string:
			return t == "string"
		case float64:
			return t == "number" || t == "integer" && v == math.Trunc(v)
		case []any:
			return t == "array"
		}
		return t == "object"
	})
}
