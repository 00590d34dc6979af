package agent

import (
	"context"
	"time"

	"wpmend/agent/config"
	"wpmend/agent/site"
)

const (
	// termLook is how often changes with a term are looked at.
	termLook = time.Minute
	// remembrance is how long the records of changes that were undone are kept.
	remembrance = 90 * 24 * time.Hour
	// pruneEvery is how often older ones are removed.
	pruneEvery = 24 * time.Hour
)

// keep ends the terms of changes and forgets what is long past, until ctx ends.
func (w *watching) keep(ctx context.Context) {
	look := time.NewTicker(termLook)
	defer look.Stop()
	for prune := time.Now(); ; {
		if !w.blind {
			if _, err := w.agent.takeBackOf(ctx, w.heals); err != nil && ctx.Err() == nil {
				w.agent.log.Error("cannot end the term of a change", "err", err)
			}
		}
		if now := time.Now(); !now.Before(prune) {
			prune = now.Add(pruneEvery)
			if n, err := w.agent.journal.Prune(now.Add(-remembrance)); err != nil {
				w.agent.log.Warn("some records of the journal cannot be read", "err", err)
			} else if n > 0 {
				w.agent.log.Info("old records of the journal are removed", "records", n)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// heals says whether a site may be changed now.
func (w *watching) heals(s site.Site) bool { return w.mode(s) == config.Heal }
