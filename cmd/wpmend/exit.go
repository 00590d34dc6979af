package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/config"
	"wpmend/agent/history"
	"wpmend/agent/lock"
	"wpmend/agent/site"
)

// The exit codes, for every command alike.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnhealthy   = 3
	exitUnfixed     = 4
	exitInterrupted = 130
)

const exitStatus = `Exit status:
  0  healthy, or done and verified
  1  wpmend itself failed
  2  wrong usage or configuration
  3  unhealthy, the cause is named, nothing was changed
  4  unhealthy and not fixed: left as found, a person must act`

// usageError is a wrong word on the command line.
type usageError struct {
	command *cobra.Command
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }

type needsRoot struct{}

func (*needsRoot) Error() string { return "wpmend must run as root" }

// failure is an error as users and panels see it.
type failure struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`

	code int
}

// describe maps an error to its kind, its remedy and the exit code.
func describe(err error) failure {
	f := failure{Kind: "failed", Message: err.Error(), code: exitFailed}
	var (
		usage    *usageError
		conf     *config.Error
		notFound *site.NotFoundError
		held     *lock.Held
		root     *needsRoot
		advised  *agent.Error
	)
	switch {
	case errors.As(err, &usage):
		f.Kind, f.code = "usage", exitUsage
		f.Remedy = usage.command.CommandPath() + " --help"
	case errors.As(err, &conf):
		f.Kind, f.Remedy, f.code = "config", cmp.Or(conf.Remedy, "correct the file, then try `wpmend config check`"), exitUsage
	case errors.As(err, &notFound):
		f.Kind, f.Remedy, f.code = "not-found", "wpmend sites", exitUsage
	case errors.As(err, &held):
		f.Kind, f.Remedy = "busy", "wait until it has ended, then try again"
	case errors.Is(err, history.ErrUnknown):
		f.Kind, f.Remedy, f.code = "not-found", "wpmend incidents", exitUsage
	case errors.As(err, &root):
		f.Kind, f.Remedy = "not-permitted", "sudo wpmend …"
	case errors.Is(err, context.Canceled):
		f.Kind, f.Message, f.Remedy, f.code = "interrupted", "interrupted", "wpmend recover puts back what may be left", exitInterrupted
	case errors.As(err, &advised):
		f.Kind, f.Remedy = advised.Kind, advised.Remedy
		if advised.Kind == "usage" || advised.Kind == "no-such-user" {
			f.code = exitUsage
		}
	case strings.HasPrefix(f.Message, "unknown command"):
		// cobra has no type for this.
		f.Kind, f.Remedy, f.code = "usage", "wpmend --help", exitUsage
	}
	return f
}

// fail writes an error and returns the exit code.
func (in *invocation) fail(err error) int {
	in.clearProgress()
	f := describe(err)
	if in.json {
		in.writeJSON(struct {
			Error failure `json:"error"`
		}{f})
		return f.code
	}
	fmt.Fprintln(in.err, "wpmend: error:", printable(f.Message))
	if f.Remedy != "" {
		fmt.Fprintln(in.err, "wpmend: hint: ", printable(f.Remedy))
	}
	return f.code
}

func checkCode(r agent.CheckReport) int {
	if r.Outcome.Failing() || len(r.Causes) > 0 {
		return exitUnhealthy
	}
	return exitDone
}

func bisectCode(r agent.BisectReport, fix bool) int {
	switch {
	case r.Fixed || !r.Outcome.Failing() && r.Verdict != "undecided":
		return exitDone
	case len(r.Culprits) > 0 && !fix:
		return exitUnhealthy
	}
	return exitUnfixed
}

func healCode(r agent.HealReport) int {
	switch r.State {
	case agent.StateEscalated:
		if len(r.Left) > 0 {
			return exitFailed
		}
		return exitUnfixed
	case agent.StatePlanned:
		return exitUnhealthy
	}
	return exitDone
}
