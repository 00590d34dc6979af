package site

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"wpmend/agent/gateway"
	"wpmend/php/fpm"
)

// memoryFile holds the servers that were seen running, below the state folder.
const memoryFile = "host.json"

// Recall reads what Remember wrote; nothing remembered is an empty Host. A broken
// file is an error: the caller goes on with what runs now.
func Recall(state string) (Host, error) {
	file := filepath.Join(state, memoryFile)
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Host{}, nil
	}
	if err != nil {
		return Host{}, fmt.Errorf("read what was seen before: %w", err)
	}
	defer f.Close()
	h, err := readHost(f)
	if err != nil {
		return Host{}, fmt.Errorf("read what was seen before: %s: %w: remove the file; it is written anew", file, err)
	}
	return h, nil
}

// entry is one line of the file. A server's vhosts and pools follow it, each on a line of its own, so that neither
// writing nor reading thousands takes memory for all at once.
type entry struct {
	Gateway *gateway.Gateway `json:"gateway,omitempty"`
	Vhost   *gateway.Vhost   `json:"vhost,omitempty"`
	Master  *fpm.Master      `json:"master,omitempty"`
	Pool    *fpm.Pool        `json:"pool,omitempty"`

	// The whole of it, as wpmend 0.1 wrote it: what it has seen must not be lost by an upgrade while a server is down.
	Gateways []gateway.Gateway `json:",omitempty"`
	Masters  []fpm.Master      `json:",omitempty"`
}

func readHost(from io.Reader) (Host, error) {
	var h Host
	d := json.NewDecoder(bufio.NewReaderSize(from, 64<<10))
	d.DisallowUnknownFields() // the file of another version
	for {
		var e entry
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		gateways, masters := len(h.Gateways), len(h.Masters)
		switch {
		case err != nil:
			return Host{}, err
		case len(e.Gateways)+len(e.Masters) > 0:
			h.Gateways, h.Masters = append(h.Gateways, e.Gateways...), append(h.Masters, e.Masters...)
		case e.Gateway != nil:
			h.Gateways = append(h.Gateways, *e.Gateway)
		case e.Master != nil:
			h.Masters = append(h.Masters, *e.Master)
		case e.Vhost != nil && gateways > 0:
			h.Gateways[gateways-1].Vhosts = append(h.Gateways[gateways-1].Vhosts, *e.Vhost)
		case e.Pool != nil && masters > 0:
			h.Masters[masters-1].Pools = append(h.Masters[masters-1].Pools, *e.Pool)
		default:
			return Host{}, errors.New("a line of it names no server")
		}
	}
}

func (h Host) write(to io.Writer) error {
	b := bufio.NewWriterSize(to, 64<<10)
	out := json.NewEncoder(b)
	out.SetEscapeHTML(false)
	for _, g := range h.Gateways {
		vhosts := g.Vhosts
		g.Vhosts = nil
		if err := out.Encode(entry{Gateway: &g}); err != nil {
			return err
		}
		for i := range vhosts {
			if err := out.Encode(entry{Vhost: &vhosts[i]}); err != nil {
				return err
			}
		}
	}
	for _, m := range h.Masters {
		pools := m.Pools
		m.Pools = nil
		if err := out.Encode(entry{Master: &m}); err != nil {
			return err
		}
		for i := range pools {
			if err := out.Encode(entry{Pool: &pools[i]}); err != nil {
				return err
			}
		}
	}
	return b.Flush()
}

// Remember writes the servers of h for the next run. Losing it costs nothing but
// the chance to start a server that nobody saw running, so it is replaced
// atomically but not synced.
func (h Host) Remember(state string) error {
	if err := os.MkdirAll(state, 0o700); err != nil {
		return fmt.Errorf("remember the host: %w", err)
	}
	dir, err := os.Open(state)
	if err != nil {
		return fmt.Errorf("remember the host: %w", err)
	}
	defer dir.Close()
	// Held until the end, so that all writers can use one name: nothing piles up when
	// they die.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("remember the host: lock %s: %w", state, err)
	}
	fresh := filepath.Join(state, "."+memoryFile+".new")
	if err = h.writeTo(fresh); err == nil {
		err = os.Rename(fresh, filepath.Join(state, memoryFile))
	}
	if err != nil {
		return fmt.Errorf("remember the host: %w", errors.Join(err, os.Remove(fresh)))
	}
	return nil
}

func (h Host) writeTo(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(h.write(f), f.Close())
}
