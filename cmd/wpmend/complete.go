package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"wpmend/agent"
	"wpmend/agent/history"
	"wpmend/agent/site"
)

const (
	// completeWithin is how long a person waits for the Tab key at most.
	completeWithin = 1500 * time.Millisecond
	completeMost   = "200"
)

// completes lets the shell complete what the commands' Use lines name: sites, components
// and incidents, by the running service, else by what is remembered of the host.
func (in *invocation) completes(root *cobra.Command) {
	for _, c := range commands(root) {
		words := strings.Fields(c.Use)[1:]
		if len(words) > 0 {
			c.ValidArgsFunction = func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
				if len(args) >= len(words) {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				switch word := strings.Trim(words[len(args)], "[]"); word {
				case "DIR":
					return nil, cobra.ShellCompDirectiveFilterDirs
				case "ID":
					return in.knownIncidents(), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
				case "COMPONENT":
					return in.knownComponents(args[0], c.Name() == "enable"), cobra.ShellCompDirectiveNoFileComp
				default:
					if !strings.HasPrefix(word, "SITE") {
						return nil, cobra.ShellCompDirectiveNoFileComp
					}
					return in.knownSites(begun), cobra.ShellCompDirectiveNoFileComp
				}
			}
		} else if c.ValidArgsFunction == nil {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		for flag, values := range map[string][]string{"method": {agent.MethodAuto, agent.MethodShadow, agent.MethodRename}, "format": {"text", "json", "html"}, "method-of-request": {"GET", "HEAD", "POST"}} {
			if c.LocalNonPersistentFlags().Lookup(flag) != nil {
				// It fails only for a flag that is not there, or done twice.
				_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
			}
		}
	}
	for _, dir := range []string{"state", "only"} {
		_ = root.MarkPersistentFlagDirname(dir) // as above
	}
	_ = root.MarkPersistentFlagFilename("config", "toml")
}

// ask gets something of the service, as who presses the key; false: there is none.
func (in *invocation) ask(path string, into any) bool {
	conf, err := in.load()
	if err != nil || conf.API.Socket == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", conf.API.Socket)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://wpmend"+path, nil)
	if err != nil {
		return false
	}
	answer, err := client.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK && json.NewDecoder(answer.Body).Decode(into) == nil
}

func (in *invocation) knownSites(begun string) (names []string) {
	var list struct{ Sites []agent.SiteInfo }
	if in.ask("/v1/sites?limit="+completeMost+"&q="+url.QueryEscape(begun), &list) {
		for _, s := range list.Sites {
			names = offer(names, s.Domain, s.Root)
		}
		return names
	}
	if os.Geteuid() != 0 {
		return nil
	}
	conf, err := in.load()
	if err != nil {
		return nil
	}
	host, err := site.Recall(in.state)
	if err != nil {
		return nil
	}
	for _, g := range host.Gateways {
		for _, v := range g.Vhosts {
			if !conf.Includes(v.Root) {
				continue // what is remembered is all of the host
			}
			for _, name := range v.Names {
				if strings.HasPrefix(name, begun) && !strings.ContainsAny(name, "*~^") && name != "_" {
					names = offer(names, name, "")
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (in *invocation) knownComponents(of string, off bool) (names []string) {
	var list agent.ComponentsReport
	if !in.ask("/v1/sites/"+url.PathEscape(of)+"/components", &list) {
		return nil
	}
	for _, c := range list.Components {
		if c.Off == off {
			names = offer(names, c.Component, c.Title+" "+c.Version)
		}
	}
	return names
}

func (in *invocation) knownIncidents() (ids []string) {
	var list struct{ Incidents []history.Incident }
	if !in.ask("/v1/incidents?limit=50", &list) {
		conf, err := in.load()
		if err != nil || os.Geteuid() != 0 {
			return nil
		}
		a, err := agent.Open(agent.Options{Config: conf, State: in.state})
		if err != nil {
			return nil
		}
		if list.Incidents, _, err = a.Incidents(50); err != nil {
			return nil
		}
	}
	for _, i := range list.Incidents {
		ids = offer(ids, i.ID, fmt.Sprintf("%s %s: %s %s", i.Opened.Local().Format("2006-01-02 15:04"), i.Site.Domain, i.Symptom.Outcome, i.State))
	}
	return ids
}

// offer adds a word with what it means, for shells that show it. A name that could do
// something to a shell is left out.
func offer(words []string, word, meaning string) []string {
	if word == "" || quote(word) != word {
		return words
	}
	if meaning = strings.TrimSpace(printable(meaning)); meaning != "" {
		word += "\t" + meaning
	}
	return append(words, word)
}
