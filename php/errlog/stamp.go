package errlog

import (
	"strings"
	"time"
)

// stampLayout is how PHP and FPM write a time: "[22-Nov-2026 20:59:13".
const stampLayout = "02-Jan-2006 15:04:05"

// clockEnd is where the time ends that isStamp has seen. Within zoneRoom bytes of it the bracket must close: names of
// zones have up to some 30 characters, and farther away a bracket belongs to something else.
const (
	clockEnd = 1 + len(stampLayout)
	zoneRoom = 64
)

// isStamp reports whether b begins like "[22-Nov-2026 20:59:13". It is called for every line, so it allocates nothing.
func isStamp[T string | []byte](b T) bool {
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
	if len(s) < clockEnd || !isStamp(s[:clockEnd]) {
		return "", "", "", false
	}
	window := s[clockEnd:min(len(s), clockEnd+zoneRoom)]
	end := strings.IndexByte(window, ']')
	if end < 0 {
		return "", "", "", false
	}
	after = strings.TrimPrefix(s[clockEnd+end+1:], " ")
	return s[1:clockEnd], strings.TrimPrefix(window[:end], " "), after, true
}

// localStamp reads a stamp written without a zone, in the zone of the server that wrote it; nil is the host's own. A
// day that does not exist gives the zero time.
func localStamp(clock string, loc *time.Location) time.Time {
	if loc == nil {
		loc = time.Local
	}
	month := strings.Index("JanFebMarAprMayJunJulAugSepOctNovDec", clock[3:6])
	day, year, hour, minute, second := atoi(clock[:2]), atoi(clock[7:11]), atoi(clock[12:14]), atoi(clock[15:17]), atoi(clock[18:20])
	if month < 0 || month%3 != 0 || day == 0 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}
	}
	m := time.Month(month/3 + 1)
	if day > 28 && time.Date(year, m, day, 0, 0, 0, 0, time.UTC).Month() != m {
		return time.Time{}
	}
	return time.Date(year, m, day, hour, minute, second, 0, loc)
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
