package gateway

import (
	"strings"
	"time"
)

// The logs' times are read by hand: time.Parse costs as much as all the rest of a record.

// parseStamp reads nginx' "2026/11/22 20:59:13".
func parseStamp(s string, loc *time.Location) (time.Time, bool) {
	if len(s) != len(stampLayout) || !shaped(s, "0000/00/00 00:00:00") {
		return time.Time{}, false
	}
	return moment(number(s[:4]), number(s[5:7]), number(s[8:10]), s[11:], 0, loc)
}

// parseApacheStamp reads "Sun Nov 22 21:10:44.496355 2026" (ap_recent_ctime_ex), with or without the fraction.
func parseApacheStamp(s string, loc *time.Location) (time.Time, bool) {
	const clock = "Aaa Aaa 00 00:00:00"
	if len(s) < len(clock)+len(" 2026") || !shaped(s[:len(clock)], clock) {
		return time.Time{}, false
	}
	rest, nanoseconds := s[len(clock):], 0
	if len(rest) > 1 && rest[0] == '.' && '0' <= rest[1] && rest[1] <= '9' {
		unit := int(time.Second)
		for rest = rest[1:]; rest != "" && '0' <= rest[0] && rest[0] <= '9' && unit > 1; rest = rest[1:] {
			unit /= 10
			nanoseconds += unit * int(rest[0]-'0')
		}
	}
	if len(rest) != len(" 2026") || !shaped(rest, " 0000") || threes("SunMonTueWedThuFriSat", s[:3]) == 0 {
		return time.Time{}, false
	}
	return moment(number(rest[1:]), monthOf(s[4:7]), number(s[8:10]), s[11:19], nanoseconds, loc)
}

// accessLayout is strftime's %d/%b/%Y:%H:%M:%S %z (ngx_time_update; Apache's %t).
const accessLayout = "02/Jan/2006:15:04:05 -0700"

// parseAccessStamp reads "22/Nov/2026:20:59:13 +0100".
func parseAccessStamp(s string) (time.Time, bool) {
	const layout = "00/Aaa/0000:00:00:00 "
	if len(s) != len(layout)+len("+0000") || !shaped(s[:len(layout)], layout) || !shaped(s[len(layout)+1:], "0000") {
		return time.Time{}, false
	}
	t, ok := moment(number(s[7:11]), monthOf(s[3:6]), number(s[:2]), s[12:20], 0, time.UTC)
	hours, minutes := number(s[22:24]), number(s[24:26])
	if !ok || hours > 24 || minutes > 59 {
		return time.Time{}, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	switch s[21] {
	case '+':
		return t.Add(-offset), true
	case '-':
		return t.Add(offset), true
	}
	return time.Time{}, false
}

// moment is a time that exists, since the beginning of all clocks of Unix. clock is "20:59:13".
func moment(year, month, day int, clock string, nanoseconds int, loc *time.Location) (time.Time, bool) {
	hour, minute, second := number(clock[:2]), number(clock[3:5]), number(clock[6:8])
	if year < 1970 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	if day > 28 && time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Day() != day {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanoseconds, loc), true
}

// shaped compares s with a shape of the same length: 0 is a digit, A and a are letters, all else itself.
func shaped(s, shape string) bool {
	for i := range len(shape) {
		c := s[i]
		switch shape[i] {
		case '0':
			if c < '0' || c > '9' {
				return false
			}
		case 'A', 'a':
			if c|0x20 < 'a' || c|0x20 > 'z' {
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

// number reads digits that shaped has seen.
func number(digits string) (n int) {
	for i := range len(digits) {
		n = 10*n + int(digits[i]-'0')
	}
	return n
}

func monthOf(name string) int { return threes("JanFebMarAprMayJunJulAugSepOctNovDec", name) }

// threes is the place, from 1, of a word of three letters in a row of such; 0 if it is not there.
func threes(row, word string) int {
	i := strings.Index(row, word)
	if i < 0 || i%3 != 0 {
		return 0
	}
	return i/3 + 1
}
