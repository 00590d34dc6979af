package lab

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Conflict gives plugins a fault that shows, at init and in the last one's code,
// while all of them are loaded.
func (l *Lab) Conflict(site int, f Fault, plugins ...string) error {
	_, body := f.body()
	if body == "" || len(plugins) < 2 {
		return fmt.Errorf("cannot make a conflict: %s of %d plugins: want a fault of plugins and two of them", f, len(plugins))
	}
	var all []string
	for _, p := range plugins {
		all = append(all, "function_exists( '"+identifier(p)+"_is_here' )")
	}
	for i, p := range plugins {
		code := "function NAME_is_here() {}\n"
		if i == len(plugins)-1 {
			code += atInit("conflict", "\tif ( ! ( "+strings.Join(all, " && ")+" ) ) {\n\t\treturn;\n\t}\n"+body)
		}
		if err := l.add(site, p, "", code); err != nil {
			return fmt.Errorf("cannot make a conflict: %w", err)
		}
	}
	return nil
}

// Depend makes plugins call the base's code as soon as all plugins are loaded:
// without the base they are fatal. With header they say so ("Requires Plugins").
func (l *Lab) Depend(site int, base string, header bool, dependants ...string) error {
	requires := ""
	if header {
		requires = "Requires Plugins: " + base
	}
	if err := l.add(site, base, "", "function NAME_api() {\n\treturn true;\n}\n"); err != nil {
		return fmt.Errorf("cannot make a base: %w", err)
	}
	call := identifier(base) + "_api"
	for _, p := range dependants {
		code := "function NAME_needs() {\n\t" + call + "();\n}\nadd_action( 'plugins_loaded', 'NAME_needs' );\n"
		if err := l.add(site, p, requires, code); err != nil {
			return fmt.Errorf("cannot make a dependant: %w", err)
		}
	}
	return nil
}

// add gives a plugin more code and a line in its header, until Mend.
func (l *Lab) add(site int, plugin, header, code string) error {
	noHeader := false
	change := func(before string) string {
		if header != "" {
			with := strings.Replace(before, "\n */", "\n * "+header+"\n */", 1)
			noHeader, before = with == before, with
		}
		return before + "\n" + strings.ReplaceAll(code, "NAME", identifier(plugin))
	}
	undo, err := l.edit(filepath.Join(l.sites[site].Content, "plugins", plugin), plugin+".php", change)
	if err != nil {
		return err
	}
	l.faults[site] = append(l.faults[site], undo)
	if noHeader {
		return errors.New(plugin + " has no header to add to")
	}
	return nil
}
