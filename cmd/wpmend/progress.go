package main

import (
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"wpmend/agent"
)

// progress shows a person who waits what is being done: one rewritten line on a
// terminal, a line a step elsewhere. Results go to stdout, this to stderr.
func (in *invocation) progress() func(agent.Progress) {
	if in.verbose {
		return nil // the log says the same
	}
	if f, ok := in.err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return spinner(f)
	}
	start := time.Now()
	return func(p agent.Progress) {
		fmt.Fprintf(in.err, "wpmend: %5.1f s  %s\n", time.Since(start).Seconds(), printable(words(p)))
	}
}

func spinner(f *os.File) func(agent.Progress) {
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(f), progressbar.OptionSpinnerType(14),
		progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false),
		progressbar.OptionThrottle(100*time.Millisecond))
	return func(p agent.Progress) { bar.Describe(printable(words(p))) }
}

// words says what a step is.
func words(p agent.Progress) string {
	if p.Event == nil {
		return p.Site + ": " + p.Doing
	}
	return p.Site + ": " + p.Event.String()
}
