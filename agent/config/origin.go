package config

import "fmt"

// Origin says where a value comes from. The zero Origin is the built-in configuration.
type Origin struct {
	File string
	Line int
	Flag string // of the command line
}

func (o Origin) String() string {
	switch {
	case o.Flag != "":
		return o.Flag
	case o.File != "":
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return "built-in"
}

// Key is one setting of a Config.
type Key struct {
	Name   string // with its table: "watch.every"
	Value  any
	Origin Origin
}

// Keys lists every setting but [[fpm]] and the sections, in a fixed order.
func (c Config) Keys() []Key {
	from := map[string]Origin{}
	for _, s := range c.applied {
		from[s.key.name] = s.at
	}
	var all []Key
	for _, k := range keys() {
		all = append(all, Key{k.name, k.get(c), from[k.name]})
	}
	return all
}

// Origins says of every value where it comes from, by its place in the configuration's JSON: "watch.every", "fpm",
// "sites[0].mode".
func (c Config) Origins() map[string]string {
	all := map[string]string{"fpm": c.fpmAt.String()}
	for _, k := range c.Keys() {
		all[k.Name] = k.Origin.String()
	}
	section := func(name, by string, at Origin, set []setting) {
		all[name+"."+by] = at.String()
		for _, s := range set {
			all[name+"."+s.key.name] = s.at.String()
		}
	}
	for i, o := range c.Owners {
		section(element("owners", i), "user", o.at, o.set)
	}
	for i, s := range c.Sites {
		section(element("sites", i), "match", s.at, s.set)
	}
	return all
}

// Confined is c with Only replaced by what a flag of the command line says.
func (c Config) Confined(flag string, dirs []string) Config {
	for _, k := range keys() {
		if k.name == "only" {
			c.apply([]setting{{k, dirs, Origin{Flag: flag}}})
		}
	}
	return c
}
