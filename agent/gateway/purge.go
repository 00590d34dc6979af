package gateway

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	maxEntries   = 200_000 // files of a cache that are looked at
	maxEntryHead = 16 << 10
)

// Purge drops the answers with a status of 500 and up that the caches hold for one vhost, and says how many. An entry is
// dropped only if its own header names a key of the vhost's and the file is named by that key's MD5, as nginx names it.
// nginx' own 502 and 504 are not among the files: it keeps them in its memory until fastcgi_cache_valid lets them go
// (ngx_http_file_cache_free), and a missing file is fetched anew.
func Purge(ctx context.Context, caches []Cache) (dropped int, err error) {
	for _, c := range caches {
		n, err := c.purge(ctx)
		dropped += n
		if err != nil {
			return dropped, fmt.Errorf("purge the cache in %s: %w", c.Path, err)
		}
	}
	return dropped, nil
}

func (c Cache) purge(ctx context.Context) (dropped int, err error) {
	root, err := openCache(c.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer root.Close()
	seen := 0
	err = c.walk(root, ".", c.Levels, func(name string) error {
		if seen++; seen > maxEntries {
			return fmt.Errorf("it has more than %d entries", maxEntries)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		head, err := entryHead(root, name)
		if err != nil || !c.drops(path.Base(name), head) {
			return nil // of another kind, or gone already
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		dropped++
		return nil
	})
	return dropped, err
}

// openCache opens a cache's folder, which the gateway's workers own. What leads there must be root's, and it no link:
// then nothing of theirs can lead out of it.
func openCache(dir string) (*os.Root, error) {
	for above := path.Dir(dir); ; above = path.Dir(above) {
		info, err := os.Lstat(above)
		if err != nil {
			return nil, err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || !info.IsDir() || st.Uid != 0 || st.Mode&0o022 != 0 && st.Mode&syscall.S_ISVTX == 0 {
			return nil, fmt.Errorf("the folder %s above it is not root's alone", above)
		}
		if above == "/" {
			break
		}
	}
	was, err := os.Lstat(dir)
	if err != nil {
		return nil, err
	}
	if !was.IsDir() {
		return nil, errors.New("it is no folder")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if now, err := root.Stat("."); err != nil || !os.SameFile(was, now) {
		root.Close()
		return nil, errors.New("it was exchanged meanwhile")
	}
	return root, nil
}

// walk visits the entries: files named by 32 hexadecimal digits, whose last digits name the folders above.
func (c Cache) walk(root *os.Root, dir string, levels []int, visit func(name string) error) error {
	// Whoever owns the folder may have put a FIFO in the place of another meanwhile.
	f, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(1000)
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			switch {
			case !isHex(e.Name()):
			case len(levels) > 0 && e.IsDir() && len(e.Name()) == levels[0]:
				if err := c.walk(root, name, levels[1:], visit); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			case len(levels) == 0 && e.Type().IsRegular() && len(e.Name()) == 2*md5.Size:
				if err := visit(name); err != nil {
					return err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

// entryHead reads the beginning of an entry, and waits for nobody.
func entryHead(root *os.Root, name string) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	return io.ReadAll(io.LimitReader(f, maxEntryHead))
}

// drops says whether an entry of this name holds an error of the vhost's.
func (c Cache) drops(name string, head []byte) bool {
	key, status, ok := parseEntry(head)
	sum := md5.Sum(key)
	return ok && status >= 500 && hex.EncodeToString(sum[:]) == name &&
		slices.ContainsFunc(c.Prefixes, func(p string) bool { return p != "" && bytes.HasPrefix(key, []byte(p)) })
}

// parseEntry reads an entry: a binary header, "\nKEY: …\n" (ngx_http_file_cache_create_key, _set_header), then what the
// server behind answered: "HTTP/1.1 500 …" of proxy_pass; of fastcgi_pass the records as they came, with a Status line or
// none in them.
func parseEntry(head []byte) (key []byte, status int, ok bool) {
	_, rest, ok := bytes.Cut(head, []byte("\nKEY: "))
	if !ok {
		return nil, 0, false
	}
	key, answer, ok := bytes.Cut(rest, []byte("\n"))
	if !ok {
		return nil, 0, false
	}
	lines, _, whole := bytes.Cut(unframed(answer), []byte("\r\n\r\n"))
	if !whole {
		return nil, 0, false
	}
	for i, line := range strings.Split(string(lines), "\r\n") {
		words := strings.Fields(line)
		if len(words) < 2 || !(i == 0 && strings.HasPrefix(words[0], "HTTP/")) && !strings.EqualFold(words[0], "Status:") {
			continue
		}
		status, err := strconv.Atoi(words[1])
		return key, status, err == nil
	}
	return key, 200, true
}

// unframed is what FastCGI records carry of an answer, without what PHP wrote to stderr; other answers stay as they are.
func unframed(answer []byte) []byte {
	const version, stdout, head = 1, 6, 8 // FCGI_Header
	var out []byte
	for len(answer) >= head && answer[0] == version {
		length, padding := int(answer[4])<<8|int(answer[5]), int(answer[6])
		content := answer[head:min(head+length, len(answer))]
		if answer[1] == stdout {
			out = append(out, content...)
		}
		if bytes.Contains(out, []byte("\r\n\r\n")) {
			break // the body follows without records
		}
		answer = answer[min(head+length+padding, len(answer)):]
	}
	if out == nil {
		return answer
	}
	return out
}
