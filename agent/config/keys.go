package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// key is one setting: how its value is read from TOML and where it lies in a Config.
type key struct {
	name    string // with its table
	perSite bool   // whether a section may set it for some sites only
	read    func(v any) (any, error)
	set     func(*Config, any)
	get     func(Config) any
}

func newKey[T any](name string, field func(*Config) *T, read func(v any) (T, error)) key {
	return key{
		name: name,
		read: func(v any) (any, error) { return read(v) },
		set:  func(c *Config, v any) { *field(c) = v.(T) },
		get:  func(c Config) any { return *field(&c) },
	}
}

// ofSites marks the keys that a section may set.
func ofSites(keys ...key) []key {
	for i := range keys {
		keys[i].perSite = true
	}
	return keys
}

// keys are all settings but the sections and [[fpm]], in the order in which they are shown.
func keys() []key {
	const day = 24 * time.Hour
	all := []key{newKey("only", func(c *Config) *[]string { return &c.Only }, texts(absolute))}
	all = append(all, ofSites(
		newKey("mode", func(c *Config) *Mode { return &c.Mode }, word(Heal, Suggest, Observe)),
		newKey("protected", func(c *Config) *[]string { return &c.Protected }, texts(protectable)),
		newKey("quiet", func(c *Config) *[]Hours { return &c.QuietHours }, hours),
	)...)
	all = append(all,
		newKey("watch.every", func(c *Config) *Duration { return &c.Watch.Every }, duration(time.Second, day)),
		newKey("watch.rate", func(c *Config) *int { return &c.Watch.Rate }, number(1, 1000)),
		newKey("watch.discover", func(c *Config) *Duration { return &c.Watch.Discover }, duration(time.Second, day)),
		newKey("watch.incidents", func(c *Config) *int { return &c.Watch.Incidents }, number(1, 64)),
	)
	all = append(all, ofSites(
		newKey("probe.timeout", func(c *Config) *Duration { return &c.Probe.Timeout }, duration(time.Second, 10*time.Minute)),
		newKey("probe.body", func(c *Config) *int { return &c.Probe.Body }, number(64<<10, 64<<20)),
		newKey("probe.verify", func(c *Config) *int { return &c.Probe.Verify }, number(1, 100)),
		newKey("search.outgoing", func(c *Config) *Outgoing { return &c.Search.Outgoing }, word(AllowOutgoing, HoldOutgoing)),
		newKey("search.fix", func(c *Config) *Fix { return &c.Search.Fix }, word(RenameFix, DeactivateFix)),
		newKey("budget.site", func(c *Config) *int { return &c.Budget.Site }, number(0, 1000)),
		newKey("budget.flaps", func(c *Config) *int { return &c.Budget.Flaps }, number(0, 1000)),
	)...)
	all = append(all,
		newKey("budget.pool", func(c *Config) *int { return &c.Budget.Pool }, number(0, 10_000)),
		newKey("budget.host", func(c *Config) *int { return &c.Budget.Host }, number(0, 10_000)),
		newKey("budget.master", func(c *Config) *int { return &c.Budget.Master }, number(0, 1000)),
		newKey("budget.requests", func(c *Config) *int { return &c.Budget.Requests }, number(0, 10_000)),
		newKey("budget.patience", func(c *Config) *Duration { return &c.Budget.Patience }, duration(0, time.Minute)),
		newKey("gateway.tune", func(c *Config) *bool { return &c.Gateway.Tune }, truth),
	)
	all = append(all, ofSites(
		newKey("limits.max_execution_time", func(c *Config) *Duration { return &c.Limits.MaxExecutionTime }, duration(time.Second, day)),
		newKey("limits.max_input_time", func(c *Config) *Duration { return &c.Limits.MaxInputTime }, duration(time.Second, day)),
		newKey("limits.request_terminate_timeout", func(c *Config) *Duration { return &c.Limits.RequestTerminateTimeout }, duration(time.Second, day)),
		newKey("limits.memory_limit", func(c *Config) *Size { return &c.Limits.MemoryLimit }, size),
		newKey("limits.upload_size", func(c *Config) *Size { return &c.Limits.UploadSize }, size),
		newKey("limits.max_children", func(c *Config) *int { return &c.Limits.MaxChildren }, number(1, 100_000)),
		newKey("limits.term", func(c *Config) *Duration { return &c.Limits.Term }, duration(time.Minute, 365*day)),
	)...)
	all = append(all,
		newKey("edge.ask", func(c *Config) *bool { return &c.Edge.Ask }, truth),
		newKey("edge.resolver", func(c *Config) *string { return &c.Edge.Resolver }, resolver),
	)
	return append(all, apiKeys()...)
}

// elementError is a fault in one element of a list.
type elementError struct {
	index int
	err   error
}

func (e *elementError) Error() string { return e.err.Error() }

// mismatch says that a value is of the wrong type.
func mismatch(wants string, v any) error {
	is := "a date"
	switch v := v.(type) {
	case string:
		is = "the text " + quoted(v)
	case int64, float64:
		is = fmt.Sprintf("the number %v", v)
	case bool:
		is = fmt.Sprint(v)
	case []any, []map[string]any:
		is = "a list"
	case map[string]any:
		is = "a table"
	}
	return fmt.Errorf("wants %s, not %s", wants, is)
}

// quoted is a value for a message, cut where it is long.
func quoted(text string) string {
	const most = 80
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

func truth(v any) (bool, error) {
	if b, ok := v.(bool); ok {
		return b, nil
	}
	return false, mismatch("true or false", v)
}

func text(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	return "", mismatch("a text in quotes", v)
}

func number(low, high int) func(any) (int, error) {
	return func(v any) (int, error) {
		n, ok := v.(int64)
		if !ok {
			return 0, mismatch("a whole number", v)
		}
		if n < int64(low) || n > int64(high) {
			return 0, fmt.Errorf("%d is not between %d and %d", n, low, high)
		}
		return int(n), nil
	}
}

func duration(low, high time.Duration) func(any) (Duration, error) {
	return func(v any) (d Duration, err error) {
		s, ok := v.(string)
		if !ok {
			return 0, mismatch("a duration such as \"10s\" or \"5m\"", v)
		}
		if err := d.UnmarshalText([]byte(s)); err != nil {
			return 0, err
		}
		if time.Duration(d) < low || time.Duration(d) > high {
			return 0, fmt.Errorf("%s is not between %s and %s", d, Duration(low), Duration(high))
		}
		return d, nil
	}
}

func size(v any) (n Size, err error) {
	s, ok := v.(string)
	if !ok {
		return 0, mismatch("a size such as \"512M\"", v)
	}
	if err := n.UnmarshalText([]byte(s)); err != nil {
		return 0, fmt.Errorf("%s is not a size such as \"512M\"", quoted(s))
	}
	if n < 1<<20 || n > 1<<40 {
		return 0, fmt.Errorf("%s is not between 1M and 1024G", quoted(s))
	}
	return n, nil
}

// word takes one of a few words.
func word[T ~string](words ...T) func(any) (T, error) {
	return func(v any) (T, error) {
		s, err := text(v)
		if err != nil {
			return "", err
		}
		var others []string
		for _, w := range words {
			if string(w) == s {
				return w, nil
			}
			others = append(others, fmt.Sprintf("%q", string(w)))
		}
		return "", fmt.Errorf("%s is neither %s", quoted(s), strings.Join(others, " nor "))
	}
}

// elements takes a list.
func elements[T any](wants string, read func(any) (T, error)) func(any) ([]T, error) {
	return func(v any) ([]T, error) {
		list, ok := v.([]any)
		if !ok {
			return nil, mismatch(wants, v)
		}
		all := []T{}
		for i, e := range list {
			t, err := read(e)
			if err != nil {
				return nil, &elementError{i, err}
			}
			all = append(all, t)
		}
		return all, nil
	}
}

func texts(valid func(string) error) func(any) ([]string, error) {
	return elements("a list of texts in brackets and quotes", func(v any) (string, error) {
		s, err := text(v)
		if err == nil {
			err = valid(s)
		}
		return s, err
	})
}

func hours(v any) ([]Hours, error) {
	return elements("a list such as [\"22:00-06:00\"]", func(v any) (h Hours, err error) {
		s, err := text(v)
		if err == nil {
			err = h.UnmarshalText([]byte(s))
		}
		return h, err
	})(v)
}

func absolute(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("%s must be an absolute folder", quoted(dir))
	}
	return nil
}
