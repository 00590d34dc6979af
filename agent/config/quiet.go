package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hours are quiet hours, written as "22:00-06:00" or "fri,sat 22:00-06:00": from the first minute up to, not
// including, the second, on the days named, or on all. Where they run past midnight the day is the one they begin on.
type Hours struct {
	Days     []time.Weekday // empty: every day
	From, To int            // minutes since midnight as the clock shows them; To is up to 24:00
}

// UnmarshalText reads hours as they are written in a file.
func (h *Hours) UnmarshalText(text []byte) error {
	bad := fmt.Errorf("%s are no quiet hours: write them as \"22:00-06:00\" or \"mon-fri 09:00-17:00\"", quoted(string(text)))
	words := strings.Fields(string(text))
	var v Hours
	if len(words) == 2 {
		days, ok := readDays(words[0])
		if !ok {
			return bad
		}
		v.Days, words = days, words[1:]
	}
	if len(words) != 1 {
		return bad
	}
	from, to, _ := strings.Cut(words[0], "-")
	var okFrom, okTo bool
	v.From, okFrom = readMinute(from)
	v.To, okTo = readMinute(to)
	if !okFrom || !okTo || v.From == 24*60 {
		return bad
	}
	if v.From == v.To {
		return fmt.Errorf("%s are no hours at all: a whole day is \"00:00-24:00\"", quoted(string(text)))
	}
	*h = v
	return nil
}

// MarshalText writes the hours as they are read.
func (h Hours) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

func (h Hours) String() string {
	var days []string
	for _, d := range h.Days {
		days = append(days, dayName(d))
	}
	text := fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60)
	if len(days) > 0 {
		text = strings.Join(days, ",") + " " + text
	}
	return text
}

func dayName(d time.Weekday) string { return strings.ToLower(d.String()[:3]) }

// readDays reads "fri,sat" or "mon-fri"; a span may go over the week's end.
func readDays(text string) (days []time.Weekday, ok bool) {
	for _, part := range strings.Split(text, ",") {
		first, last, span := strings.Cut(part, "-")
		from, ok := readDay(first)
		if !ok {
			return nil, false
		}
		to := from
		if span {
			if to, ok = readDay(last); !ok {
				return nil, false
			}
		}
		for d := from; ; d = (d + 1) % 7 {
			if !slices.Contains(days, d) {
				days = append(days, d)
			}
			if d == to {
				break
			}
		}
	}
	return days, true
}

func readDay(text string) (time.Weekday, bool) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(text, dayName(d)) || strings.EqualFold(text, d.String()) {
			return d, true
		}
	}
	return 0, false
}

// readMinute reads "22:00"; 24:00 is the end of a day.
func readMinute(text string) (int, bool) {
	hour, minute, _ := strings.Cut(text, ":")
	h, err := strconv.ParseUint(hour, 10, 8)
	m, merr := strconv.ParseUint(minute, 10, 8)
	if err != nil || merr != nil || len(hour) > 2 || len(minute) != 2 || h > 24 || m > 59 || h == 24 && m != 0 {
		return 0, false
	}
	return int(h)*60 + int(m), true
}

// Quiet reports whether now, by the clock of its own location, lies in the quiet hours, in which wpmend changes nothing
// by itself. It goes by what the clock on the wall shows: an hour that the change to summer time leaves out is never
// quiet, and one that comes twice is quiet twice.
func (c Config) Quiet(now time.Time) bool {
	minute, today := now.Hour()*60+now.Minute(), now.Weekday()
	yesterday := (today + 6) % 7
	return slices.ContainsFunc(c.QuietHours, func(h Hours) bool {
		on := func(d time.Weekday) bool { return len(h.Days) == 0 || slices.Contains(h.Days, d) }
		if h.From < h.To {
			return on(today) && h.From <= minute && minute < h.To
		}
		return on(today) && minute >= h.From || on(yesterday) && minute < h.To
	})
}
