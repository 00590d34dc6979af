package history

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// However often it is asked, and whatever ended meanwhile, a site's list is that part of the whole list which concerns
// the site.
func TestListOfASite(t *testing.T) {
	t.Parallel()
	s := open(t)
	var open []Incident
	wants := func() {
		t.Helper()
		all, err := s.List(Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 4 {
			for _, word := range []string{fmt.Sprintf("id-%d.example", n), fmt.Sprintf("%d.example", n), fmt.Sprintf("/srv/%d.example", n)} {
				var want, got []string
				for _, i := range all {
					if i.Concerns(word) {
						want = append(want, i.ID)
					}
				}
				list, err := s.List(Filter{Site: word, Since: time.Now().Add(-time.Hour)})
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range list {
					got = append(got, i.ID)
				}
				if strings.Join(got, " ") != strings.Join(want, " ") {
					t.Errorf("%s: %q, want %q", word, got, want)
				}
			}
		}
	}
	for n := range 3 {
		for range 3 {
			open = append(open, begin(t, s, fmt.Sprintf("%d.example", n)))
		}
		wants()
	}
	for n, i := range open {
		i.State = Transient
		if n%2 == 0 { // it turned out to be one of several sites
			i.Sites = []SiteRef{{ID: "id-3.example", Domain: "3.example", Root: "/srv/3.example"}}
		}
		if n%3 > 0 {
			if err := s.Close(i); err != nil {
				t.Fatal(err)
			}
		}
		wants()
	}
}

// Hundreds that write while the folder is locked wait without a thread each.
func TestWritersTakeNoThreads(t *testing.T) {
	t.Parallel()
	s := open(t)
	i := begin(t, s, "a.example")
	dir, err := os.Open(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	before := threads(t)
	var writers sync.WaitGroup
	for range 300 {
		writers.Go(func() {
			if err := s.Save(i); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // as long as they would take to get there
	if now := threads(t); now > before+60 {
		t.Errorf("%d threads, %d before", now, before)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	writers.Wait()
}

func threads(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}
