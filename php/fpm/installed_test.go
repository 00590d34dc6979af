package fpm

import "testing"

func TestInstalledFindsDebiansMaster(t *testing.T) {
	t.Parallel()
	for _, m := range Installed() {
		if m.Config != "/etc/php/8.2/fpm/php-fpm.conf" {
			continue
		}
		if m.Binary != "/usr/sbin/php-fpm8.2" || m.Unit != "php8.2-fpm.service" || m.Process.PID != 0 {
			t.Errorf("got binary %s, unit %q, pid %d", m.Binary, m.Unit, m.Process.PID)
		}
		if p, ok := m.Pool("www"); !ok || p.Listen() != (Address{Network: "unix", Addr: "/run/php/php8.2-fpm.sock"}) {
			t.Errorf("pool www: %v", p.Listen())
		}
		return
	}
	t.Error("the master of Debian's php8.2-fpm package was not found")
}

func TestInstalledWithoutAnything(t *testing.T) {
	t.Parallel()
	if masters := installedBelow(t.TempDir()); len(masters) != 0 {
		t.Errorf("found %v in an empty folder", masters)
	}
}
