package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/agent/config"
)

// api asks the service at its socket, as a panel does.
func (h *host) api(ctx context.Context) []Finding {
	s := &sheet{area: "service"}
	c := h.config.API
	if c.Socket == "" {
		s.ok("API", "it is switched off (api.socket)%s", from(h.config, "api.socket"))
		return s.findings
	}
	version, err := askService(ctx, c.Socket)
	judgeAPI(s, c.Socket, h.running != 0, version, h.Version, err)
	if c.Group != "" {
		if _, err := user.LookupGroup(c.Group); err != nil {
			s.warn("API, group", "groupadd --system "+c.Group+", or correct api.group", "the group %q of api.group does not exist, so only root may act there", c.Group)
		}
	}
	if c.Listen != "" {
		judgeToken(s, c)
	}
	return s.findings
}

// askService gives the version of the service that answers at a socket.
func askService(ctx context.Context, socket string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://wpmend/v1/service", nil)
	if err != nil {
		return "", err
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("it answers %s", res.Status)
	}
	var v struct {
		Version string `json:"version"`
	}
	if err := json.Unmarshal(text, &v); err != nil || v.Version == "" {
		return "", errors.New("what answers there is not wpmend")
	}
	return v.Version, nil
}

func judgeAPI(s *sheet, socket string, running bool, version, own string, err error) {
	const check = "API"
	absent := errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
	switch {
	case err == nil && version != own:
		s.warn("service, program", "systemctl restart wpmend", "the service that runs is version %s, this wpmend is %s", version, own)
	case err == nil:
		s.ok(check, "it answers at %s, version %s", socket, version)
	case absent && !running:
		s.unknown(check, "", "nobody listens at %s, since the service does not run", socket)
	default:
		s.bad(check, "journalctl -u wpmend | grep -i api; systemctl restart wpmend", "the service does not answer at %s: %v. Panels, the page and wpmend's own commands depend on it", socket, err)
	}
}

// leastToken is how long the token must be.
const leastToken = 32

// judgeToken looks at the file with which clients at the TCP port prove who they are.
func judgeToken(s *sheet, c config.API) {
	const check = "API, token"
	do := fmt.Sprintf("install -m 600 /dev/null %s && openssl rand -hex 32 > %s", c.TokenFile, c.TokenFile)
	var st unix.Stat_t
	switch err := unix.Lstat(c.TokenFile, &st); {
	case err != nil:
		s.bad(check, do, "api.listen is set, and its token cannot be read (%s: %v)", c.TokenFile, err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		s.bad(check, do, "%s is no file", c.TokenFile)
	case st.Uid != 0 || st.Mode&0o077 != 0:
		s.bad(check, "chown root: "+c.TokenFile+" && chmod 600 "+c.TokenFile, "%s is not root's alone (uid %d, mode %04o): who reads it may do all that root may here", c.TokenFile, st.Uid, st.Mode&0o7777)
	case st.Size < leastToken:
		s.bad(check, do, "the token in %s is shorter than %d characters", c.TokenFile, leastToken)
	default:
		s.ok(check, "%s is root's alone; clients at %s need it", c.TokenFile, c.Listen)
	}
}
