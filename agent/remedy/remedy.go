// Package remedy computes what would change against a cause: one file a remedy,
// each with its inverse. It describes; the journal alone does.
//
// Its invariant: a change that this package returns names every object it touches
// and how to put it back, or says why that cannot be.
package remedy

// Actor marks the changes that wpmend decides on itself; a budget bounds them.
const Actor = "wpmend"
