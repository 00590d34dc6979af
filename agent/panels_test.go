package agent

import (
	"testing"

	"wpmend/agent/journal"
	"wpmend/agent/panel"
	"wpmend/agent/remedy"
	"wpmend/php/fpm"
)

// A pool's limits by way of a panel cost its master a reload, as those in its own file do.
func TestPanelTouchesMaster(t *testing.T) {
	t.Parallel()
	act := remedy.Act{Do: remedy.AskPanel, Words: "x", Master: &fpm.Master{Config: "/etc/php/8.2/fpm/php-fpm.conf"}, Panel: &panel.Act{Panel: "hestia"}}
	step, err := act.Step(journal.OnApply)
	if err != nil {
		t.Fatal(err)
	}
	if got := touched(journal.Change{Steps: []journal.Step{step}}); got != act.Master.Config {
		t.Errorf("it touches %q", got)
	}
	var r Reach
	r.add(journal.Change{SiteRoot: "/srv/a", Steps: []journal.Step{step}})
	if !r.Host {
		t.Error("an owner could undo what concerns the host")
	}
}
