package fpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"wpmend/php/errlog"
	"wpmend/php/process"
	"wpmend/php/transient"
)

// maxLog bounds what is read of a private copy's logs, in bytes; a copy lives a minute.
const maxLog = 1 << 20

// endTimeout is how long the kernel may take to end a namespace.
const endTimeout = 10 * time.Second

// Private is a running private copy of a pool. It lives in a PID namespace of its own, so the PIDs in its logs are not
// the host's; EndWorker takes them as they stand there.
type Private struct {
	live   Master
	pool   Pool
	o      PrivateOptions // as they were given, with php.ini's open_basedir
	dir    string
	master process.Process
	child  *transient.Child
	claim  *claim
}

// StartPrivate starts a private copy of pool p beside its live master, which is not touched and need not run. The copy
// sees the files that the live master sees (its mount namespace, or the host's where it does not run). Nothing of it
// outlives Close or our own end.
func StartPrivate(ctx context.Context, m Master, p Pool, o PrivateOptions) (*Private, error) {
	if _, set := openBasedir(p, o); !set && o.OpenBasedir == "" {
		var err error
		if o.OpenBasedir, err = askOpenBasedir(ctx, m); err != nil {
			return nil, fmt.Errorf("private copy of pool %s: %w", p.Name, err)
		}
	}
	return again(ctx, m, p, o)
}

// Again starts another copy of the same pool, with other overlays; PHP is not asked for its settings again. The first
// may have ended by then.
func (v *Private) Again(ctx context.Context, overlays []Overlay) (*Private, error) {
	o := v.o
	o.Overlays = overlays
	return again(ctx, v.live, v.pool, o)
}

func again(ctx context.Context, m Master, p Pool, o PrivateOptions) (*Private, error) {
	v, err := startPrivate(ctx, m, p, o)
	if err != nil {
		return nil, fmt.Errorf("private copy of pool %s: %w", p.Name, err)
	}
	return v, nil
}

func startPrivate(ctx context.Context, m Master, p Pool, o PrivateOptions) (*Private, error) {
	_, gid, err := p.User()
	if err != nil {
		return nil, err
	}
	binary, err := trusted(m.Binary)
	if err != nil {
		return nil, err
	}
	mnt, err := mountsOf(m)
	if err != nil {
		return nil, err
	}
	claim, err := claimFolder(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	v := &Private{live: m, pool: p, o: o, dir: claim.dir, claim: claim}
	if err := v.start(ctx, m, binary, mnt, gid, o); err != nil {
		said := v.said()
		return nil, errors.Join(fmt.Errorf("%w%s", err, said), v.Close())
	}
	return v, nil
}

func (v *Private) start(ctx context.Context, m Master, binary, mnt string, gid uint32, o PrivateOptions) error {
	o.Dir = v.dir
	config, err := PrivateConfig(m, v.pool, o)
	if err != nil {
		return err
	}
	if err := v.write(config, o.Prepend, int(gid)); err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(v.dir, "fpm.out"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	args := append([]string{"--nodaemonize", "--fpm-config", filepath.Join(v.dir, "fpm.conf")}, withoutPrefix(extraArgs(m.Args))...)
	// Preloading would run the site's code in the master, before it has become the pool's user.
	cmd := exec.Command(binary, append(args, "-d", "opcache.preload=")...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", cleanEnv(m.Env), out, out
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if v.child, err = spawn(ctx, cmd, view{mnt, o.Overlays, filepath.Join(v.dir, "o")}); err != nil {
		return err
	}
	if v.master, err = identity(v.child); err != nil {
		return err
	}
	if err := v.claim.record(v.master); err != nil {
		return err
	}
	return awaitSocket(ctx, Address{"unix", v.Socket()}, v.child.Ended())
}

// write lays out the folder. The pool's user may pass through it to the prepend and read nothing else.
func (v *Private) write(config, prepend []byte, gid int) error {
	if err := passable(v.dir); err != nil {
		return err
	}
	path := filepath.Join(v.dir, "p/prepend.php")
	return errors.Join(
		os.Mkdir(filepath.Join(v.dir, "s"), 0o700),
		os.Mkdir(filepath.Join(v.dir, "o"), 0o700),
		os.WriteFile(filepath.Join(v.dir, "fpm.conf"), config, 0o600), // env[] may hold secrets
		os.Mkdir(filepath.Join(v.dir, "p"), 0o750),
		os.WriteFile(path, prepend, 0o640),
		os.Chown(filepath.Join(v.dir, "p"), 0, gid),
		os.Chown(path, 0, gid),
		// Whatever our umask is.
		os.Chmod(filepath.Join(v.dir, "p"), 0o750),
		os.Chmod(path, 0o640),
	)
}

// passable finds the folder that would keep the pool's user from the prepend before PHP fails on it.
func passable(dir string) error {
	for at := dir; at != "/"; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("the pool's user cannot pass through %s (chmod o+x)", at)
		}
	}
	return nil
}

// mountsOf names the mount namespace in which the copy shall live.
func mountsOf(m Master) (string, error) {
	if m.Process.PID != 0 && m.Process.Alive() {
		if err := m.Process.SpeaksForHost(); err != nil {
			return "", err
		}
		return m.Process.MountNamespace(), nil
	}
	// Without a live master it is the host's, not that of our own unit's sandbox. In a container PID 1 may be anything.
	if first, err := process.Read(1); err == nil && first.SpeaksForHost() == nil {
		return first.MountNamespace(), nil
	}
	return "", nil
}

// askOpenBasedir asks PHP for the open_basedir of its php.ini.
func askOpenBasedir(ctx context.Context, m Master) (string, error) {
	known, err := m.Settings(ctx)
	if err != nil {
		return "", err
	}
	value, ok := known.Values["open_basedir"]
	if !ok {
		return "", errors.New("ask PHP for its open_basedir: it does not say")
	}
	return value, nil
}

// The copy's paths are all absolute; the live prefix would only move what PHP makes of relative ones.
func withoutPrefix(args []string) []string {
	var kept []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "-p" || args[i] == "--prefix":
			i++
		case !strings.HasPrefix(args[i], "--prefix="):
			kept = append(kept, args[i])
		}
	}
	return kept
}

// Socket is the path of the copy's socket; only root may use it.
func (v *Private) Socket() string { return filepath.Join(v.dir, "s/fpm.sock") }

// Pool is the live pool that this is a copy of.
func (v *Private) Pool() Pool { return v.pool }

// Ended is closed when the copy's master has ended, by Close or by itself.
func (v *Private) Ended() <-chan struct{} { return v.child.Ended() }

// Log is what the copy's master has written so far, its last part when it is long.
func (v *Private) Log() ([]errlog.FPMRecord, error) {
	text, err := v.read("fpm.log")
	if err != nil {
		return nil, err
	}
	var records []errlog.FPMRecord
	err = errlog.ScanFPM(bytes.NewReader(text), time.Local, func(r errlog.FPMRecord) bool {
		records = append(records, r)
		return true
	})
	return records, err
}

// Traces is the stacks of slow requests so far, the last ones when they are many.
func (v *Private) Traces() ([]errlog.SlowTrace, error) {
	text, err := v.read("slow.log")
	if err != nil {
		return nil, err
	}
	var traces []errlog.SlowTrace
	err = errlog.ScanSlow(bytes.NewReader(text), time.Local, func(t errlog.SlowTrace) bool {
		traces = append(traces, t)
		return true
	})
	return traces, err
}

func (v *Private) read(name string) ([]byte, error) {
	text, err := errlog.ReadTail(filepath.Join(v.dir, name), maxLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

// said is what FPM complained of while it started.
func (v *Private) said() string {
	log, _ := v.read("fpm.log")
	out, _ := v.read("fpm.out")
	return words(string(out) + string(log))
}

// Close ends the copy with all its workers and removes its folder. It may be called again.
func (v *Private) Close() error {
	if v.child != nil {
		v.child.Kill()
		select {
		case <-v.child.Ended():
		case <-time.After(endTimeout):
			return fmt.Errorf("the private copy in %s (process %d) does not end; its folder is kept", v.dir, v.master.PID)
		}
	}
	return v.claim.release()
}
