// Command search measures how a faulty plugin is found: by wpmend and by the ways
// people use today, on the same lab, one after the other, while visitors come.
//
// It knows the lab, wpmend's command line and how people do it by hand. Its invariant:
// every way starts from the same site, broken in the same way, with PHP-FPM freshly
// started and warm, and nothing outside of the lab is touched.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// settings are what a benchmark measures.
type settings struct {
	sizes     []int
	faults    []string
	terminate []time.Duration
	ways      []string
	times     int
	rate      int
	limit     time.Duration
	wpmend    string
	update    bool
	json      bool
}

func parse(args []string, stderr io.Writer) (settings, error) {
	flags := flag.NewFlagSet("search", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var s settings
	sizes := flags.String("n", "30", "`PLUGINS` of the site, several with commas")
	faults := flags.String("fault", strings.Join(faultNames, ","), "`FAULTS` to measure, with commas")
	terminate := flags.String("terminate", "5s", "request_terminate_timeout of the pool, several `DURATIONS` with commas; only hang is measured with more than the first")
	ways := flags.String("way", "", "`WAYS` to measure, with commas; all of them without it")
	flags.IntVar(&s.times, "times", 1, "`HOW OFTEN` each is measured, in turn")
	flags.IntVar(&s.rate, "rate", 10, "visitors a second; 0: nobody comes")
	flags.DurationVar(&s.limit, "limit", 180*time.Second, "`TIME` after which a way is given up")
	flags.StringVar(&s.wpmend, "wpmend", "", "the wpmend `PROGRAM`; without it, it is built from this module")
	flags.BoolVar(&s.update, "update", false, "the plugins at fault have changed just now, as by an update; without it all files are equally old and their dates tell nothing")
	flags.BoolVar(&s.json, "json", false, "print one JSON object instead of the table")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	for _, text := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 3 || n > 200 {
			return s, fmt.Errorf("-n %s: a number of plugins from 3 to 200 is wanted", text)
		}
		s.sizes = append(s.sizes, n)
	}
	for _, text := range strings.Split(*terminate, ",") {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second || d != d.Truncate(time.Second) {
			return s, fmt.Errorf("-terminate %s: whole seconds are wanted, as 5s", text)
		}
		s.terminate = append(s.terminate, d)
	}
	var err error
	if s.faults, err = choose("-fault", *faults, faultNames); err != nil {
		return s, err
	}
	if s.ways, err = choose("-way", *ways, wayNames()); err != nil {
		return s, err
	}
	if flags.NArg() > 0 || s.times < 1 || s.rate < 0 || s.rate > 100 || s.limit < time.Second {
		return s, errors.New("-times must be 1 at least, -rate from 0 to 100, -limit 1s or more; there are no further arguments")
	}
	return s, nil
}

// choose reads a list of known names; none means all.
func choose(name, text string, known []string) ([]string, error) {
	if text == "" {
		return known, nil
	}
	names := strings.Split(text, ",")
	for _, n := range names {
		if !slices.Contains(known, n) {
			return nil, fmt.Errorf("%s %s: there are %s", name, n, strings.Join(known, ", "))
		}
	}
	return names, nil
}

func run(args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "search:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rows, err := measure(ctx, s, stderr)
	if s.json {
		err = errors.Join(err, json.NewEncoder(stdout).Encode(map[string]any{"rows": rows}))
	} else {
		printTable(stdout, rows)
	}
	if err != nil {
		fmt.Fprintln(stderr, "search:", err)
		return 1
	}
	return 0
}

// measure goes through all that is asked for; each row is told on stderr as it comes.
func measure(ctx context.Context, s settings, stderr io.Writer) (rows []row, err error) {
	rows = []row{}
	if s.wpmend == "" {
		dir, err := os.MkdirTemp("/tmp", "wpmend-bench-")
		if err != nil {
			return rows, fmt.Errorf("cannot build wpmend: %w", err)
		}
		defer os.RemoveAll(dir)
		s.wpmend = filepath.Join(dir, "wpmend")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", s.wpmend, "wpmend/cmd/wpmend").CombinedOutput(); err != nil {
			return rows, fmt.Errorf("cannot build wpmend, run this from its module or give -wpmend: %w\n%s", err, out)
		}
	}
	for _, n := range s.sizes {
		for i, terminate := range s.terminate {
			faults := s.faults
			if i > 0 {
				faults = slices.DeleteFunc(slices.Clone(faults), func(f string) bool { return f != "hang" })
			}
			if len(faults) == 0 {
				continue
			}
			more, err := measureLab(ctx, s, n, terminate, faults, stderr)
			if rows = append(rows, more...); err != nil {
				return rows, err
			}
		}
	}
	return rows, nil
}

func measureLab(ctx context.Context, s settings, n int, terminate time.Duration, faults []string, stderr io.Writer) (rows []row, err error) {
	st, err := newStage(ctx, n, terminate, s.wpmend, s.update)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	for _, fault := range faults {
		for range s.times {
			for _, w := range ways {
				if !slices.Contains(s.ways, w.name) {
					continue
				}
				r, err := st.measure(ctx, w, fault, s.rate, s.limit)
				if err != nil {
					return rows, fmt.Errorf("%s, %d plugins, %s: %w", fault, n, w.name, err)
				}
				rows = append(rows, r)
				fmt.Fprintln(stderr, r)
			}
		}
	}
	return rows, nil
}
