package fpm

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Settings is what PHP says of its own configuration, before any pool's.
type Settings struct {
	Version string   // of PHP: "8.2.36"
	Files   []string // php.ini, then those of the scan folder, in the order in which they are read
	// Values are the settings in force, -d of the master included; what has no value is "".
	Values map[string]string
}

// Settings asks the master's binary, with the arguments and the environment that the master has (php-fpm -i). It takes
// about 40 ms.
func (m Master) Settings(ctx context.Context) (Settings, error) {
	out, err := run(ctx, m.Binary, cleanEnv(m.Env), append(extraArgs(m.Args), "-d", "opcache.enable=0", "-i")...)
	if err != nil {
		return Settings{}, fmt.Errorf("ask PHP for its settings: %w", err)
	}
	return parseSettings(out)
}

// parseSettings reads phpinfo() as text: "name => local value => master value".
func parseSettings(out string) (Settings, error) {
	s := Settings{Values: map[string]string{}}
	more := false // the list of scanned files goes on
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		name, value, ok := strings.Cut(line, " => ")
		if more {
			more = s.scanned(line)
			continue
		}
		if !ok {
			continue
		}
		switch name {
		case "PHP Version":
			s.Version = value
		case "Loaded Configuration File":
			if value != "(none)" {
				s.Files = append(s.Files, value)
			}
		case "Additional .ini files parsed":
			more = s.scanned(value)
		default:
			local, _, setting := strings.Cut(value, " => ")
			if _, again := s.Values[name]; again || !setting {
				continue
			}
			if local == "no value" {
				local = ""
			}
			s.Values[name] = local
		}
	}
	if s.Version == "" || len(s.Values) == 0 {
		return Settings{}, errors.New("ask PHP for its settings: what it answers is no phpinfo()")
	}
	return s, nil
}

// scanned takes one line of the list; true: there are more.
func (s *Settings) scanned(line string) bool {
	file, more := strings.CutSuffix(line, ",")
	if strings.HasPrefix(file, "/") {
		s.Files = append(s.Files, file)
	}
	return more
}
