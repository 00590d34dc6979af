package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// troubles are what a visitor's request can end with that has passed when wpmend looks into it: each is an incident of
// its own, with a visit, a look at the URL twenty times over, and a record.
var troubles = []string{"502 157", "500 300", "503 197", "504 167", "200 0"}

// soak brings about so many incidents, one after another on each site, and measures before and after.
func (h *host) soak(r *row, pid, incidents int) error {
	before, most, kept, missed := *r, *r, 0, 0
	begun := time.Now()
	for round := 0; kept+missed < incidents; round++ {
		if round == len(troubles) {
			return fmt.Errorf("%d sites have only %d incidents in a quarter of an hour, give more -sites", h.sites, kept)
		}
		for i := range h.sites {
			if err := h.trouble(i, troubles[round]); err != nil {
				return err
			}
		}
		want := min(incidents-missed, kept+h.sites)
		for last, since := kept, time.Now(); kept < want; time.Sleep(time.Second) {
			files, err := filepath.Glob(base + "/state/history/*.json")
			if err != nil {
				return err
			}
			most.threads, most.rss = max(most.threads, status(pid, "Threads")), max(most.rss, status(pid, "VmRSS"))
			open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			if err != nil {
				return err
			}
			most.fds = max(most.fds, len(open))
			if kept = len(files); kept > last {
				last, since = kept, time.Now()
			}
			if time.Since(since) > 2*time.Minute {
				if kept < want*99/100 {
					return fmt.Errorf("no new incident for two minutes, after %d", kept)
				}
				missed += want - kept // on a busy machine a site fails for a moment, and what comes then belongs to that
				break
			}
		}
		fmt.Printf("%d incidents after %s: RSS %d kB, %d fds, %d threads\n", kept, time.Since(begun).Round(time.Second), status(pid, "VmRSS"), most.fds, status(pid, "Threads"))
	}
	took := time.Since(begun)
	time.Sleep(settle)
	if err := r.watch(pid, 2*time.Minute); err != nil { // idle files are closed after one, and a discovery follows
		return err
	}
	r.debug(base + "/wpmend.log")
	fmt.Printf("%d incidents in %s; before: RSS %d kB, %d fds, %d threads, %d goroutines; at most: RSS %d kB, %d fds, %d threads; after: RSS %d kB, %d fds, %d threads, %d goroutines\n",
		kept, took.Round(time.Second), before.rss, before.fds, before.threads, before.goroutines, most.rss, most.fds, most.threads, r.rss, r.fds, r.threads, r.goroutines)
	return nil
}

// trouble is one line in a site's access log.
func (h *host) trouble(i int, ending string) error {
	f, err := os.OpenFile(home(i)+"/logs/access.log", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "192.0.2.1 - - [%s] \"GET /hello/ HTTP/1.1\" %s \"-\" \"-\"\n", time.Now().Format("02/Jan/2006:15:04:05 -0700"), ending)
	return err
}
