package agent

import (
	"context"

	"wpmend/agent/history"
	"wpmend/agent/redact"
	"wpmend/agent/report"
	"wpmend/agent/site"
)

// Report tells an incident to somebody outside, without the site's secrets.
func (a *Agent) Report(ctx context.Context, id string) (report.Report, error) {
	i, err := a.history.Get(id)
	if err != nil {
		return report.Report{}, err
	}
	return a.ReportOf(ctx, i), nil
}

// ReportOf is Report of an incident at hand, of which something may have been left out.
func (a *Agent) ReportOf(ctx context.Context, i history.Incident) report.Report {
	return report.Of(i, redact.New(a.secrets(ctx, i.Site)...))
}

// secrets are those that the site's wp-config.php holds now. A site that is gone, or
// whose configuration cannot be read, has none that could be known: what shows by its
// form is taken out all the same.
func (a *Agent) secrets(ctx context.Context, ref SiteRef) []string {
	s, err := a.siteAt(ctx, ref.Root)
	if err != nil && s.Root == "" {
		return nil
	}
	c, err := s.Config()
	if err != nil {
		a.log.Warn("the site's secrets cannot be looked up; what shows by its form is taken out", "site", ref.Root, "err", err)
		return nil
	}
	return c.Secrets()
}

// versions are what took part in an incident, as far as is known.
func versions(l *look) []history.Version {
	s := l.site
	list := []history.Version{{Name: "WordPress", Version: s.Version}}
	if s.Handler == site.FPM && s.Master.Config != "" {
		list = append(list, history.Version{Name: "PHP-FPM", Version: s.Master.Binary + ", " + s.Master.Config})
	}
	if s.Gateway.Version != "" {
		list = append(list, history.Version{Name: s.Gateway.Kind, Version: s.Gateway.Version})
	}
	return list
}
