package config

import (
	"fmt"
	"strings"

	"wpmend/wp"
)

// Protects says by which entry of Protected a component must stay on. An entry is a component's id, in whose name each
// "*" stands for any text: "plugin:woocommerce", "plugin:woo*", "mu-plugin:*".
func (c Config) Protects(id string) (as string, protected bool) {
	for _, entry := range c.Protected {
		if matches(entry, id) {
			return entry, true
		}
	}
	return "", false
}

// matches reports whether text is what pattern says, in which "*" stands for any text.
func matches(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if !strings.HasPrefix(text, first) || !strings.HasSuffix(text[len(first):], last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return true
}

// protectable refuses what can mean no component.
func protectable(entry string) error {
	if _, _, err := wp.ParseID(strings.ReplaceAll(entry, "*", "x")); err != nil {
		return fmt.Errorf("%s is no component: write it as in `wpmend bisect`, such as \"plugin:woocommerce\" or \"plugin:woo*\"", quoted(entry))
	}
	return nil
}
