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
		return in.spinner(f)
	}
	start := time.Now()
	return func(p agent.Progress) {
		if p.Incident != nil {
			return // the steps say it
		}
		fmt.Fprintf(in.err, "wpmend: %5.1f s  %s\n", time.Since(start).Seconds(), printable(words(p)))
	}
}

// spinner rewrites one line of the terminal; clearing it makes room for the result.
func (in *invocation) spinner(f *os.File) func(agent.Progress) {
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(f), progressbar.OptionSpinnerType(14),
		progressbar.OptionSetElapsedTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false),
		progressbar.OptionThrottle(100*time.Millisecond))
	in.clear = bar.Clear
	return func(p agent.Progress) {
		if p.Incident != nil {
			return
		}
		width, _, err := term.GetSize(int(f.Fd()))
		if err != nil || width < 40 { // some terminals say 0
			width = 80
		}
		bar.Describe(cut(printable(words(p)), width-len("⠋  [999s] ")))
	}
}

// cut shortens a line so that it can be rewritten in place.
func cut(line string, width int) string {
	if runes := []rune(line); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return line
}

// words says what a step is.
func words(p agent.Progress) string {
	if p.Search == nil {
		return p.Site.Domain + ": " + p.Doing
	}
	return p.Site.Domain + ": " + p.Search.String()
}
