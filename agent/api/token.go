package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
)

const (
	leastToken = 32
	mostToken  = 4096
)

// token is what a client of the loopback address must know.
type token struct {
	mu   sync.Mutex
	hash [sha256.Size]byte
	set  bool
	from os.FileInfo // when it was read; nil: there was none
}

// is compares in a time that tells nothing of the token.
func (t *token) is(given string) bool {
	hash := sha256.Sum256([]byte(given))
	t.mu.Lock()
	defer t.mu.Unlock()
	return subtle.ConstantTimeCompare(hash[:], t.hash[:]) == 1 && t.set
}

// use takes the token of a file from now on; without one nobody is let in.
func (t *token) use(file string) error {
	from, statErr := os.Lstat(file)
	text, err := readToken(file)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.from = nil; statErr == nil {
		t.from = from
	}
	t.set = err == nil
	if err != nil {
		t.hash = [sha256.Size]byte{}
		return err
	}
	t.hash = sha256.Sum256([]byte(text))
	return nil
}

// follow takes a token that was exchanged.
func (t *token) follow(file string, log *slog.Logger) {
	now, err := os.Lstat(file)
	t.mu.Lock()
	was := t.from
	t.mu.Unlock()
	if err != nil && was == nil || err == nil && was != nil && os.SameFile(now, was) && now.ModTime().Equal(was.ModTime()) && now.Mode() == was.Mode() {
		return
	}
	if err := t.use(file); err != nil {
		log.Error("the API lets nobody in by a token", "err", err)
		return
	}
	log.Info("the API's token was exchanged", "file", file)
}

// readToken reads a file that only root may read or write.
func readToken(file string) (string, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", fmt.Errorf("the API's token: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("the API's token: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || stat.Uid != 0 || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("the API's token: %s must be a file of root's that nobody else can read or write (chown root: %[1]s; chmod 600 %[1]s)", file)
	}
	data, err := io.ReadAll(io.LimitReader(f, mostToken+1))
	if err != nil {
		return "", fmt.Errorf("the API's token: %w", err)
	}
	text := strings.TrimSpace(string(data))
	switch {
	case len(text) < leastToken || len(data) > mostToken:
		return "", fmt.Errorf("the API's token: %s must hold %d characters or more, as `openssl rand -hex 32` makes them", file, leastToken)
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", errors.New("the API's token: " + file + " holds what no header can carry: only visible ASCII, without spaces")
	}
	return text, nil
}
