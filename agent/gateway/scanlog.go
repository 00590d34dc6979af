package gateway

import (
	"io"
	"time"
)

// The kinds of gateways whose logs can be read.
const (
	Nginx     = "nginx"
	Apache    = "apache"
	LiteSpeed = "litespeed"
	Caddy     = "caddy"
)

// ScanLog yields the records of the error log of a gateway of this kind; see the kind's own function.
func ScanLog(kind string, r io.Reader, loc *time.Location, yield func(LogRecord) bool) error {
	switch kind {
	case Apache:
		return ScanApacheLog(r, loc, yield)
	case LiteSpeed:
		return ScanLiteSpeedLog(r, loc, yield)
	case Caddy:
		return ScanCaddyLog(r, yield)
	}
	return ScanNginxLog(r, loc, yield)
}
