package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newMan(in *invocation) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "writes the manual pages",
		Long:    "Writes a manual page for every command, section 1, into the folder DIR. The packages bring them along.",
		Example: "  wpmend man /usr/local/share/man/man1",
		Args:    takes("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			dir := args[0]
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("write the manual: %w", err)
			}
			c.Root().InitDefaultCompletionCmd()
			for _, one := range commands(c.Root()) {
				if one.Hidden || one.Name() == "help" || one.IsAdditionalHelpTopicCommand() {
					continue
				}
				name := strings.ReplaceAll(one.CommandPath(), " ", "-") + ".1"
				if err := os.WriteFile(filepath.Join(dir, name), []byte(manual(one)), 0o644); err != nil {
					return fmt.Errorf("write the manual: %w", err)
				}
			}
			v := struct {
				Dir string `json:"dir"`
			}{dir}
			return in.show(v, func(p *page) { p.line("The manual is in %s: man -l %s/wpmend.1", v.Dir, v.Dir) })
		},
	}
}
