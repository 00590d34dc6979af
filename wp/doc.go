// Package wp knows a WordPress install as files and rows: its wp-config.php,
// its components and their names, its options in the database, the PHP that
// masks components for a probe. It reads through a [Tree], whose descriptor
// keeps every path inside the site's folder, and runs no line of the site's code.
//
// It refuses to know processes, pools, gateways and the agent that uses it, and
// it refuses to guess: what PHP would compute is reported as unknown, with the
// file and line that computes it.
//
// Its main invariant: it changes nothing, except that a [Database] swaps one
// option at a time, from bytes the caller has seen to bytes the caller gives.
// Values of a site pass through it byte for byte.
package wp
