package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"wpmend/php/account"
)

// mostStrangers bounds how often a directory of users is asked in vain: each time takes a process.
const mostStrangers = 100

// Notes are what is valid and still looks like a mistake, on a host with these sites; with sites nil nobody knows
// which there are. A user or a site may be yet to come, so none of it is an error.
func (c Config) Notes(sites []Who) []string {
	notes := []string{}
	note := func(at Origin, format string, args ...any) {
		notes = append(notes, at.String()+": "+fmt.Sprintf(format, args...))
	}
	only := Origin{}
	for _, s := range c.applied {
		if s.key.name == "only" {
			only = s.at
		}
	}
	for _, dir := range c.Only {
		if !folder(dir) {
			note(only, "only: there is no folder %q", dir)
		}
	}
	for _, f := range c.FPM {
		if _, err := os.Stat(f.Config); err != nil {
			note(c.fpmAt, "fpm: there is no file %q", f.Config)
		}
	}
	strangers := 0
	for _, o := range c.Owners {
		if strangers < mostStrangers {
			switch known, err := userExists(o.User); {
			case err != nil:
				note(o.at, "whether the users of the host exist is not known: %v", err)
				strangers = mostStrangers
			case !known:
				note(o.at, "this host has no user %q", o.User)
				if strangers++; strangers == mostStrangers {
					note(o.at, "so many users were not found that the others are not looked for")
				}
			}
		}
		if len(o.set) == 0 {
			note(o.at, "nothing is set for the owner %q", o.User)
		}
	}
	known := map[string]bool{}
	for _, w := range sites {
		known[w.Root], known[w.ID] = true, true
		for _, name := range w.lower().Names {
			known[name] = true
		}
	}
	for _, s := range c.Sites {
		if sites != nil && !known[s.Match] {
			note(s.at, "this host has no site %q: `wpmend sites` lists them", s.Match)
		}
		if len(s.set) == 0 {
			note(s.at, "nothing is set for the site %q", s.Match)
		}
	}
	return notes
}

func folder(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode()&fs.ModeDir != 0
}

// userExists fails where nobody knows.
func userExists(name string) (bool, error) {
	_, err := account.Lookup(name)
	if err == nil {
		return true, nil
	}
	if _, no := strconv.ParseUint(name, 10, 32); no == nil && !errors.Is(err, account.ErrSlow) {
		_, err = account.LookupID(name)
	}
	if errors.Is(err, account.ErrSlow) {
		return false, account.ErrSlow
	}
	return err == nil, nil
}
