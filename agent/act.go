package agent

import (
	"context"
	"encoding/json"
	"fmt"

	"wpmend/agent/gateway"
	"wpmend/agent/remedy"
)

// act carries out what a remedy described as an act of a change.
func (a *Agent) act(ctx context.Context, what json.RawMessage) error {
	var act remedy.Act
	if err := json.Unmarshal(what, &act); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	switch {
	case act.Do == remedy.ReloadGateway && act.Gateway != nil:
		return gateway.Reload(ctx, *act.Gateway)
	}
	return fmt.Errorf("what is meant by %q is not known: a newer wpmend may have written it", act.Do)
}
