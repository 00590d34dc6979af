package metrics

import (
	"slices"

	"wpmend/agent/config"
	"wpmend/agent/diagnose"
	"wpmend/agent/history"
	"wpmend/agent/policy"
	"wpmend/agent/probe"
)

// other is the label of whatever is not in its list.
const other = "other"

// bounded keeps a label within its list.
func bounded(list []string, value string) string {
	if slices.Contains(list, value) {
		return value
	}
	return other
}

// The lists. Every value is there from the start, with 0: an alert on increase() would
// miss the first time otherwise.

func routes() []string { return words(probe.Front, probe.Pool, probe.Shadow) }

func outcomes() []string {
	return words(probe.Healthy, probe.BadGateway, probe.GatewayTimeout, probe.Unavailable, probe.Unreachable, probe.Fatal, probe.Blank,
		probe.Incomplete, probe.DBError, probe.Maintenance, probe.Barred, probe.Unknown)
}

// ends are the states that an incident may end in.
func ends() []string {
	return []string{history.Resolved, history.Transient, history.Escalated, history.Undone}
}

func reasons() []string {
	return words(policy.BudgetSite, policy.BudgetPool, policy.BudgetHost, policy.BudgetMaster, policy.CulpritReturns, policy.Flapping,
		policy.SuggestOnly, policy.Unsolved, policy.Stopped)
}

func causes() []string { return diagnose.Names() }

func remedies() []string {
	return []string{diagnose.RemedyDisable, diagnose.RemedyStartFPM, diagnose.RemedyRestartFPM, diagnose.RemedyReloadFPM, diagnose.RemedyEndWorkers,
		diagnose.RemedyRaiseLimit, diagnose.RemedyAddWorkers, diagnose.RemedyTuneGateway, diagnose.RemedyMaintenance, diagnose.RemedyPurge}
}

// kinds are those of components, as their ids begin.
func kinds() []string { return []string{"plugin", "theme", "mu-plugin", "drop-in"} }

func modes() []string { return words(config.Heal, config.Suggest, config.Observe) }

func verdicts() []string { return []string{"found", "healthy", "elsewhere", "undecided", "error"} }

// works are the kinds of jobs, and workEnds how they end.
func works() []string    { return []string{"check", "bisect", "heal"} }
func workEnds() []string { return []string{"done", "failed", "cancelled"} }

func words[T ~string](values ...T) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	return list
}
