package errlog

import (
	"strings"
	"time"
)

// stampLayout is how PHP and FPM write a time: "[22-Nov-2026 20:59:13".
const stampLayout = "02-Jan-2006 15:04:05"

// isStamp reports whether b begins like "[22-Nov-2026 20:59:13". It is called for every line, so it allocates nothing.
func isStamp(b []byte) bool {
	const shape = "[00-Aaa-0000 00:00:00"
	if len(b) < len(shape) {
		return false
	}
	for i := range len(shape) {
		switch c := b[i]; shape[i] {
		case '0':
			if c < '0' || c > '9' {
				return false
			}
		case 'A':
			if c < 'A' || c > 'Z' {
				return false
			}
		case 'a':
			if c < 'a' || c > 'z' {
				return false
			}
		default:
			if c != shape[i] {
				return false
			}
		}
	}
	return true
}

// cutStamp takes "[TIME REST] " off the front of s; rest is the zone in PHP's log, microseconds with their dot in a
// debug log of FPM, empty elsewhere.
func cutStamp(s string) (clock, rest, after string, ok bool) {
	const clockEnd = 1 + len(stampLayout)
	// Zone names have up to some 30 characters; farther away a bracket belongs to something else.
	if len(s) < clockEnd || !isStamp([]byte(s[:clockEnd])) {
		return "", "", "", false
	}
	window := s[clockEnd:min(len(s), clockEnd+64)]
	end := strings.IndexByte(window, ']')
	if end < 0 {
		return "", "", "", false
	}
	after = strings.TrimPrefix(s[clockEnd+end+1:], " ")
	return s[1:clockEnd], strings.TrimPrefix(window[:end], " "), after, true
}

// localStamp reads a stamp written without a zone, in the zone of the server that wrote it; nil is the host's own.
func localStamp(clock string, loc *time.Location) time.Time {
	if loc == nil {
		loc = time.Local
	}
	t, err := time.ParseInLocation(stampLayout, clock, loc)
	if err != nil {
		return time.Time{}
	}
	return t
}

// zones remembers the zones of one scan, since each look-up reads a file.
type zones map[string]*time.Location

// maxZones bounds what a forged log can make us remember.
const maxZones = 32

// stamp reads a time in a zone as PHP names it: "UTC", "Europe/Berlin", "+02:00". An unknown zone gives the zero
// time rather than a guess.
func (z zones) stamp(clock, zone string) time.Time {
	loc, ok := z[zone]
	if !ok {
		loc = lookupZone(zone)
		if len(z) < maxZones {
			z[zone] = loc
		}
	}
	if loc == nil {
		return time.Time{}
	}
	return localStamp(clock, loc)
}

func lookupZone(zone string) *time.Location {
	if zone == "" || zone == "Local" {
		return nil
	}
	for _, layout := range []string{"-07:00", "-0700"} {
		if t, err := time.Parse(layout, zone); err == nil {
			_, offset := t.Zone()
			return time.FixedZone(zone, offset)
		}
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil
	}
	return loc
}
