package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"wpmend/agent/gateway"
	"wpmend/agent/journal"
	"wpmend/agent/remedy"
)

// act carries out what a remedy described as an act of a change.
func (a *Agent) act(ctx context.Context, what json.RawMessage) error {
	a.acting.Add(1)
	defer a.acting.Add(-1)
	var act remedy.Act
	if err := json.Unmarshal(what, &act); err != nil {
		return fmt.Errorf("read what to do: %w", err)
	}
	switch {
	case act.Do == remedy.ReloadGateway && act.Gateway != nil:
		err := gateway.Reload(ctx, *act.Gateway)
		if errors.Is(err, gateway.ErrNotRunning) {
			// It reads its configuration when it starts.
			a.log.Warn("nothing to reload", "err", err)
			return nil
		}
		return err
	case act.Do == remedy.PurgeCache && len(act.Caches) > 0:
		dropped, err := gateway.Purge(ctx, act.Caches)
		if err == nil && dropped == 0 {
			err = &journal.UnbegunError{Err: errors.New("the files of the cache hold no error of the site; what nginx itself answered (502, 504) it keeps in its memory until fastcgi_cache_valid lets it go, or until it is restarted")}
		}
		return err
	case act.Do == remedy.RenewWorkers && act.Master != nil:
		return a.renewWorkers(ctx, act)
	case act.Do == remedy.AskPanel && act.Panel != nil && act.Master != nil:
		return a.askPanel(ctx, act)
	case slices.Contains([]string{remedy.ReloadFPM, remedy.RestartFPM, remedy.EndWorkers}, act.Do) && act.Master != nil:
		return a.actFPM(ctx, act)
	}
	return fmt.Errorf("what is meant by %q is not known: a newer wpmend may have written it", act.Do)
}
