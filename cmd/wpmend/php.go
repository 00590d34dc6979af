package main

import "github.com/spf13/cobra"

func newPHP(in *invocation) *cobra.Command {
	c := &cobra.Command{
		Use:   "php",
		Short: "shows and tunes the pools of PHP-FPM",
		Long: `Shows the pools of PHP-FPM and the limits of a site as one chain, sets limits
within the ceilings of the configuration, and reloads or restarts PHP-FPM at a cost
that is told before.`,
		Example: `  wpmend php pools
  wpmend php limits example.com
  wpmend php limits example.com --set max_execution_time=120 --for 24h
  wpmend php reload example.com --dry-run`,
		Args: cobra.NoArgs,
	}
	pools := newPHPPools(in)
	c.RunE = pools.RunE
	c.AddCommand(pools, newPHPLimits(in), newPHPControl(in, false), newPHPControl(in, true))
	return c
}
