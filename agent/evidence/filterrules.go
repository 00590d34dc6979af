package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// nftFilters reads `nft -j list ruleset` (libnftables-json(5)): the rules of chains
// that see what comes in or goes out on this host, and of chains that these jump to,
// which drop or reject a TCP port of ours; and a chain whose policy drops what no rule
// of it accepts.
func nftFilters(text []byte, ports []int) ([]string, error) {
	var all struct {
		Nftables []struct {
			Chain *nftChain `json:"chain"`
			Rule  *nftRule  `json:"rule"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("what nft prints cannot be read: %w", err)
	}
	var found []string
	accepted := map[string]bool{} // chains that accept the loopback or one of the ports
	var rules []nftRule
	for _, o := range all.Nftables {
		if o.Rule != nil {
			rules = append(rules, *o.Rule)
		}
	}
	for _, r := range rules {
		verdict, matches := r.says(ports)
		switch {
		case !matches:
		case verdict == "accept":
			accepted[r.chain()] = true
		case verdict == "drop" || verdict == "reject":
			if !accepted[r.chain()] { // the first rule that takes a packet decides
				found = append(found, r.String())
			}
		}
	}
	for _, o := range all.Nftables {
		if c := o.Chain; c != nil && c.Policy == "drop" && (c.Hook == "input" || c.Hook == "output") && !accepted[c.chain()] {
			found = append(found, fmt.Sprintf("chain %s %s %s { policy drop; }", c.Family, c.Table, c.Name))
		}
	}
	return found, nil
}

type nftChain struct {
	Family, Table, Name string
	Hook, Policy        string
}

func (c nftChain) chain() string { return c.Family + " " + c.Table + " " + c.Name }

type nftRule struct {
	Family, Table, Chain string
	Expr                 []map[string]json.RawMessage
}

func (r nftRule) chain() string { return r.Family + " " + r.Table + " " + r.Chain }

// String shows the rule; its expressions are JSON, as nft printed them.
func (r nftRule) String() string {
	text, err := json.Marshal(r.Expr)
	if err != nil {
		text = nil
	}
	return shortened(fmt.Sprintf("chain %s: %s", r.chain(), text))
}

func shortened(rule string) string {
	const longest = 300
	rule = strings.ToValidUTF8(rule, "?")
	if len(rule) > longest {
		rule = strings.ToValidUTF8(rule[:longest], "") + "…"
	}
	return rule
}

// says gives the rule's verdict, and whether it takes a TCP packet on the loopback to
// one of the ports. A condition that is not understood is taken not to hold: a rule
// is only named where it is certain to concern us.
func (r nftRule) says(ports []int) (verdict string, matches bool) {
	narrowed := false // to a port, or to the loopback
	for _, e := range r.Expr {
		for name, raw := range e {
			switch name {
			case "drop", "reject", "accept":
				verdict = name
			case "counter", "log", "limit", "comment":
			case "match":
				holds, narrow := matchHolds(raw, ports)
				if !holds {
					return "", false
				}
				narrowed = narrowed || narrow
			default:
				return "", false // a jump, a set lookup, another verdict
			}
		}
	}
	// A rule without any condition that accepts says as much of us as one for the port.
	return verdict, narrowed || len(r.Expr) > 0 && verdict != ""
}

func matchHolds(raw json.RawMessage, ports []int) (holds, narrow bool) {
	var m struct {
		Op    string
		Left  json.RawMessage
		Right json.RawMessage
	}
	if err := json.Unmarshal(raw, &m); err != nil || m.Op != "==" && m.Op != "in" {
		return false, false
	}
	var left struct {
		Payload *struct{ Protocol, Field string }
		Meta    *struct{ Key string }
	}
	if err := json.Unmarshal(m.Left, &left); err != nil {
		return false, false
	}
	switch {
	case left.Payload != nil && left.Payload.Protocol == "tcp" && left.Payload.Field == "dport",
		left.Payload != nil && left.Payload.Protocol == "th" && left.Payload.Field == "dport":
		return slices.ContainsFunc(ports, func(p int) bool { return holdsPort(m.Right, p, 0) }), true
	case left.Meta != nil && slices.Contains([]string{"iif", "iifname", "oif", "oifname"}, left.Meta.Key):
		return string(m.Right) == `"lo"`, true
	case left.Meta != nil && left.Meta.Key == "l4proto":
		return string(m.Right) == `"tcp"`, false
	}
	return false, false
}

// holdsPort looks a port up in a number, {"set":[…]} or {"range":[a,b]}.
func holdsPort(raw json.RawMessage, port, depth int) bool {
	var n int
	if json.Unmarshal(raw, &n) == nil {
		return n == port
	}
	var group struct {
		Set   []json.RawMessage
		Range []int
	}
	if depth > 2 || json.Unmarshal(raw, &group) != nil {
		return false
	}
	if len(group.Range) == 2 {
		return group.Range[0] <= port && port <= group.Range[1]
	}
	return slices.ContainsFunc(group.Set, func(m json.RawMessage) bool { return holdsPort(m, port, depth+1) })
}

// iptablesFilters reads iptables-save(8): rules of the chains INPUT and OUTPUT that
// drop or reject a TCP port of ours, and their policies. Chains that these jump to
// are read as if each packet came there.
func iptablesFilters(text []byte, ports []int) ([]string, error) {
	var found []string
	accepted := map[string]bool{}
	policies := map[string]string{}
	table := ""
	for line := range bytes.Lines(text) {
		words := strings.Fields(strings.ToValidUTF8(string(line), "?"))
		switch {
		case len(words) == 1 && strings.HasPrefix(words[0], "*"):
			table = words[0][1:]
		case table == "nat" || len(words) < 2:
		case strings.HasPrefix(words[0], ":"):
			if chain := words[0][1:]; chain == "INPUT" || chain == "OUTPUT" {
				policies[chain] = words[1]
			}
		case words[0] == "-A":
			verdict, matches := iptablesRule(words[2:], ports)
			switch {
			case !matches:
			case verdict == "ACCEPT":
				accepted[words[1]] = true
			case (verdict == "DROP" || verdict == "REJECT") && !accepted[words[1]]:
				found = append(found, shortened("-t "+table+" "+strings.Join(words, " ")))
			}
		}
	}
	for _, chain := range []string{"INPUT", "OUTPUT"} {
		if policies[chain] == "DROP" && !accepted[chain] {
			found = append(found, "-P "+chain+" DROP")
		}
	}
	return found, nil
}

// iptablesRule is like [nftRule.says].
func iptablesRule(words []string, ports []int) (verdict string, matches bool) {
	for i := 0; i < len(words); i++ {
		value := ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		switch words[i] {
		case "-p":
			if value != "tcp" {
				return "", false
			}
		case "-m", "--reject-with", "--comment":
			if words[i] == "--comment" && strings.HasPrefix(value, `"`) {
				for i+1 < len(words) && !strings.HasSuffix(words[i+1], `"`) {
					i++
				}
			}
		case "-i", "-o":
			if value != "lo" {
				return "", false
			}
		case "--dport", "--dports":
			if !slices.ContainsFunc(ports, func(p int) bool { return inPorts(value, p) }) {
				return "", false
			}
		case "-j":
			verdict = value
		default:
			return "", false
		}
		i++
	}
	return verdict, verdict != ""
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
