package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one way, measured once.
type row struct {
	Plugins   int      `json:"plugins"`
	Fault     string   `json:"fault"`
	Terminate float64  `json:"terminate_seconds"`
	Way       string   `json:"way"`
	Does      string   `json:"does"`
	Seconds   float64  `json:"seconds"`
	Over      bool     `json:"over"` // given up when its time was up
	Skipped   string   `json:"skipped,omitempty"`
	Probes    int      `json:"probes"`
	Changes   int      `json:"live_changes"`
	Found     []string `json:"found"`
	Right     bool     `json:"right"` // accused are guilty ones and nobody else
	Healed    bool     `json:"healed"`
	Missing   int      `json:"missing"` // innocent plugins that the site lacks in the end
	Visitors  tally    `json:"visitors"`
	Finds     bool     `json:"only_finds"`
}

// limit is how long somebody who tries waits for a page: a bit longer than the pool
// lets it hang, and nginx waits 60 s.
func (s *stage) limit() time.Duration { return max(75*time.Second, s.terminate+10*time.Second) }

// measure breaks the site, lets one way have it while visitors come, and puts it back.
func (s *stage) measure(ctx context.Context, w way, fault string, rate int, limit time.Duration) (row, error) {
	r := row{Plugins: s.n, Fault: fault, Terminate: s.terminate.Seconds(), Way: w.name, Does: w.does, Finds: w.find, Found: []string{}}
	if err := s.reset(ctx); err != nil {
		return r, err
	}
	if err := s.spoil(fault); err != nil {
		return r, err
	}
	v := s.invite(ctx, fault, rate)
	time.Sleep(s.suffer)
	var d deeds
	bounded, cancel := context.WithTimeout(ctx, limit)
	start := time.Now()
	err := w.run(bounded, s, &d)
	r.Seconds = time.Since(start).Seconds()
	r.Over = bounded.Err() != nil
	cancel()
	r.Visitors = v.leave()
	switch {
	case ctx.Err() != nil:
		return r, ctx.Err()
	case errors.Is(err, errNotInstalled):
		r.Skipped = errNotInstalled.Error()
	case err != nil && !r.Over && !errors.Is(err, errLost):
		return r, err
	}
	r.Probes, r.Changes = d.probes, d.changes
	if d.found != nil && !r.Over {
		r.Found = d.found
	}
	r.Right = s.right(fault, r.Found)
	if !w.find && !r.Over && r.Skipped == "" {
		var missing []string
		r.Healed, missing = s.healed(ctx, fault)
		r.Missing = len(missing)
	}
	return r, nil
}

// right: every culprit and nobody else, or one of a conflict.
func (s *stage) right(fault string, found []string) bool {
	guilty := s.guilty(fault)
	if fault == "conflict" {
		return len(found) == 1 && slices.Contains(guilty, found[0])
	}
	return slices.Equal(slices.Sorted(slices.Values(found)), slices.Sorted(slices.Values(guilty)))
}

func (r row) time() string {
	switch {
	case r.Skipped != "":
		return r.Skipped
	case r.Over:
		return fmt.Sprintf("> %.0f s", r.Seconds)
	}
	return fmt.Sprintf("%.2f s", r.Seconds)
}

// end says in a word how it ended.
func (r row) end() string {
	switch {
	case r.Skipped != "":
		return "-"
	case r.Over:
		return "given up"
	case r.Finds && r.Right:
		return "found"
	case r.Finds:
		return "not found"
	case !r.Healed:
		return "no"
	case r.Missing > 0:
		return fmt.Sprintf("yes, but lacks %d", r.Missing)
	case !r.Right:
		return "yes, but blames " + strings.Join(r.Found, " ")
	}
	return "yes"
}

func (r row) cells() []string {
	return []string{fmt.Sprint(r.Plugins), r.Fault, fmt.Sprintf("%.0f s", r.Terminate), r.Does, r.time(),
		fmt.Sprint(r.Probes), fmt.Sprint(r.Changes), fmt.Sprint(r.Visitors.harmed()), fmt.Sprint(r.Visitors.Fault), fmt.Sprint(r.Visitors.All), r.end()}
}

// String is the row as it is told while the benchmark runs.
func (r row) String() string { return strings.Join(r.cells(), " | ") }

// printTable lines the rows up.
func printTable(out io.Writer, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "plugins\tfault\tends at\tway\ttime\tprobes\tlive changes\tvisitors harmed\tmet the fault\tof\thealed")
	last := ""
	for _, r := range rows {
		if group := fmt.Sprint(r.Plugins, r.Fault, r.Terminate); group != last && last != "" {
			fmt.Fprintln(w, strings.Repeat("\t", 10))
			last = group
		} else {
			last = group
		}
		fmt.Fprintln(w, strings.Join(r.cells(), "\t"))
	}
	if err := w.Flush(); err != nil {
		fmt.Fprintln(out, err)
	}
}
