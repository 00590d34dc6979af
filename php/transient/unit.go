package transient

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/php/process"
)

// helperWord, as the only argument, makes this binary the helper. No command of wpmend's has a name like it.
const helperWord = "__transient"

// unitStart begins the names of our units.
const unitStart = "wpmend-run-"

// helperTasks are the threads that the helper itself may come to need; a Go program that gets none more dies of it.
const helperTasks = 32

// unanswered is how long a systemd that does not answer is waited for once nobody asks any more; the service has
// seconds to end.
const unanswered = 2 * time.Second

// order is what the helper is told. The standard input travels beside it.
type order struct {
	Path       string
	Args       []string
	Env        []string
	Dir        string
	UID, GID   uint32
	Groups     []uint32
	As         bool // UID and GID are meant
	NoNewPrivs bool
	Alone      bool
	Prepare    bool
	Data       []byte
	Input      bool // a standard input comes with it
}

// news is what the helper says, an object each: that it runs, or why it does not, and how it ended.
type news struct {
	PID    int    `json:",omitempty"`
	Error  string `json:",omitempty"`
	Ended  bool   `json:",omitempty"`
	Status uint32 `json:",omitempty"` // as of wait(2)
}

// startUnit starts cmd below a helper in a unit of its own.
func startUnit(ctx context.Context, cmd *exec.Cmd, o Options) (*Child, error) {
	if cmd.Err != nil {
		return nil, cmd.Err
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	unit := unitStart + strings.ToLower(rand.Text()[:12]) + ".service"
	client := exec.Command("systemd-run", o.arguments(unit, cmd.Path)...)
	client.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	client.Dir, client.WaitDelay = "/", time.Second
	client.Stdin, client.Stdout, client.Stderr = theirs, cmd.Stdout, cmd.Stderr
	client.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := send(ours, cmd, o)
	if err == nil {
		err = client.Start()
	}
	theirs.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run %s in a unit of its own: %w", cmd.Path, err), ours.Close(), closed(input))
	}
	if input != nil {
		go feed(input, cmd.Stdin)
	}
	c := &Child{unit: unit, ended: make(chan struct{})}
	c.kill = func() {
		// It fails when the helper has ended, and then there is nothing to end.
		_ = ours.CloseWrite()
	}
	first := make(chan news, 1)
	go c.follow(ours, client, first)
	var n news
	var ok bool
	select {
	case n, ok = <-first:
	case <-ctx.Done():
		c.Kill()
		_ = client.Process.Kill()
		select {
		case <-c.ended: // what it still says goes into the caller's own buffer
		case <-time.After(unanswered):
		}
		return nil, ctx.Err()
	}
	switch {
	case !ok:
		return nil, fmt.Errorf("run %s in a unit of its own: %w", cmd.Path, errUnreached)
	case n.Error != "":
		<-c.ended
		return nil, &Refusal{n.Error}
	}
	c.PID = n.PID
	return c, nil
}

func closed(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// follow reads what the helper says until it and systemd-run have ended. The first word goes to first.
func (c *Child) follow(ours *net.UnixConn, client *exec.Cmd, first chan<- news) {
	defer close(c.ended)
	words := json.NewDecoder(ours)
	told := false
	for {
		var n news
		if words.Decode(&n) != nil {
			break // its end, however it came
		}
		if n.Ended {
			c.finished, c.status = true, syscall.WaitStatus(n.Status)
			continue
		}
		if !told {
			first <- n
			told = true
		}
	}
	// It ends with the unit, and its code says of that no more than the helper did.
	_ = client.Wait()
	_ = ours.Close()
	close(first)
}

// arguments of systemd-run. The helper is our own running file, whatever an upgrade has put in its place.
func (o Options) arguments(unit, what string) []string {
	limit := o.Time
	if limit == 0 {
		limit = time.Hour
	}
	args := []string{"--quiet", "--collect", "--pipe", "--wait", "--service-type=exec", "--unit=" + unit,
		"--description=wpmend runs " + strings.ReplaceAll(strings.ToValidUTF8(what, "?"), "%", "%%"),
		// What the program starts must not outlast it, and has nothing to say about that.
		"--property=KillSignal=SIGKILL", "--property=TimeoutStopSec=5s",
		"--property=RuntimeMaxSec=" + strconv.FormatInt(limit.Milliseconds()+1000, 10) + "ms",
		// One worker that the kernel kills for want of memory is an answer, not the end of the unit.
		"--property=OOMPolicy=continue", "--property=IgnoreSIGPIPE=no",
		// Otherwise each run would write three lines into the journal.
		"--property=LogLevelMax=warning"}
	if o.Memory != "" {
		args = append(args, "--property=MemoryMax="+o.Memory, "--property=MemorySwapMax=0")
	}
	if o.Tasks > 0 {
		args = append(args, "--property=TasksMax="+strconv.Itoa(o.Tasks+helperTasks))
	}
	if o.NoNewPrivs {
		args = append(args, "--property=NoNewPrivileges=yes")
	}
	return append(args, "--", ourselves(), helperWord)
}

// ourselves is our running file by a name that systemd can start. Where nobody has replaced it that is its path: by
// /proc systemd could start, should we die at this very moment, what somebody else runs under our PID by then.
func ourselves() string {
	running := "/proc/" + strconv.Itoa(os.Getpid()) + "/exe"
	path, err := os.Readlink(running)
	if err != nil || process.RootOnly(path) != nil {
		return running
	}
	there, err := os.Lstat(path)
	is, rerr := os.Stat(running)
	if err != nil || rerr != nil || !os.SameFile(there, is) {
		return running
	}
	return path
}

func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "helper")
	f := os.NewFile(uintptr(fds[0]), "helper")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}

// send puts the order into the socket, where the helper will find it, and gives the end of the pipe that feeds cmd's
// standard input, nil if it has none.
func send(ours *net.UnixConn, cmd *exec.Cmd, o Options) (input *os.File, err error) {
	w := order{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, NoNewPrivs: o.NoNewPrivs, Alone: o.Alone,
		Prepare: o.Prepare != nil, Data: o.Data, Input: cmd.Stdin != nil}
	if w.Env == nil {
		return nil, errors.New("it has no environment, and ours is not passed on")
	}
	if a := cmd.SysProcAttr; a != nil && a.Credential != nil {
		w.As, w.UID, w.GID, w.Groups = true, a.Credential.Uid, a.Credential.Gid, a.Credential.Groups
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	var rights []byte
	var read *os.File
	if w.Input {
		if read, input, err = os.Pipe(); err != nil {
			return nil, err
		}
		defer read.Close()
		rights = unix.UnixRights(int(read.Fd()))
	}
	// The socket holds some 200 kB before the helper reads, and more is no command line.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	deadline, _ := ctx.Deadline()
	err = ours.SetWriteDeadline(deadline)
	if err == nil {
		_, _, err = ours.WriteMsgUnix([]byte{'\n'}, rights, nil)
	}
	if err == nil {
		_, err = ours.Write(text)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tell the helper: %w", err), closed(input))
	}
	return input, nil
}

// feed copies what the program reads, as far as it does.
func feed(to *os.File, from io.Reader) {
	// A program that ends before it has read all closes the pipe.
	_, _ = io.Copy(to, from)
	_ = to.Close()
}
