package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"wpmend/agent/site"
	"wpmend/wp"
)

const (
	mostDatabases   = 200 // sites whose database is asked
	databasesAtOnce = 8
	databaseBound   = 5 * time.Second
	allDatabases    = time.Minute
)

// errComputed: only PHP knows how the database is reached.
var errComputed = errors.New("wp-config.php computes it")

// databases asks the sites' databases as the sites themselves do.
func (h *host) databases(ctx context.Context) []Finding {
	s := &sheet{area: "sites"}
	if len(h.found.Sites) == 0 {
		return nil
	}
	sites := h.found.Sites[:min(len(h.found.Sites), mostDatabases)]
	ctx, cancel := context.WithTimeout(ctx, allDatabases)
	defer cancel()
	errs := make([]error, len(sites))
	free := make(chan struct{}, databasesAtOnce)
	var work sync.WaitGroup
	for i, x := range sites {
		work.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			errs[i] = reach(ctx, x)
		})
	}
	work.Wait()
	var failed []string
	var why error
	reached, computed := 0, 0
	for i, err := range errs {
		switch {
		case err == nil:
			reached++
		case errors.Is(err, errComputed) || errors.Is(err, wp.ErrUnknown):
			computed++
		default:
			failed = append(failed, sites[i].Domain)
			why = cmp.Or(why, err)
		}
	}
	of := ""
	if len(sites) < len(h.found.Sites) {
		of = fmt.Sprintf(" (of the first %d)", len(sites))
	}
	if len(failed) > 0 {
		do := "wpmend check " + failed[0] + " names the cause"
		if reached == 0 {
			do = "systemctl status mariadb (or mysql); " + do
		}
		s.bad("databases", do, "of %s%s the database cannot be reached: %s. Of the first: %v", count(len(failed), "site"), of, few(failed, 3), why)
	}
	if reached > 0 || len(failed) == 0 {
		text := ""
		if computed > 0 {
			text = fmt.Sprintf("; of %d wp-config.php computes how, so PHP is asked when it matters", computed)
		}
		s.ok("databases", "those of %s were reached as the site's own user%s%s", count(reached, "site"), of, text)
	}
	return s.findings
}

func reach(ctx context.Context, x site.Site) error {
	ctx, cancel := context.WithTimeout(ctx, databaseBound)
	defer cancel()
	c, err := x.Config()
	if err != nil {
		return err
	}
	if !c.TellsDatabase() {
		return errComputed
	}
	db, err := wp.OpenDatabase(ctx, c, "")
	if err != nil {
		return err
	}
	return db.Close()
}
