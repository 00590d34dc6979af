package diagnose

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"wpmend/agent/probe"
)

// The layers, from the outside in.
const (
	LayerName       = "name"
	LayerEdge       = "edge"
	LayerCache      = "cache"
	LayerGateway    = "gateway"
	LayerConnection = "connection"
	LayerPool       = "pool"
	LayerTime       = "time"
	LayerAnswer     = "answer"
	LayerHost       = "host"
	LayerDatabase   = "database"
	LayerWordPress  = "WordPress"
	LayerComponents = "components"
)

// The states of a layer.
const (
	StateOK       = "ok"
	StateFailed   = "failed"
	StateUnknown  = "unknown" // looked at, and it cannot be told
	StateNotAsked = "not asked"
)

// Layer is one step of the way from a visitor to the code, with what proves its state.
type Layer struct {
	Layer string     `json:"layer"`
	State string     `json:"state"`
	Proof []Evidence `json:"proof"`
	Cause string     `json:"cause,omitempty"`
}

// layers are in the order in which a request meets them, each with its causes and with what shows that it is well.
var layers = [...]struct {
	name   string
	causes []string
	well   func(Facts) (state, proof string)
}{
	{LayerName, []string{DNSMismatch}, wellNamed},
	{LayerEdge, []string{CDNOnly, OuterTimeout}, wellOutside},
	{LayerGateway, []string{GatewayDown, GatewayConfig, GatewayExhausted, FileDescriptors}, wellServed},
	{LayerCache, []string{CachedError, StaleCache}, wellCached},
	{LayerConnection, []string{Firewall, SocketPermission, SocketMissing, StaleSocket, WrongSocket, UpstreamUnresolved, WrongProtocol, ClientDisallowed, AccessDenied}, wellConnected},
	{LayerPool, []string{FPMDown, FPMConfig, FPMOOMKilled, FPMStartLimit, PoolExhausted, WorkersStuck, WorkerCrash, OPcachePoisoned}, wellPooled},
	{LayerTime, []string{ExecutionTimeout, TerminateTimeout, GatewayTimeout}, wellTimed},
	{LayerAnswer, []string{ResponseHeaderTooBig, InvalidHeader, HtaccessBroken}, wellAnswered},
	{LayerHost, []string{Overload, TrafficSpike, MemoryExhausted, PHPMemoryLimit, DiskFull}, wellHosted},
	{LayerDatabase, []string{DBDown, DBConnections, DBCredentials, DBTableCrashed, DBDiskFull}, wellStored},
	{LayerWordPress, []string{Maintenance, UpdateBroken, CoreDamaged, ConfigBroken, CodeUnparsable, PrependMissing, ThemeMissing, ObjectCacheDown}, wellInstalled},
	{LayerComponents, []string{ComponentFault}, wellComposed},
}

// Walk goes through the layers from the outside in and says of each what is known. A layer has failed where a cause of
// it is as likely as not; a component only once probes convicted it.
func Walk(f Facts, causes []Cause) []Layer {
	walked := make([]Layer, 0, len(layers))
	for _, l := range layers {
		step := Layer{Layer: l.name, Proof: []Evidence{}}
		i := slices.IndexFunc(causes, func(c Cause) bool { return slices.Contains(l.causes, c.Cause) })
		switch {
		case i >= 0 && causes[i].Cause == ComponentFault && !causes[i].Proven:
			step.State, step.Cause, step.Proof = StateUnknown, causes[i].Cause, causes[i].Evidence
		case i >= 0 && (causes[i].Confidence >= textOnly || causes[i].Cause == StaleCache):
			step.State, step.Cause, step.Proof = StateFailed, causes[i].Cause, causes[i].Evidence
		default:
			state, proof := l.well(f)
			step.State = state
			if i >= 0 && state == StateOK {
				step.State = StateUnknown
				step.Cause = causes[i].Cause
				step.Proof = append(step.Proof, causes[i].Evidence...)
			}
			if proof != "" {
				step.Proof = append([]Evidence{evidence(l.name, f.Front.Start, proof)}, step.Proof...)
			}
		}
		step.Proof = append([]Evidence{}, step.Proof...)
		walked = append(walked, step)
	}
	return walked
}

func wellNamed(f Facts) (state, proof string) {
	e := f.Edge
	switch {
	case len(e.Addresses) == 0 && e.Lookup == nil:
		return StateNotAsked, e.NotAsked
	case e.Lookup != nil:
		return StateUnknown, sentence("%s: %v", e.Resolver, e.Lookup)
	case e.Here:
		return StateOK, sentence("the name leads to %s, an address of this host (asked %s)", addresses(e.Addresses), e.Resolver)
	case e.CDN != "":
		return StateOK, sentence("the name leads to %s, %s (asked %s)", addresses(e.Addresses), e.CDN, e.Resolver)
	}
	return StateUnknown, sentence("the name leads to %s, which is none of this host's own addresses: a NAT, a proxy, or another host", addresses(e.Addresses))
}

func wellOutside(f Facts) (state, proof string) {
	switch p := f.Edge.Public; {
	case p.Outcome == "":
		return StateNotAsked, f.Edge.NotAsked
	case p.Outcome == probe.Healthy:
		return StateOK, sentence("the public address answers %s", outcome(p))
	default:
		return StateUnknown, sentence("the public address answers %s", outcome(p))
	}
}

func wellServed(f Facts) (state, proof string) {
	switch s := f.Server; {
	case s.Kind == "" && s.Listen == "":
		return StateNotAsked, ""
	case s.Dial != nil:
		return StateUnknown, sentence("%s: %v", s.Listen, s.Dial)
	default:
		text := sentence("%s accepts connections at %s", s.Kind, s.Listen)
		if s.PID != 0 {
			text += fmt.Sprintf(" (pid %d)", s.PID)
		}
		if s.MaxFiles > 0 {
			text += fmt.Sprintf(", %d of %d files open", s.Files, s.MaxFiles)
		}
		return StateOK, text
	}
}

func wellCached(f Facts) (state, proof string) {
	switch v := f.Visitor; {
	case v.Outcome == "":
		return StateNotAsked, ""
	case v.Outcome == probe.Healthy:
		return StateOK, sentence("the plain URL answers %s", outcome(v))
	default:
		return StateUnknown, sentence("the plain URL answers %s", outcome(v))
	}
}

func wellConnected(f Facts) (state, proof string) {
	s := f.Socket
	at := cmp.Or(s.Asked, s.Address)
	switch {
	case at == "":
		return StateNotAsked, ""
	case s.Dial != nil:
		return StateUnknown, sentence("%s: %v", at, s.Dial)
	case s.Backlog > 0:
		return StateOK, sentence("socket %s: somebody accepts, %d of %d wait", at, s.Queue, s.Backlog)
	}
	return StateOK, sentence("socket %s: somebody accepts", at)
}

func wellPooled(f Facts) (state, proof string) {
	p := f.Pool
	switch {
	case p.Name == "":
		return StateNotAsked, ""
	case p.PID == 0:
		return StateUnknown, sentence("no master of pool [%s] is seen", p.Name)
	}
	busy, stuck, _ := p.at()
	text := sentence("pool [%s]: the master runs (pid %d)", p.Name, p.PID)
	if len(p.Workers) > 0 {
		text += fmt.Sprintf(", %d of %d workers are busy", busy, max(len(p.Workers), p.MaxChildren))
	}
	if stuck > 0 {
		return StateUnknown, text + fmt.Sprintf(", %d stand still", stuck)
	}
	return StateOK, text
}

func wellTimed(f Facts) (state, proof string) {
	if f.Front.Outcome == "" {
		return StateNotAsked, ""
	}
	text := fmt.Sprintf("answered after %.1f s; request_terminate_timeout %s, the gateway waits %s, max_execution_time %s",
		f.Front.Took.Seconds(), seconds(f.terminate()), seconds(f.patience()), seconds(f.Limits.MaxExecution))
	if f.late() {
		return StateUnknown, text
	}
	return StateOK, text
}

func wellAnswered(f Facts) (state, proof string) {
	switch {
	case f.Front.Outcome == "":
		return StateNotAsked, ""
	case f.Front.Outcome == probe.Healthy:
		return StateOK, sentence("%s, %d bytes", outcome(f.Front), f.Front.Bytes)
	}
	return StateUnknown, sentence("%s (%s)", outcome(f.Front), f.Front.Signature)
}

func wellHosted(f Facts) (state, proof string) {
	h := f.Host
	if h.CPUs == 0 {
		return StateNotAsked, ""
	}
	text := fmt.Sprintf("load %.1f on %d processors, %s of %s of memory available", h.Load, h.CPUs, size(h.MemoryAvailable), size(h.Memory))
	for _, d := range h.Disks {
		if d.full() {
			return StateUnknown, text + "; " + sentence("%s", d)
		}
	}
	if len(h.Disks) > 0 {
		text += fmt.Sprintf(", %d disks with room", len(h.Disks))
	}
	if how := f.pressed(); how != "" {
		return StateUnknown, how
	}
	return StateOK, text
}

func wellStored(f Facts) (state, proof string) {
	switch {
	case f.NoCredentials != nil:
		return StateUnknown, sentence("not asked: %v", f.NoCredentials)
	case f.Database != nil:
		return StateUnknown, sentence("%v", f.Database)
	case f.Unread != nil, f.Front.Outcome == "":
		return StateNotAsked, ""
	}
	return StateOK, "the database answers"
}

func wellInstalled(f Facts) (state, proof string) {
	switch {
	case f.Unread != nil:
		return StateUnknown, sentence("%v", f.Unread)
	case f.Front.Outcome == "":
		return StateNotAsked, ""
	}
	seen := []string{"no file of WordPress' own is seen to be damaged"}
	if f.Maintenance.IsZero() {
		seen = append(seen, "no .maintenance file")
	} else {
		seen = append(seen, "a .maintenance file of "+f.Maintenance.Format(time.RFC3339)+", which WordPress ignores")
	}
	if f.Updating == "" {
		seen = append(seen, "no update under way")
	}
	return StateOK, strings.Join(seen, ", ")
}

func wellComposed(f Facts) (state, proof string) {
	switch {
	case f.Front.Outcome == probe.Healthy:
		return StateOK, "the page is whole with all of them"
	case !f.failing():
		return StateNotAsked, ""
	}
	return StateUnknown, "what happens without one of them is not known before a search (wpmend bisect)"
}
