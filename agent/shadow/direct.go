package shadow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"wpmend/agent/probe"
	"wpmend/php/fcgi"
	"wpmend/wp"
)

const (
	// directTimeout bounds what the prepend answers by itself, before any plugin.
	directTimeout = 30 * time.Second
	// maxDirect bounds its answer in bytes.
	maxDirect = 1 << 20
	// maxRefusal is more than the prepend says of a user that is not there.
	maxRefusal = 256
)

// read asks for what the prepend itself answers and gives the body.
func (s *Shadow) read(ctx context.Context, c *copied, q Question) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, directTimeout)
	defer cancel()
	params, err := probe.RequestParams(s.site, probe.Request{Target: probe.Uncached(q.Target), Method: q.Method, Cookie: q.Cookie})
	if err != nil {
		return nil, err
	}
	wp.TakeGatewayPrepend(params)
	params[wp.MaskParam] = q.Mask.Encode()
	answer, err := fcgi.Do(ctx, "unix", c.private.Socket(), fcgi.Request{Params: params}, fcgi.Limits{Body: maxDirect})
	if err != nil {
		return nil, c.failure(err)
	}
	return answer.Body, nil
}

// failure tells what a copy's death did from what the site's code did.
func (c *copied) failure(err error) error {
	var conn *fcgi.ConnError
	if errors.As(err, &conn) && (conn.Op == "dial" || c.dies()) {
		return fmt.Errorf("%w: %w", errDead, err)
	}
	return err
}

// userThere looks whether a short answer means that the login is no user's.
func (s *Shadow) userThere(ctx context.Context, c *copied, q Question) error {
	q.Mask.Nonce = rand.Text()
	body, err := s.read(ctx, c, q)
	if errors.Is(err, errDead) {
		return err
	}
	if err == nil && q.Mask.NoSuchUser(body) {
		return &NoUserError{Login: q.Mask.AsUser, Site: s.site.Domain}
	}
	// The site failed this time: its answer stands as it was judged.
	return nil
}

// NoUserError says that a question was to be asked as somebody the site does not know.
type NoUserError struct{ Login, Site string }

func (e *NoUserError) Error() string { return fmt.Sprintf("%q is no user of %s", e.Login, e.Site) }
