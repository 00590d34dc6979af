package remedy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/journal"
	"wpmend/agent/site"
)

// GatewayTuning is what of a gateway is raised; 0 stays as it is.
type GatewayTuning struct {
	Buffer      int64         // bytes for a response header of PHP's
	ReadTimeout time.Duration // how long PHP may be silent, whole seconds
}

// Directives are the tuning in the gateway's language, a directive a line.
func (t GatewayTuning) Directives(kind string) ([]string, error) {
	var lines []string
	switch {
	case kind == "nginx":
		if t.Buffer > 0 {
			k := (t.Buffer + 1023) / 1024
			// Of the eight buffers one must stay free of those that are busy, and the busy ones hold the first
			// (ngx_http_fastcgi_merge_loc_conf).
			lines = append(lines, fmt.Sprintf("fastcgi_buffer_size %dk;", k), fmt.Sprintf("fastcgi_buffers 8 %dk;", k), fmt.Sprintf("fastcgi_busy_buffers_size %dk;", 2*k))
		}
		if t.ReadTimeout > 0 {
			lines = append(lines, fmt.Sprintf("fastcgi_read_timeout %ds;", seconds(t.ReadTimeout)))
		}
	case kind == "apache" && t.Buffer > 0:
		return nil, errors.New("the buffer of Apache for a response header of PHP cannot be set: the header must become smaller")
	case kind == "apache" && t.ReadTimeout > 0:
		lines = append(lines, fmt.Sprintf("ProxyTimeout %d", seconds(t.ReadTimeout)))
	}
	if lines == nil {
		return nil, fmt.Errorf("nothing of %s is to be raised", kind)
	}
	return lines, nil
}

func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// DropInName is the name of wpmend's own file for a site in the gateway's configuration.
func DropInName(s site.Site) string { return "zz-wpmend-" + s.ID + ".conf" }

// DirectiveNames are the first words of lines.
func DirectiveNames(lines []string) []string {
	names := make([]string, len(lines))
	for i, l := range lines {
		names[i], _, _ = strings.Cut(l, " ")
	}
	return names
}

// OwnFile is a file of wpmend's own in the gateway's configuration.
type OwnFile struct {
	gateway.DropIn
	Was []byte // its content, nil if there is none
}

// with is the file's new content: what it holds already, and lines.
func (f OwnFile) with(s site.Site, lines []string) []byte {
	names := DirectiveNames(lines)
	text := []string{"# wpmend: " + s.Domain + ". This file is wpmend's own; `wpmend incidents` says why, and takes it back."}
	for line := range strings.Lines(string(f.Was)) {
		line = strings.TrimSpace(line)
		if name, _, _ := strings.Cut(line, " "); line != "" && line[0] != '#' && !slices.Contains(names, name) {
			text = append(text, line)
		}
	}
	return []byte(strings.Join(append(text, lines...), "\n") + "\n")
}

// TuneGateway writes directives into wpmend's own files and lets the gateway read its configuration again, which tests
// it first.
func TuneGateway(s site.Site, files []OwnFile, lines []string, incident, why string) (journal.Change, error) {
	back, err := reloadGateway(s.Gateway).Step(journal.OnUndo)
	if err != nil {
		return journal.Change{}, err
	}
	forth, err := reloadGateway(s.Gateway).Step(journal.OnApply)
	if err != nil {
		return journal.Change{}, err
	}
	steps, where := []journal.Step{back}, []string{}
	for _, f := range files {
		steps = append(steps, journal.ReplaceHostFile(f.File, f.with(s, lines)))
		where = append(where, fmt.Sprintf("%s (level %s)", f.File, f.Level))
	}
	return journal.Change{Site: s.ID, SiteRoot: s.Root, Incident: incident, Why: why, Actor: Actor, Steps: append(steps, forth),
		What: fmt.Sprintf("set %s for %s in %s and reload %s", strings.TrimSuffix(strings.Join(lines, " "), ";"), s.Domain, strings.Join(where, ", "), s.Gateway.Kind)}, nil
}

// reloadGateway is the act of a graceful reload.
func reloadGateway(g gateway.Gateway) Act {
	g.Vhosts, g.LogUsers, g.Problems = nil, nil, nil
	hand := []string{g.Binary + " -t && kill -HUP " + fmt.Sprint(g.Process.PID)}
	if g.Kind == "apache" {
		hand = []string{"apachectl configtest && apachectl graceful"}
	}
	if g.Process.Unit != "" {
		hand = []string{g.Binary + " -t && systemctl reload " + g.Process.Unit}
	}
	return Act{Do: ReloadGateway, Words: fmt.Sprintf("test and reload %s (%s)", g.Kind, g.Config), Hand: hand, Gateway: &g}
}
