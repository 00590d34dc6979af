package gateway

import (
	"strings"
	"testing"
	"time"
)

// FuzzStamps: reading a time by hand and by package time is the same for the logs' ways to write one. Package time
// forgives the case of a name and knows no upper end of a zone; the servers write neither.
func FuzzStamps(f *testing.F) {
	for _, s := range []string{"2026/11/22 20:59:13", "2026/02/29 00:00:00", "1969/12/31 23:59:59", "Sun Nov 22 21:10:44.496355 2026", "Sun Nov 22 21:10:44 2026",
		"Xun Nov 22 21:10:44 2026", "22/Nov/2026:20:59:13 +0100", "31/Apr/2026:20:59:13 -0930", "22/Nov/2026:20:59:13 00000"} {
		f.Add(s)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		compare := func(what string, got time.Time, ok bool, want time.Time, err error) {
			t.Helper()
			wanted := err == nil && want.Year() >= 1970
			if ok && (!wanted || !got.Equal(want)) {
				t.Errorf("%s %q: %s, want %s (%v)", what, s, got, want, err)
			}
			if !ok && wanted && want.Format(layoutOf[what]) == s {
				t.Errorf("%s %q is not read", what, s)
			}
		}
		if strings.ContainsRune(s, ',') {
			return // package time takes it for the point of a fraction
		}
		got, ok := parseStamp(s, berlin)
		want, err := time.ParseInLocation(stampLayout, s, berlin)
		compare("nginx", got, ok, want, err)
		got, ok = parseApacheStamp(s, berlin)
		want, err = time.ParseInLocation(layoutOf["apache"], s, berlin)
		compare("apache", got, ok, want, err)
		got, ok = parseAccessStamp(s)
		want, err = time.Parse(layoutOf["access"], s)
		compare("access", got, ok, want, err)
	})
}

var layoutOf = map[string]string{"nginx": stampLayout, "apache": "Mon Jan 02 15:04:05 2006", "access": accessLayout}
