package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ruleset is what a packet filter does with new TCP connections over the loopback, as
// far as it is understood: a rule with a condition that is not is left out, so that
// only rules that are certain to concern us are named.
type ruleset struct {
	bases  []string          // chains that the kernel starts at
	denies map[string]string // of those whose policy is to drop: the policy as text
	rules  map[string][]filterRule
}

type filterRule struct {
	text   string
	takes  func(port int) bool
	does   string // accept, drop, jump, goto or return
	target string
}

// maxSteps bounds the rules that are followed: chains may call each other.
const maxSteps = 20_000

// against are the rules that drop or refuse connections to the ports.
func (s ruleset) against(ports []int) []string {
	var found []string
	steps := maxSteps
	for _, port := range ports {
		for _, base := range s.bases {
			rule := s.denies[base]
			if decided, by := s.follow(base, port, 0, &steps); decided {
				rule = by
			}
			if rule != "" && !slices.Contains(found, rule) {
				found = append(found, rule)
			}
		}
	}
	return found
}

// follow says whether a chain decides on a port, and by which rule it is denied; ""
// where it is accepted.
func (s ruleset) follow(chain string, port, depth int, steps *int) (decided bool, by string) {
	const deepest = 16 // NFT_JUMP_STACK_SIZE
	if depth == deepest {
		return false, ""
	}
	for _, r := range s.rules[chain] {
		if *steps--; *steps < 0 {
			return false, ""
		}
		if !r.takes(port) {
			continue
		}
		switch r.does {
		case "accept":
			return true, ""
		case "drop":
			return true, r.text
		case "return":
			return false, ""
		case "jump", "goto":
			if decided, by = s.follow(r.target, port, depth+1, steps); decided || r.does == "goto" {
				return decided, by
			}
		}
	}
	return false, ""
}

func shortened(rule string) string {
	const longest = 300
	rule = strings.ToValidUTF8(rule, "?")
	if len(rule) > longest {
		rule = strings.ToValidUTF8(rule[:longest], "") + "…"
	}
	return rule
}

// nftFilters reads `nft -j list ruleset` (libnftables-json(5)): what drops or rejects
// connections to the ports on this host.
func nftFilters(text []byte, ports []int) ([]string, error) {
	var all struct {
		Nftables []struct {
			Chain *nftChain `json:"chain"`
			Rule  *nftRule  `json:"rule"`
			Set   *nftSet   `json:"set"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("what nft prints cannot be read: %w", err)
	}
	s := ruleset{denies: map[string]string{}, rules: map[string][]filterRule{}}
	sets := map[string]json.RawMessage{}
	for _, o := range all.Nftables {
		if c := o.Chain; c != nil && (c.Hook == "input" || c.Hook == "output") {
			name := c.key(c.Name)
			s.bases = append(s.bases, name)
			if c.Policy == "drop" {
				s.denies[name] = shortened("chain " + name + " { policy drop; }")
			}
		}
		if o.Set != nil {
			sets[o.Set.key(o.Set.Name)] = o.Set.Elem
		}
	}
	for _, o := range all.Nftables {
		if o.Rule == nil {
			continue
		}
		if r, ok := o.Rule.read(sets); ok {
			chain := o.Rule.key(o.Rule.Chain)
			s.rules[chain] = append(s.rules[chain], r)
		}
	}
	return s.against(ports), nil
}

type nftTable struct{ Family, Table string }

func (t nftTable) key(name string) string { return t.Family + " " + t.Table + " " + name }

type nftChain struct {
	nftTable
	Name, Hook, Policy string
}

type nftSet struct {
	nftTable
	Name string
	Elem json.RawMessage
}

type nftRule struct {
	nftTable
	Chain string
	Expr  []map[string]json.RawMessage
}

func (r nftRule) read(sets map[string]json.RawMessage) (rule filterRule, ok bool) {
	var conditions []func(int) bool
	for _, e := range r.Expr {
		for name, raw := range e {
			switch name {
			case "accept", "return", "drop":
				rule.does = name
			case "reject":
				rule.does = "drop"
			case "jump", "goto":
				var to struct{ Target string }
				if json.Unmarshal(raw, &to) != nil {
					return rule, false
				}
				rule.does, rule.target = name, r.key(to.Target)
			case "counter", "log", "comment":
			case "match":
				holds, ok := r.match(raw, sets)
				if !ok {
					return rule, false
				}
				conditions = append(conditions, holds)
			default:
				return rule, false
			}
		}
	}
	if text, err := json.Marshal(r.Expr); err == nil {
		rule.text = shortened("chain " + r.key(r.Chain) + ": " + string(text))
	}
	rule.takes = func(port int) bool {
		return !slices.ContainsFunc(conditions, func(holds func(int) bool) bool { return !holds(port) })
	}
	return rule, rule.does != ""
}

// match is one condition; ok is false for one that is not understood.
func (r nftRule) match(raw json.RawMessage, sets map[string]json.RawMessage) (holds func(int) bool, ok bool) {
	var m struct {
		Op          string
		Left, Right json.RawMessage
	}
	var left struct {
		Payload *struct{ Protocol, Field string }
		Meta    *struct{ Key string }
	}
	if json.Unmarshal(raw, &m) != nil || m.Op != "==" || json.Unmarshal(m.Left, &left) != nil {
		return nil, false
	}
	always := func(holds bool) func(int) bool { return func(int) bool { return holds } }
	switch {
	case left.Payload != nil && left.Payload.Field == "dport":
		var set string
		if json.Unmarshal(m.Right, &set) == nil && strings.HasPrefix(set, "@") {
			m.Right = sets[r.key(set[1:])]
		}
		right := left.Payload.Protocol == "tcp" || left.Payload.Protocol == "th"
		return func(port int) bool { return right && holdsPort(m.Right, port, 0) }, true
	case left.Meta != nil && slices.Contains([]string{"iif", "iifname", "oif", "oifname"}, left.Meta.Key):
		return always(string(m.Right) == `"lo"`), true
	case left.Meta != nil && left.Meta.Key == "l4proto":
		return always(string(m.Right) == `"tcp"`), true
	}
	return nil, false
}

// holdsPort looks a port up in a number, a list, {"set":[…]}, {"range":[a,b]} or {"elem":{"val":…}}.
func holdsPort(raw json.RawMessage, port, depth int) bool {
	var n int
	if json.Unmarshal(raw, &n) == nil {
		return n == port
	}
	if depth > 3 {
		return false
	}
	in := func(m json.RawMessage) bool { return holdsPort(m, port, depth+1) }
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		return slices.ContainsFunc(list, in)
	}
	var group struct {
		Set   []json.RawMessage
		Range []int
		Elem  *struct{ Val json.RawMessage }
	}
	if json.Unmarshal(raw, &group) != nil {
		return false
	}
	switch {
	case len(group.Range) == 2:
		return group.Range[0] <= port && port <= group.Range[1]
	case group.Elem != nil:
		return in(group.Elem.Val)
	}
	return slices.ContainsFunc(group.Set, in)
}

// iptablesFilters is like nftFilters for iptables-save(8).
func iptablesFilters(text []byte, ports []int) ([]string, error) {
	s := ruleset{denies: map[string]string{}, rules: map[string][]filterRule{}}
	table := ""
	for line := range bytes.Lines(text) {
		words := strings.Fields(strings.ToValidUTF8(string(line), "?"))
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "*"):
			table = words[0][1:]
		case table == "nat" || len(words) < 2:
		case strings.HasPrefix(words[0], ":"):
			chain := words[0][1:]
			if chain != "INPUT" && chain != "OUTPUT" {
				continue
			}
			s.bases = append(s.bases, table+" "+chain)
			if words[1] == "DROP" {
				s.denies[table+" "+chain] = "-t " + table + " -P " + chain + " DROP"
			}
		case words[0] == "-A":
			if r, ok := iptablesRule(words[2:]); ok {
				r.text, r.target = shortened("-t "+table+" "+strings.Join(words, " ")), table+" "+r.target
				s.rules[table+" "+words[1]] = append(s.rules[table+" "+words[1]], r)
			}
		}
	}
	return s.against(ports), nil
}

// iptablesRule reads the conditions and the target of one rule; ok is false where one
// is not understood, or leaves the loopback out.
func iptablesRule(words []string) (r filterRule, ok bool) {
	r.takes = func(int) bool { return true }
	for i := 0; i < len(words); i += 2 {
		value := ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		switch words[i] {
		case "-p":
			if value != "tcp" {
				return r, false
			}
		case "-m", "--reject-with":
		case "--comment":
			for strings.HasPrefix(value, `"`) && i+2 < len(words) && !strings.HasSuffix(words[i+1], `"`) {
				i++
			}
		case "-i", "-o":
			if value != "lo" {
				return r, false
			}
		case "--dport", "--dports":
			r.takes = func(port int) bool { return inPorts(value, port) }
		case "-j", "-g":
			r.target = value
			switch value {
			case "ACCEPT", "DROP", "RETURN":
				r.does = strings.ToLower(value)
			case "REJECT":
				r.does = "drop"
			case "LOG", "NFLOG":
				return r, false
			default:
				r.does = map[string]string{"-j": "jump", "-g": "goto"}[words[i]]
			}
		default:
			return r, false
		}
	}
	return r, r.does != ""
}

// inPorts reads "80", "80:90" and "80,443,8000:8010".
func inPorts(list string, port int) bool {
	for part := range strings.SplitSeq(list, ",") {
		low, high, spans := strings.Cut(part, ":")
		if !spans {
			high = low
		}
		from, err := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err == nil && err2 == nil && from <= port && port <= to {
			return true
		}
	}
	return false
}
