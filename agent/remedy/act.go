package remedy

import (
	"encoding/json"
	"fmt"

	"wpmend/agent/gateway"
	"wpmend/agent/journal"
	"wpmend/agent/panel"
	"wpmend/php/fpm"
)

// The things that an Act does.
const (
	ReloadFPM     = "reload-fpm"
	RestartFPM    = "restart-fpm"
	EndWorkers    = "end-workers"
	RenewWorkers  = "renew-workers" // of Pool, each between two requests
	ReloadGateway = "reload-gateway"
	PurgeCache    = "purge-cache"
	AskPanel      = "ask-panel" // and then ReloadFPM
)

// Act is something that a change sets going, as the journal keeps it: plain data that
// can be carried out by a later wpmend, too.
type Act struct {
	Do    string   `json:"do"`             // one of the above
	Words string   `json:"words"`          // the same for people: "reload nginx (/etc/nginx/nginx.conf)"
	Hand  []string `json:"hand,omitempty"` // shell commands for it

	// Master is whom the acts on FPM concern.
	Master *fpm.Master `json:"master,omitempty"`
	// Workers of Pool are to be ended.
	Workers []Worker `json:"workers,omitempty"`
	Pool    string   `json:"pool,omitempty"`
	// Lose is how many running requests a reload or restart may end; those of Pool do not count, it is lost anyway.
	Lose int `json:"lose,omitempty"`
	// Force says that requests under way may be lost, no matter how many.
	Force bool `json:"force,omitempty"`

	// Panel is what a control panel is asked for.
	Panel *panel.Act `json:"panel,omitempty"`

	// Gateway is without its vhosts.
	Gateway *gateway.Gateway `json:"gateway,omitempty"`
	Caches  []gateway.Cache  `json:"caches,omitempty"`
}

// Worker is one process of a pool: PID and Start together are unique since boot.
type Worker struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // as process.Process has it
}

// Step is the act as a step of a change.
func (a Act) Step(when journal.When) (journal.Step, error) {
	what, err := json.Marshal(a)
	if err != nil {
		return journal.Step{}, fmt.Errorf("describe %q: %w", a.Words, err)
	}
	return journal.ActStep(when, what), nil
}
