package config

import (
	"testing"
	"time"
	_ "time/tzdata"
)

func TestQuiet(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		hours string
		at    string // with the offset, so that an hour that comes twice is told apart
		want  bool
	}{
		{"22:00-06:00", "2026-11-23T21:59:59+01:00", false}, // a Monday
		{"22:00-06:00", "2026-11-23T22:00:00+01:00", true},
		{"22:00-06:00", "2026-11-24T00:00:00+01:00", true},
		{"22:00-06:00", "2026-11-24T05:59:59+01:00", true},
		{"22:00-06:00", "2026-11-24T06:00:00+01:00", false},
		{"00:00-24:00", "2026-11-24T00:00:00+01:00", true},
		{"00:00-24:00", "2026-11-24T23:59:59+01:00", true},
		{"20:00-24:00", "2026-11-25T00:00:00+01:00", false},
		{"fri 22:00-06:00", "2026-11-27T23:00:00+01:00", true},  // Friday
		{"fri 22:00-06:00", "2026-11-28T05:00:00+01:00", true},  // Saturday: began on Friday
		{"fri 22:00-06:00", "2026-11-28T22:30:00+01:00", false}, // Saturday evening
		{"fri 22:00-06:00", "2026-11-27T05:00:00+01:00", false}, // Friday morning: would have begun on Thursday
		{"mon-fri 09:00-17:00", "2026-11-23T12:00:00+01:00", true},
		{"mon-fri 09:00-17:00", "2026-11-28T12:00:00+01:00", false},
		{"sat-mon 09:00-17:00", "2026-11-23T12:00:00+01:00", true},
		{"Sat-Monday 09:00-17:00", "2026-11-24T12:00:00+01:00", false},
		// 2026-03-29: at 02:00 the clock goes to 03:00.
		{"02:15-02:45", "2026-03-29T01:59:59+01:00", false},
		{"02:15-02:45", "2026-03-29T03:00:00+02:00", false},
		{"22:00-02:30", "2026-03-29T01:59:59+01:00", true},
		{"22:00-02:30", "2026-03-29T03:00:00+02:00", false},
		{"22:00-03:30", "2026-03-29T03:00:00+02:00", true},
		// 2026-10-25: at 03:00 the clock goes back to 02:00.
		{"02:15-02:45", "2026-10-25T02:30:00+02:00", true},
		{"02:15-02:45", "2026-10-25T02:30:00+01:00", true},
		{"22:00-06:00", "2026-10-25T05:59:00+01:00", true},
		{"22:00-06:00", "2026-10-25T06:00:00+01:00", false},
	} {
		var h Hours
		if err := h.UnmarshalText([]byte(tc.hours)); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Config{QuietHours: []Hours{h}}).Quiet(at.In(berlin)); got != tc.want {
			t.Errorf("%s at %s: %v", tc.hours, tc.at, got)
		}
	}
	if (Config{}).Quiet(time.Now()) {
		t.Error("without quiet hours no hour is quiet")
	}
}

// A night of every length is quiet for as long as the clock shows it, whatever the clock does, minute by minute.
func TestQuietMinutes(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{QuietHours: []Hours{{From: 22 * 60, To: 6 * 60}}}
	for noon, want := range map[string]int{"2026-11-22": 480, "2026-03-28": 420, "2026-10-24": 540} {
		day, err := time.ParseInLocation(time.DateOnly, noon, berlin)
		if err != nil {
			t.Fatal(err)
		}
		quiet := 0
		for at := day.Add(12 * time.Hour); at.Before(day.Add(37 * time.Hour)); at = at.Add(time.Minute) {
			if c.Quiet(at) && at.After(day.Add(12*time.Hour)) {
				quiet++
			}
		}
		if quiet != want && quiet != want+1 {
			t.Errorf("the night after %s has %d quiet minutes, want %d", noon, quiet, want)
		}
	}
}

func TestHoursRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "22:00", "22:00-", "24:00-06:00", "22:60-06:00", "22:00-25:00", "22:00-24:01", "222:00-06:00", "22:0-06:00", "x 22:00-06:00", "mon- 22:00-06:00",
		"mon,,tue 22:00-06:00", "mon 22:00 - 06:00", "mon tue 22:00-06:00", "06:00-06:00", "-1:00-06:00", "+2:00-06:00"} {
		var h Hours
		if err := h.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %s", text, h)
		}
	}
}
