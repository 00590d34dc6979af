package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	slogjournal "github.com/systemd/slog-journal"
	"golang.org/x/term"
)

// serviceLog is where `run` logs to: journald with fields where it is its standard error
// (JOURNAL_STREAM, systemd.exec(5)), else text, or JSON on standard output with --json.
func (in *invocation) serviceLog() slog.Handler {
	level := slog.LevelInfo
	if in.verbose {
		level = slog.LevelDebug
	}
	o := &slog.HandlerOptions{Level: level}
	if in.json {
		return slog.NewJSONHandler(in.out, o)
	}
	if is, err := journal.StderrIsJournalStream(); err == nil && is {
		if h, err := slogjournal.NewHandler(&slogjournal.Options{Level: level, ReplaceAttr: asField}); err == nil {
			return &worded{Handler: h}
		}
	}
	return slog.NewTextHandler(in.err, o)
}

// asField names an attribute as a field of journald's: "site" is SITE, for `journalctl
// SITE=example.com`. None of ours is one of its own (systemd.journal-fields(7)); one
// that began with "_" would be dropped. Times and durations are as in the words.
func asField(_ []string, a slog.Attr) slog.Attr {
	a.Key = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, strings.TrimLeft(a.Key, "_0123456789"))
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindDuration:
		a.Value = slog.StringValue(v.Duration().String())
	case slog.KindTime:
		a.Value = slog.StringValue(v.Time().Format(time.RFC3339Nano))
	}
	return a
}

// worded repeats the attributes in the message, since journalctl shows nothing else.
type worded struct {
	slog.Handler
	said string
}

func (w *worded) WithAttrs(attrs []slog.Attr) slog.Handler {
	said := w.said
	for _, a := range attrs {
		said += inWords(a)
	}
	return &worded{w.Handler.WithAttrs(attrs), said}
}

func (w *worded) WithGroup(name string) slog.Handler {
	return &worded{w.Handler.WithGroup(name), w.said}
}

func (w *worded) Handle(ctx context.Context, r slog.Record) error {
	said := w.said
	r.Attrs(func(a slog.Attr) bool {
		said += inWords(a)
		return true
	})
	r.Message += said
	return w.Handler.Handle(ctx, r)
}

func inWords(a slog.Attr) string {
	value := fmt.Sprint(a.Value.Resolve().Any())
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == '"' || !strconv.IsPrint(r) }) {
		value = strconv.Quote(value)
	}
	return " " + a.Key + "=" + value
}

// atTerminal says whether a person sits before us, whose hanging up must end us.
func atTerminal() bool { return term.IsTerminal(int(os.Stdin.Fd())) }
