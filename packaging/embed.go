// Package packaging holds what an installation brings along: the unit and the default
// configuration. The packages of distributions hold the same files.
package packaging

import "embed"

// Unit is the service's unit for systemd, for a binary in /usr/bin.
//
//go:embed wpmend.service
var Unit string

// Config is the default configuration with its comments.
//
//go:embed wpmend.toml
var Config string

// Panels is what control panels are given: hooks, plugins, units, by the panel's name.
//
//go:embed all:panels
var Panels embed.FS
