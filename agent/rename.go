package agent

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"wpmend/agent/bisect"
	"wpmend/agent/probe"
	"wpmend/agent/remedy"
	"wpmend/agent/shadow"
)

// searchRename asks the live site: each question renames what it masks, asks the
// front, and puts everything back before the next one. Visitors lack the masked
// plugins meanwhile, so it is never chosen by itself.
func (a *Agent) searchRename(ctx context.Context, l *look, target *url.URL) (found, error) {
	start := time.Now()
	q := newQuestions(l)
	live := 0
	ask := func(ctx context.Context, round []bisect.Question) ([]bisect.Answer, error) {
		answers := make([]bisect.Answer, 0, len(round))
		for _, question := range round {
			result, err := a.askRenamed(ctx, l, target, question)
			if len(question.Masked) > 0 {
				live++
			}
			if err != nil {
				return nil, err
			}
			answers = append(answers, q.judge(question, shadow.Answer{Result: result}))
		}
		return answers, nil
	}
	result, err := bisect.Run(ctx, a.search(l, q, a.priors(ctx, l, target), 1), ask)
	f := q.found(result, start)
	f.live = live
	return f, err
}

// askRenamed asks the front once with the question's plugins renamed away.
func (a *Agent) askRenamed(ctx context.Context, l *look, target *url.URL, question bisect.Question) (r probe.Result, err error) {
	if len(question.Masked) == 0 {
		return probe.ByFront(ctx, l.site, target, a.limits()), ctx.Err()
	}
	change, err := remedy.Disable(l.site, l.wp, question.Masked, "", fmt.Sprintf("search by renaming, with %d plugins away", len(question.Masked)))
	if err != nil {
		return r, err
	}
	change.Actor = "wpmend bisect"
	if change, err = a.journal.Plan(change); err != nil {
		return r, fmt.Errorf("write the journal, so nothing was changed: %w", err)
	}
	defer func() { err = errors.Join(err, a.undo(change, "the question was answered")) }()
	if err = a.journal.Apply(ctx, change.ID); err != nil {
		return r, err
	}
	return probe.ByFront(ctx, l.site, target, a.limits()), ctx.Err()
}
