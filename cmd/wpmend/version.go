package main

import (
	"runtime"

	"github.com/spf13/cobra"
)

const version = "0.1.0"

func newVersion(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "prints the version",
		Long:    "Prints the version of wpmend and of the Go that built it.",
		Example: "  wpmend version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version string `json:"version"`
				Go      string `json:"go"`
			}{version, runtime.Version()}
			return in.show(v, func(p *page) { p.line("wpmend %s (%s)", v.Version, v.Go) })
		},
	}
}
