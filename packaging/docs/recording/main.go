// Command recording draws what wpmend shows on a terminal, for packaging/docs/record: it
// runs the real program on a WordPress of the lab and turns what came, and when, into one
// SVG that needs nothing beside it.
//
// It knows the lab, a shell and wpmend's command line. Its invariant: every line in the
// picture was printed by a command that ran; only the lab's own folder is shortened, and
// long waits are.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	wpmend := flag.String("wpmend", "", "the wpmend `PROGRAM` to show")
	to := flag.String("to", "", "the `FILE` to write")
	flag.Parse()
	if *wpmend == "" || *to == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: packaging/docs/record")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	lines, err := record(ctx, *wpmend)
	if err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		return 1
	}
	if err := os.WriteFile(*to, draw(lines), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		return 1
	}
	fmt.Printf("%d lines in %s\n", len(lines), *to)
	return 0
}
