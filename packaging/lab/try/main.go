// Command try shows wpmend at work for packaging/try: it brings a lab up, breaks
// one thing in it and runs the real wpmend on it, with every command shown as it
// can be typed.
//
// It knows the lab and wpmend's command line, nothing of what lies behind that.
// Its invariant: wpmend is confined to the lab's own site by its configuration,
// so that a try on a real host cannot touch a real site.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"wpmend/packaging/lab"
)

func main() { os.Exit(run()) }

func run() int {
	wpmend := flag.String("wpmend", "", "the wpmend `PROGRAM` to show")
	stay := flag.Bool("stay", false, "keep the site up at the end")
	flag.Parse()
	fault := lab.Segfault
	if flag.NArg() > 0 {
		fault = lab.Fault(flag.Arg(0))
	}
	if *wpmend == "" || flag.NArg() > 1 || !slices.Contains(lab.Faults(), fault) {
		fmt.Fprintf(os.Stderr, "usage: packaging/try [--stay] [FAULT]\nFAULT is one of %v\n", lab.Faults())
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := show(ctx, os.Stdout, *wpmend, fault, *stay)
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "interrupted; the lab is gone")
		return 130
	case errors.Is(err, errNotHealed):
		fmt.Fprintln(os.Stderr, "try:", err)
		return 4
	case err != nil:
		fmt.Fprintln(os.Stderr, "try:", err)
		return 1
	}
	return 0
}
