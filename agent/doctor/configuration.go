package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"wpmend/agent/config"
)

func (h *host) configuration() []Finding {
	s := &sheet{area: "configuration"}
	c, err := h.Load()
	if err != nil {
		do := "wpmend config check"
		if e := (*config.Error)(nil); errors.As(err, &e) && e.Remedy != "" {
			do = e.Remedy
		}
		s.bad("configuration", do, "it is refused, so the service does not start with it, and what follows is looked at as if there were none: %v", err)
		h.config = config.Default()
		return s.findings
	}
	h.config, h.configOK = c, true
	switch {
	case len(c.Files) > 0:
		s.ok("configuration", "%s: read and valid", strings.Join(c.Files, ", "))
	case errors.Is(lookAt(h.ConfigFile), fs.ErrNotExist):
		s.ok("configuration", "there is no %s: what is built in holds", h.ConfigFile)
	default:
		s.ok("configuration", "what is built in holds")
	}
	switch c.Mode {
	case config.Heal:
		s.ok("mode", "heal: wpmend mends by itself what it can prove%s", from(c, "mode"))
	default:
		s.warn("mode", `mode = "heal" lets it mend by itself; wpmend heal SITE works in every mode`, "%q: wpmend by itself changes nothing%s", string(c.Mode), from(c, "mode"))
	}
	for _, n := range c.Notes(nil) {
		s.warn("configuration, sections", "wpmend config check", "%s", n)
	}
	return s.findings
}

// from says where a value was set, if not here.
func from(c config.Config, key string) string {
	for _, k := range c.Keys() {
		if k.Name == key && k.Origin != (config.Origin{}) {
			return fmt.Sprintf(" (%s)", k.Origin)
		}
	}
	return ""
}

func lookAt(file string) error {
	_, err := os.Lstat(file)
	return err
}
