package evidence

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"wpmend/agent/diagnose"
)

// A flood from one client to one page, after a quiet quarter of an hour.
func TestTraffic(t *testing.T) {
	t.Parallel()
	var own strings.Builder
	for i := range 16 { // one a minute, from 15 min ago
		own.WriteString(accessLine(17*time.Minute-time.Duration(i)*time.Minute, "GET /quiet/", 200, 10))
	}
	for i := range 120 {
		status := 200
		if i%2 == 1 {
			status = 502
		}
		own.WriteString(accessLine(30*time.Second, fmt.Sprintf("GET /shop/?key=secret%d", i), status, 10))
	}
	own.WriteString(accessLine(time.Second, "GET /other/", 200, 10))
	shared := strings.ReplaceAll(accessLine(time.Second, "GET /bank/", 200, 10), "1.2.3.4 ", "bank.example 5.6.7.8 ")
	s := logged(t, own.String(), shared, "")
	v := traffic(s, now)
	want := diagnose.Visits{File: s.Vhosts[0].AccessLogs[0], From: now.Add(-recently), To: now, Requests: 121, Failed: 60, Rate: 121.0 / 60, Ordinary: v.Ordinary,
		Clients: []diagnose.Tally{{Name: "1.2.3.4", Count: 121}}, URLs: []diagnose.Tally{{Name: "/shop/", Count: 120}, {Name: "/other/", Count: 1}}}
	if diff := cmp.Diff(want, v); diff != "" || v.Ordinary < 0.9/60 || v.Ordinary > 1.1/60 {
		t.Errorf("%s\nordinarily %v", diff, v.Ordinary)
	}
	// A log that was begun just now says nothing of what is ordinary.
	s = logged(t, accessLine(time.Second, "GET /", 200, 10), "", "")
	if v := traffic(s, now); v.Requests != 1 || v.Ordinary != 0 {
		t.Errorf("%+v", v)
	}
	s.Vhosts[0].AccessLogs = []string{filepath.Join(t.TempDir(), "none")}
	if v := traffic(s, now); v.File != "" || v.Requests != 0 {
		t.Errorf("%+v", v)
	}
	long := map[string]int{}
	for i := range maxTallied + 10 {
		count(long, fmt.Sprint(i, strings.Repeat("ü", 200)))
	}
	if len(long) != maxTallied || len(most(long)) != tallies || len(most(long)[0].Name) > 210 {
		t.Errorf("%d names, %v", len(long), most(long))
	}
}
