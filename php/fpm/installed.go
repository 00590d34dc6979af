package fpm

import (
	"os"
	"path/filepath"
	"strings"
)

// layout is where a distribution keeps a master's files; V stands for its version, in each place as it is written there.
type layout struct{ config, binary, unit string }

// layouts are those of Debian and Ubuntu (with sury), RHEL and its kin, Remi's collections and cPanel's EA4, as their
// packages install them.
var layouts = [...]layout{
	{"/etc/php/V/fpm/php-fpm.conf", "/usr/sbin/php-fpmV", "phpV-fpm.service"},
	{"/etc/php-fpm.conf", "/usr/sbin/php-fpm", "php-fpm.service"},
	{"/etc/opt/remi/phpV/php-fpm.conf", "/opt/remi/phpV/root/usr/sbin/php-fpm", "phpV-php-fpm.service"},
	{"/opt/cpanel/ea-phpV/root/etc/php-fpm.conf", "/opt/cpanel/ea-phpV/root/usr/sbin/php-fpm", "ea-phpV-php-fpm.service"},
}

// Installed are the masters that packages have laid out, whether they run or not: the fall-back for a host on which
// none was ever seen running, since the processes themselves know better. What cannot be read is left out.
func Installed() []Master { return installedBelow("/") }

func installedBelow(top string) []Master {
	var masters []Master
	for _, l := range layouts {
		// The pattern is a literal, so it cannot be malformed.
		configs, _ := filepath.Glob(filepath.Join(top, strings.ReplaceAll(l.config, "V", "*")))
		for _, config := range configs {
			before, after, _ := strings.Cut(filepath.Join(top, l.config), "V")
			version := strings.TrimSuffix(strings.TrimPrefix(config, before), after)
			m := Master{Config: config, Binary: filepath.Join(top, strings.ReplaceAll(l.binary, "V", version))}
			unit := strings.ReplaceAll(l.unit, "V", version)
			if installedUnit(top, unit) {
				m.Unit = unit
			}
			if m, err := loadWith(m); err == nil {
				masters = append(masters, m)
			}
		}
	}
	return masters
}

func installedUnit(top, unit string) bool {
	for _, dir := range [...]string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		if _, err := os.Stat(filepath.Join(top, dir, unit)); err == nil {
			return true
		}
	}
	return false
}
