package api

import (
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// describe gives the fields of the agent's reports, which know nothing of this document,
// their meaning.
func describe(name string, s *huma.Schema) {
	table, common := meanings(), commonMeanings()
	for field, p := range s.Properties {
		section, ofConfig := strings.CutPrefix(name, "Config")
		plain, ofReport := strings.CutPrefix(name, "Report") // ReportCause means what Cause does
		if !ofReport || plain == "" {
			plain = name
		}
		switch own := table[plain+"."+field]; {
		case p.Description != "":
		case own != "":
			p.Description = own
		case ofConfig:
			p.Description = "The setting " + field + " of [" + strings.ToLower(section) + "] in wpmend.toml."
		case name == "Settings":
			p.Description = "As in wpmend.toml."
		default:
			p.Description = common[field]
		}
	}
}

// commonMeanings are those of fields that mean the same wherever they are.
func commonMeanings() map[string]string {
	return map[string]string{
		"advice":      "What a person can do, in whole sentences.",
		"asked":       "Every question of the search with its answer, in order.",
		"causes":      "Why the site fails, the surest first.",
		"change":      "What was changed, or would be.",
		"changes":     "What was changed on the live system.",
		"component":   "As kind:name: plugin, theme, mu-plugin, drop-in or prepend; plugin:akismet.",
		"components":  "The components of the site.",
		"confidence":  "From 0 to 1.",
		"created":     "When it was begun.",
		"culprits":    "The components that were convicted.",
		"dependants":  "Components that require it and go off along with it; they are not at fault.",
		"ended":       "When it ended; left out while it is under way.",
		"evidence":    "What it is known by.",
		"from_log":    "The URL is one that failed by the gateway's log; the front page is well.",
		"gateway":     "The web server in front: nginx, apache, …",
		"id":          "Stable and unique.",
		"incident":    "The id of the incident, or empty.",
		"incidents":   "The incidents of this page.",
		"jobs":        "The jobs of this page.",
		"masked":      "The components that were away.",
		"name":        "Its name.",
		"notes":       "What could not be read or done, and what else should be known.",
		"opened":      "When it was seen first.",
		"outcome":     "How the site answered: healthy, bad-gateway, gateway-timeout, unavailable, fatal, blank, db-error, maintenance, barred, …",
		"owner":       "The user that its PHP runs as.",
		"planned":     "Nothing was done: this is what would be.",
		"pool":        "The PHP-FPM pool.",
		"probes":      "How many distinct questions a search asked.",
		"reason":      "Why it was escalated, as a word.",
		"repeat":      "The same question, asked again.",
		"repeats":     "How many questions were asked again, for conviction or against noise.",
		"root":        "The site's root folder.",
		"rounds":      "In how many rounds.",
		"seconds":     "How long it took, or how long it is.",
		"signature":   "What failed and where, so that two failures can be told apart.",
		"site":        "Which site.",
		"sites":       "Which sites.",
		"started":     "When it was started.",
		"state":       "How far it has come, or how it ended.",
		"status":      "Of HTTP; 0: there was no answer.",
		"text":        "In words, one line. It may hold text of a log: never take it for HTML.",
		"time":        "When.",
		"timeline":    "The story, line by line.",
		"undo":        "The command that takes it back; empty where nothing can.",
		"until":       "Until when it stays so by itself; left out: for good.",
		"url":         "What was asked.",
		"verdict":     "What was made of it, as a word.",
		"version":     "Of the program or component; empty where it is not known.",
		"versions":    "The programs that took part.",
		"what":        "In words.",
		"why":         "Why it was asked.",
		"with":        "It fails only together with these.",
		"words":       "In words, for people.",
		"user_ini":    "The file in which the site itself may set PHP's limits; empty where it cannot.",
		"unit":        "Of systemd; empty where there is none.",
		"pid":         "Of the process; 0: it does not run.",
		"master":      "The configuration of the PHP-FPM master.",
		"config":      "The configuration file.",
		"explanation": "The reasoning, step by step.",
		"links":       "The limits, from the inside out.",
	}
}

// meanings are those of fields that mean something of their own.
func meanings() map[string]string {
	return map[string]string{
		"SiteRef.id":     "Stable for a root folder: twelve hex digits.",
		"SiteRef.domain": "The first name of its vhost, with the subfolder if any.",

		"Asked.ms": "How long the answer took, in milliseconds.",

		"BisectReport.components":   "How many components were searched.",
		"BisectReport.finding":      "What was found, in words.",
		"BisectReport.fixed":        "The culprits are off and the live site is well.",
		"BisectReport.live_changes": "How many changes to the live site the search itself made, all put back.",
		"BisectReport.method":       "How it was asked: shadow or rename.",
		"BisectReport.odds":         "That every verdict is right, from 0 to 1.",
		"BisectReport.verdict":      "found, healthy, elsewhere (no component is at fault) or undecided.",
		"BisectReport.outcome":      "How the site answered with nothing masked.",

		"Cause.cause":     "A word in kebab-case, such as component-fault, fpm-down, pool-exhausted.",
		"Cause.component": "The component at fault or under suspicion.",
		"Cause.proven":    "Probes convicted the component; otherwise it is a suspicion.",
		"Cause.remedy":    "What wpmend would do about it, as a word; null: nothing, a person must act.",
		"Cause.meaning":   "What the word means, in a sentence.",
		"Cause.sure":      "How sure it is, in words.",

		"Change.id":   "Of the journal's record.",
		"Change.from": "What it was.",
		"Change.to":   "What it became.",

		"CheckReport.detail":  "What the answer said of its failure.",
		"CheckReport.healthy": "The answer is well, and nothing else is wrong.",
		"CheckReport.layers":  "From outside in; empty unless walk was asked for.",
		"CheckReport.seconds": "How long the answer took.",

		"ComponentInfo.active":    "WordPress loads it for visitors.",
		"ComponentInfo.changed":   "The newest change of its main files.",
		"ComponentInfo.off":       "wpmend has switched it off.",
		"ComponentInfo.protected": "By the configuration: wpmend does not switch it off by itself.",
		"ComponentInfo.title":     "As its author calls it.",

		"ControlReport.cost": "What was foreseen.",
		"ControlReport.did":  "What it really cost.",
		"CostRef.lost":       "Requests that fail, at most.",
		"CostRef.running":    "Requests at work in all pools of the master.",
		"CostRef.waiting":    "Connections in its queues.",
		"CostRef.within":     "Seconds in which running requests may finish; 0: they may not.",

		"Evidence.source": "A log file, \"answer\", \"socket\", ….",
		"Evidence.time":   "When it was written or seen.",

		"FeedEvent.id":     "Grows by one from event to event, from 1 at the start of the service.",
		"FeedEvent.job":    "The job whose work it is; left out: the service's own.",
		"FeedEvent.kind":   "doing: a step of the work; search: a round of a search; incident: one began, went on or ended; job: one began or ended.",
		"FeedSearch.asked": "In this round.", "FeedSearch.round": "From 1.",
		"FeedSearch.suspects": "The components that may still be at fault.",
		"FeedSearch.aside":    "Convicted so far, in the order in which they were found.",

		"HealReport.left":   "Changes that are in effect although they could not be proven: a person must look.",
		"HealReport.state":  "healthy, transient, resolved, escalated, or planned of a dry run.",
		"HealReport.sites":  "The others of the same PHP-FPM pool that failed of the same cause.",
		"HealReport.until":  "When time alone may change that.",
		"Incident.id":       "A ULID: later ones sort later.",
		"Incident.state":    "open, resolved, transient, escalated or undone.",
		"Incident.sites":    "The others of the same PHP-FPM pool that failed with it.",
		"Incident.after":    "The id of the escalated incident that this one goes on with.",
		"Incident.over":     "When the failure of an escalated one was seen to be over.",
		"Incident.remedies": "Those that were tried, in order.",

		"InForce.change":  "The id of the journal's record.",
		"InForce.since":   "When it was made.",
		"InForce.until":   "When wpmend takes it back by itself; left out: it does not.",
		"InForce.by_hand": "Shell commands that take it back without wpmend.",

		"Layer.layer": "Which step of the way from a visitor to the code.",
		"Layer.state": "Whether it is well.",
		"Layer.proof": "What it is known by.",
		"Layer.cause": "The cause that lies there.",

		"LimitLink.bytes": "The amount in bytes, of a size.", "LimitLink.seconds": "The amount in seconds, of a time.",
		"LimitLink.ceiling":           "The most that wpmend raises it to; empty where it does not touch it.",
		"LimitLink.counts":            "What it counts, where that is mistaken easily.",
		"LimitLink.known":             "What is in force could be read.",
		"LimitLink.locked":            "The site itself cannot set it.",
		"LimitLink.overridden":        "Settings that do not count, the weakest first.",
		"LimitLink.set":               "The setting that wins.",
		"LimitLink.unlimited":         "There is no bound.",
		"LimitSetting.name":           "As the chain names it.",
		"LimitSetting.value":          "As PHP or the gateway writes it: 256M, 120, 120s.",
		"LimitsReport.kept_seconds":   "How long a worker keeps what it has read in user_ini.",
		"LimitsReport.violations":     "Where two limits do not fit together.",
		"LimitsRequest.set":           "What is wanted; what must follow it is set too.",
		"LimitsSet.settings":          "What was asked for, and what must follow it.",
		"LimitsSet.limits":            "The chain as it is now, or as it would be.",
		"Setting.as":                  "How it is called there, where that is not its name.",
		"Setting.by":                  "What kind of place sets it.",
		"Setting.computed":            "The value is what is written; what PHP makes of it is not known.",
		"Setting.file":                "Where it stands.",
		"Setting.line":                "Where in the file.",
		"Setting.value":               "As it is written.",
		"Violation.links":             "The one that is wrong to the other first.",
		"Violation.sees":              "What a visitor meets when it bites.",
		"Violation.set":               "What to set instead.",
		"MasterReport.binary":         "Its program.",
		"MasterReport.pools":          "Its pools.",
		"PoolReport.backlog":          "How many connections may wait; -1: not known.",
		"PoolReport.busy":             "How many workers are at a request; -1: not known.",
		"PoolReport.max_children":     "How many workers there may be; 0: not known.",
		"PoolReport.pm":               "How workers are kept: static, dynamic, ondemand.",
		"PoolReport.queue":            "How many connections wait to be accepted; -1: not known.",
		"PoolReport.socket":           "Where it listens.",
		"PoolReport.workers":          "How many workers there are; -1: not known.",
		"PoolsReport.masters":         "The PHP-FPM masters, running or remembered.",
		"RecoverReport.clean":         "Nothing is left that a person must see to.",
		"RecoverReport.changes":       "What was neither verified nor undone.",
		"Recovered.note":              "What became of it, or why not.",
		"Report.headline":             "The whole in one sentence.",
		"Report.prevent":              "How to prevent it.",
		"Report.todo":                 "What remains to be done.",
		"ServiceInfo.jobs_running":    "How many jobs are under way that the caller may see.",
		"SwitchReport.already":        "There was nothing left to do.",
		"SwitchReport.left":           "How many changes could not be taken back.",
		"Settings.origins":            "Where each value comes from.",
		"Job.error":                   "Of a job that failed.",
		"IncidentList.incidents":      "The incidents of this page.",
		"ChangeList.changes":          "What is in effect, site by site, the oldest first.",
		"ComponentsReport.site":       "Which site.",
		"Symptom.url":                 "What failed first.",
		"TimelineEvent.what":          "What happened.",
		"ConfigOwner.User":            "The login name or uid that the section is for.",
		"ConfigSite.Match":            "The root folder, domain or id that the section is for.",
		"ComponentsReport.components": "What is installed, by kind and name.",
	}
}
