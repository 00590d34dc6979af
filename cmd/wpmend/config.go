package main

import (
	"errors"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
)

func newConfig(in *invocation) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "checks or shows the configuration",
		Long:  "Checks or shows the configuration that --config names.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return &usageError{c, errors.New("say what to do with the configuration: check or show")}
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "says whether the configuration is valid",
		Long:  "Reads the configuration and says whether it is valid; a fault is named with its file and line.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := in.load(); err != nil {
				return err
			}
			v := struct {
				File  string `json:"file"`
				Valid bool   `json:"valid"`
			}{in.configFile, true}
			return in.show(v, func(p *page) { p.line("%s is valid", v.File) })
		},
	}, &cobra.Command{
		Use:   "show",
		Short: "prints the configuration in force",
		Long:  "Prints every setting in force: the built-in defaults, the file over them, the flags over both.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			conf, err := in.load()
			if err != nil {
				return err
			}
			var text strings.Builder
			if err := toml.NewEncoder(&text).Encode(conf); err != nil {
				return err
			}
			return in.show(conf, func(p *page) { p.text.WriteString(text.String()) })
		},
	})
	return c
}
