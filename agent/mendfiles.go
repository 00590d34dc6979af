package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/gateway"
	"wpmend/agent/journal"
	"wpmend/agent/remedy"
	"wpmend/wp"
)

const (
	// smallest and largest header buffers that are set: one page holds what is sent by
	// ordinary sites, and 128 kB is more than browsers take.
	leastBuffer, mostBuffer = 16 << 10, 128 << 10
	// mostGatewayTimeout is the ceiling for a gateway's patience.
	mostGatewayTimeout = 10 * time.Minute
	// forgotten is the age at which WordPress itself no longer believes in an update
	// (wp_is_maintenance_mode).
	forgotten = 10 * time.Minute
)

// tuneGateway raises the buffer or the timeout of the gateway that bites, in a file of
// wpmend's own.
func (h *healing) tuneGateway(ctx context.Context) (done bool, err error) {
	lines, err := h.tuning().Directives(h.site.Gateway.Kind)
	if err != nil {
		return true, h.advise(ctx, err.Error())
	}
	if !h.agent.conf().Gateway.Tune {
		return true, h.advise(ctx, fmt.Sprintf("The gateway must be tuned for this; wpmend does that itself where its configuration allows it ([gateway] tune = true). By hand: %s", h.paste(lines)))
	}
	files, err := h.ownFiles(ctx, lines)
	if none := (*gateway.NoDropInError)(nil); errors.As(err, &none) {
		return true, h.advise(ctx, fmt.Sprintf("wpmend tunes the gateway in a file of its own only, and here none would be in force (%s). Paste at %s:%d: %s", none.Why, none.File, none.Line, strings.Join(lines, " ")))
	}
	if err != nil {
		return true, h.advise(ctx, err.Error())
	}
	change, err := remedy.TuneGateway(h.site, files, lines, h.id(), h.because())
	if err != nil {
		return true, h.advise(ctx, err.Error())
	}
	return h.try(ctx, []journal.Change{change})
}

// advise ends the incident with a sentence for a person.
func (h *healing) advise(ctx context.Context, text string) error {
	h.report.Advice = append(h.report.Advice, text)
	return h.escalate(ctx)
}

// paste says where the lines belong.
func (h *healing) paste(lines []string) string {
	where := "into the PHP location"
	if l := h.site.Location; l.File != "" {
		where = fmt.Sprintf("into the PHP location (%s:%d)", l.File, l.Line)
	}
	return strings.Join(lines, " ") + " " + where + ", then test and reload."
}

// ownFiles are the files in which the lines are in force for every vhost of the site that
// passes requests to PHP.
func (h *healing) ownFiles(ctx context.Context, lines []string) ([]remedy.OwnFile, error) {
	var files []remedy.OwnFile
	for _, v := range h.site.Vhosts {
		l, ok := v.Location(h.site.Script())
		if !ok {
			continue // it leads elsewhere
		}
		at, err := gateway.FindDropIn(ctx, h.site.Gateway, v, l, remedy.DropInName(h.site), remedy.DirectiveNames(lines))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(files, func(f remedy.OwnFile) bool { return f.File == at.File }) {
			continue
		}
		was, err := readOwn(at.File)
		if err != nil {
			return nil, err
		}
		files = append(files, remedy.OwnFile{DropIn: at, Was: was})
	}
	if files == nil {
		return nil, errors.New("no vhost of the site is known that passes requests to PHP")
	}
	return files, nil
}

// readOwn reads a file of wpmend's own, nil if there is none. The folder may be a
// customer's, who may have put anything there; the journal refuses to write in it.
func readOwn(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is no regular file: see who put it there", name))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxOwnFile+1))
	if err == nil && len(text) > maxOwnFile {
		err = fmt.Errorf("%s has more than %d bytes", name, maxOwnFile)
	}
	return text, err
}

// tuning is what the first cause asks of the gateway.
func (h *healing) tuning() (t remedy.GatewayTuning) {
	if len(h.causes) == 0 {
		return t
	}
	switch h.causes[0].Cause {
	case diagnose.ResponseHeaderTooBig:
		// What the pool was seen to send, and room for the cookies of those who are logged in.
		need := max(2*h.facts.Location.Buffer, int64(h.facts.Direct.Header)+4<<10, leastBuffer)
		t.Buffer = min(int64(1)<<bits.Len64(uint64(need-1)), mostBuffer)
	case diagnose.GatewayTimeout:
		now := h.facts.Location.ReadTimeout
		// The chain of limits: request_terminate_timeout · 4/3 + 5 s < the gateway's.
		t.ReadTimeout = min(max(2*now, h.facts.Pool.TerminateTimeout*4/3+6*time.Second), max(now, mostGatewayTimeout))
	}
	return t
}

// endMaintenance moves a .maintenance file aside that nobody works under any more.
func (h *healing) endMaintenance(ctx context.Context) (done bool, err error) {
	written := h.facts.Maintenance
	switch {
	case written.IsZero():
		return true, h.advise(ctx, "There is no .maintenance file that could be moved aside: something else keeps the site in maintenance mode.")
	case time.Since(written) < forgotten:
		return true, h.advise(ctx, fmt.Sprintf("The .maintenance file was written %s ago, so an update may be under way; after %s wpmend moves it aside.", time.Since(written).Round(time.Second), forgotten))
	}
	if meant, err := h.meant(); err != nil {
		return true, h.advise(ctx, "The .maintenance file cannot be read: "+err.Error())
	} else if meant {
		return true, h.advise(ctx, "The .maintenance file was written by hand, to last: WordPress' own updater writes a number there. Whoever put it there removes it.")
	}
	busy, err := h.updater()
	if err != nil {
		return true, h.advise(ctx, "Whether an update is under way cannot be told: "+err.Error())
	}
	if busy != "" {
		return true, h.advise(ctx, "An update seems to be under way: "+busy)
	}
	change, err := remedy.EndMaintenance(h.site, h.id(), h.because())
	if err != nil {
		return true, h.refuse(ctx, err)
	}
	return h.try(ctx, []journal.Change{change})
}

// byUpdater is what WP_Upgrader::maintenance_mode writes.
var byUpdater = regexp.MustCompile(`^<\?php \$upgrading = \d+; \?>\s*$`)

// meant says that somebody switched maintenance on by hand.
func (h *healing) meant() (bool, error) {
	tree, err := wp.OpenTree(h.site.Root, h.site.Owner)
	if err != nil {
		return false, err
	}
	defer tree.Close()
	text, err := tree.ReadHead(path.Join(h.site.Core, ".maintenance"), 1<<10)
	return !byUpdater.Match(text), err
}

// purgeCache drops the errors that the gateway's cache holds for the site.
func (h *healing) purgeCache(ctx context.Context) (done bool, err error) {
	var caches []gateway.Cache
	var problems []error
	for _, v := range h.site.Vhosts {
		found, errs := gateway.Caches(ctx, h.site.Gateway, v)
		for _, c := range found {
			if !slices.ContainsFunc(caches, func(o gateway.Cache) bool { return o.Zone == c.Zone && slices.Equal(o.Prefixes, c.Prefixes) }) {
				caches = append(caches, c)
			}
		}
		problems = append(problems, errs...)
	}
	if len(caches) == 0 {
		text := "The cache that holds the old error is not known: purge it by hand, or wait until it lets the error go."
		if len(problems) > 0 {
			text += " " + errors.Join(problems...).Error()
		}
		return true, h.advise(ctx, text)
	}
	change, err := remedy.Purge(h.site, caches, h.id(), h.because())
	if err != nil {
		return true, err
	}
	return h.try(ctx, []journal.Change{change})
}
