// Command wpmend notices, explains and repairs WordPress sites that answer 502
// Bad Gateway or one of its kin. Each word that a user types has a file here;
// exit codes are chosen in exit.go alone, and output.go alone writes results.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"wpmend/php/fpm"
	"wpmend/php/transient"
)

func main() {
	if transient.Helps(os.Args) {
		os.Exit(transient.Help(fpm.Prepare))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
