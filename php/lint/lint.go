// Package lint asks PHP whether code parses. It runs no line of it: `php -l` compiles
// what it reads from its standard input, as a user of the caller's choice that is never
// root, without php.ini, environment or a right to more rights, bounded in processor
// time, memory, time and output.
//
// It refuses to know where code comes from and what a fault in it means.
package lint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"wpmend/php/transient"
)

// Bounds on one file. PHP compiles WordPress' largest, of 600 kB, in 50 ms and 40 MB.
const (
	MaxCode    = 4 << 20 // bytes
	maxTime    = 5 * time.Second
	maxWords   = 16 << 10 // bytes of PHP's own words
	memoryHint = "256M"   // memory_limit
	// bounds: 3 s of processor time, 512 MiB of address space, no file, no core. A limit that is lower already stays.
	bounds = `ulimit -t 3; ulimit -v 524288; ulimit -f 0; ulimit -c 0; exec "$@"`
)

// PHP is a command-line PHP and whom it runs as.
type PHP struct {
	Binary   string // absolute; see [CLI]
	UID, GID uint32 // never root's
	// ShortTags is short_open_tag: whether "<?" begins code.
	ShortTags bool
}

// Fault is where PHP stops understanding.
type Fault struct {
	Line int // from 1
	Text string
}

// errRoot: whatever reads a site's files has no more rights than the site.
var errRoot = errors.New("code of a site is not read as root")

// Lint asks PHP about the code of one file. A nil Fault: it parses. An error means
// that it is not known.
func (p PHP) Lint(ctx context.Context, code []byte) (*Fault, error) {
	if p.UID == 0 || p.GID == 0 {
		return nil, fmt.Errorf("lint: %w", errRoot)
	}
	if len(code) > MaxCode {
		return nil, fmt.Errorf("lint: the file has %d bytes, more than the %d that are looked at", len(code), MaxCode)
	}
	fault, err := p.run(ctx, code)
	if err != nil {
		return nil, fmt.Errorf("lint with %s: %w", p.Binary, err)
	}
	return fault, nil
}

func (p PHP) run(ctx context.Context, code []byte) (*Fault, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	// A shell can bound itself; to bound another user's process takes CAP_SYS_RESOURCE.
	cmd := exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", bounds, "sh", p.Binary}, p.arguments()...)...)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: p.UID, Gid: p.GID}}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	words := &words{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(code), words, words
	err := transient.Run(ctx, cmd, transient.Options{Time: maxTime, Memory: "512M", Tasks: 16, NoNewPrivs: true})
	return verdict(ctx, err, words.kept.String())
}

// arguments leave nothing to php.ini.
func (p PHP) arguments() []string {
	short := "0"
	if p.ShortTags {
		short = "1"
	}
	return []string{"-n", "-d", "short_open_tag=" + short, "-d", "display_errors=1", "-d", "log_errors=0", "-d", "html_errors=0",
		"-d", "error_reporting=" + strconv.Itoa(1|4|16|64), // E_ERROR, E_PARSE, E_CORE_ERROR, E_COMPILE_ERROR
		"-d", "memory_limit=" + memoryHint, "-l"}
}

// message is PHP's: main/main.c, php_error_cb. The place comes last, since the text
// before it holds names of the code's choosing.
var message = regexp.MustCompile(`(?s)^(?:PHP )?(Parse error|Fatal error): +(.*) in Standard input code on line (\d+)\s*(?:\n.*)?$`)

func verdict(ctx context.Context, ended error, said string) (*Fault, error) {
	var exit transient.Exit
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case ended == nil:
		return nil, nil
	case errors.As(ended, &exit) && exit.ExitCode() == 255: // php_cli.c: of a file that does not compile
		if f, ok := parse(said); ok {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ended, strings.ToValidUTF8(strings.TrimSpace(said), "?"))
}

// parse reads what `php -l` prints of a file that does not parse.
func parse(said string) (*Fault, bool) {
	m := message.FindStringSubmatch(strings.TrimSpace(said))
	if m == nil || strings.HasPrefix(m[2], "Allowed memory size") {
		return nil, false
	}
	line, err := strconv.Atoi(m[3])
	if err != nil || line < 1 {
		return nil, false
	}
	const longest = 500
	text := strings.ToValidUTF8(m[2], "?")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return &Fault{Line: line, Text: text}, true
}

// words keeps the beginning of what PHP says.
type words struct{ kept bytes.Buffer }

func (w *words) Write(b []byte) (int, error) {
	w.kept.Write(b[:min(len(b), maxWords-w.kept.Len())])
	return len(b), nil
}
