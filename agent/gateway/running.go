package gateway

import "wpmend/php/process"

// Running is the master as it runs now: the one that was seen, or the one of the same program with the same command
// line that has taken its place. [ErrNotRunning] if there is none.
func (g Gateway) Running() (process.Process, error) { return g.master() }
