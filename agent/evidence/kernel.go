package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/errlog"
	"wpmend/php/transient"
)

const (
	kmsg     = "/dev/kmsg"
	auditLog = "/var/log/audit/audit.log"
	// kernelBefore is how long before the first failure a record counts: what the kernel
	// did comes before what it brought about, and its clock runs freely, some seconds
	// a day off (dmesg(1), --ctime).
	kernelBefore = 2 * time.Minute
	// maxKernel bounds what is kept of the kernel's log.
	maxKernel = 50
	// maxRecord is the longest record of /dev/kmsg (PRINTK_MESSAGE_MAX of Linux 6), with its dictionary.
	maxRecord = 8 << 10
	// comm is how long a process's name is for the kernel (TASK_COMM_LEN without the NUL).
	commLength = 15
)

// KernelLine is what a line of the kernel's log, or audit's, says of one process.
type KernelLine struct {
	Kind string // one of diagnose's: KernelOOM, KernelSegfault, KernelDenial
	PID  int
	Comm string // the process's name, which it chooses itself; cut after 15 bytes
	UID  int64  // -1: not said
	Time time.Time
	Text string
}

// What the kernel prints: mm/oom_kill.c (__oom_kill_process), arch/x86/mm/fault.c
// (show_signal_msg), arch/x86/kernel/traps.c and arch/arm64/kernel/traps.c for the
// rest of the crashes, security/apparmor/audit.c, security/selinux/avc.c.
var (
	oomKill   = regexp.MustCompile(`Killed process (\d+) \(([^)]*)\)`)
	ofUser    = regexp.MustCompile(`\bUID:(\d+)`)
	segfault  = regexp.MustCompile(`^(?:traps: )?(.+)\[(\d+)\]:? (?:segfault at|general protection|trap |unhandled )`)
	denial    = regexp.MustCompile(`apparmor="DENIED"|avc: +denied`)
	auditPID  = regexp.MustCompile(`\bpid=(\d+)`)
	auditComm = regexp.MustCompile(`\bcomm=(?:"([^"]*)"|([0-9A-F]+))`)
	auditTime = regexp.MustCompile(`audit\((\d{1,12})\.(\d{3}):\d+\)`)
)

// ParseKernel reads one message of the kernel's log without its prefix, or a line of
// audit's; ok is false for what does not tell of a process killed, crashed or refused
// something. Time is only known of audit's.
func ParseKernel(line string) (KernelLine, bool) {
	if len(line) > maxRecord {
		line = line[:maxRecord]
	}
	k := KernelLine{UID: -1, Text: strings.ToValidUTF8(strings.TrimSpace(line), "?")}
	if m := oomKill.FindStringSubmatch(k.Text); m != nil {
		k.Kind, k.PID, k.Comm = diagnose.KernelOOM, number32(m[1]), m[2]
		if u := ofUser.FindStringSubmatch(k.Text); u != nil {
			k.UID = int64(number32(u[1]))
		}
		return k, k.PID > 0
	}
	if m := segfault.FindStringSubmatch(k.Text); m != nil {
		k.Kind, k.PID, k.Comm = diagnose.KernelSegfault, number32(m[2]), m[1]
		return k, k.PID > 0
	}
	if !denial.MatchString(k.Text) {
		return KernelLine{}, false
	}
	k.Kind = diagnose.KernelDenial
	if m := auditPID.FindStringSubmatch(k.Text); m != nil {
		k.PID = number32(m[1])
	}
	if m := auditComm.FindStringSubmatch(k.Text); m != nil {
		k.Comm = m[1]
		if raw, err := unhex(m[2]); err == nil && m[2] != "" {
			k.Comm = raw
		}
	}
	if m := auditTime.FindStringSubmatch(k.Text); m != nil {
		seconds, err := strconv.ParseInt(m[1], 10, 64)
		if err == nil {
			k.Time = time.Unix(seconds, int64(number32(m[2]))*int64(time.Millisecond))
		}
	}
	return k, true
}

// number32 reads a PID or a user's number, 0 for none.
func number32(text string) int {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n > math.MaxInt32 {
		return 0
	}
	return int(n)
}

// unhex reads a name that audit writes in hexadecimal because of its bytes.
func unhex(text string) (string, error) {
	var b []byte
	for pair := range slices.Chunk([]byte(text), 2) {
		n, err := strconv.ParseUint(string(pair), 16, 8)
		if err != nil || len(pair) != 2 {
			return "", errors.New("no hexadecimal text")
		}
		b = append(b, byte(n))
	}
	return strings.ToValidUTF8(string(b), "?"), nil
}

// kernel gives what was written since a moment that names processes of the site's
// pool, its gateway or a database.
func kernel(s site.Site, since time.Time) []diagnose.KernelRecord {
	names := concerned(s)
	var found []diagnose.KernelRecord
	take := func(source string, at time.Time, line string) {
		k, ok := ParseKernel(line)
		if !ok || at.IsZero() && k.Time.IsZero() || !slices.Contains(names, k.Comm) {
			return
		}
		if k.UID >= 0 && strings.HasPrefix(k.Comm, "php") && k.UID != int64(s.Owner) && k.UID != 0 {
			return // another pool's
		}
		if !k.Time.IsZero() {
			at = k.Time
		}
		if at.Before(since) {
			return
		}
		found = append(found, diagnose.KernelRecord{Source: source, Time: at, Kind: k.Kind, PID: k.PID, Text: k.Text})
	}
	readKmsg(func(at time.Time, message string) { take(kmsg, at, message) })
	if text, err := errlog.ReadTail(auditLog, 1<<20); err == nil {
		for line := range bytes.Lines(text) {
			take(auditLog, time.Time{}, string(line))
		}
	}
	return found[max(0, len(found)-maxKernel):]
}

// concerned are the names, as the kernel writes them, of the programs that the site needs.
func concerned(s site.Site) []string {
	var names []string
	for _, binary := range []string{s.Master.Binary, s.Gateway.Binary, "mariadbd", "mysqld", "redis-server", "memcached"} {
		if name := filepath.Base(binary); binary != "" {
			names = append(names, name[:min(len(name), commLength)])
		}
	}
	return names
}

// readKmsg gives each message of the kernel's ring buffer with its time
// (https://docs.kernel.org/ABI: dev-kmsg). Nothing where it may not be read.
func readKmsg(yield func(at time.Time, message string)) {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &up) != nil {
		return
	}
	booted := time.Now().Add(-time.Duration(up.Nano()))
	if transient.Confined() {
		kmsgRecords(askKmsg(), func(after time.Duration, message string) { yield(booted.Add(after), message) })
		return
	}
	fd, err := unix.Open(kmsg, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	record := make([]byte, maxRecord)
	for range 1 << 16 { // a ring that is written as fast as it is read has no end
		n, err := unix.Read(fd, record)
		switch {
		case errors.Is(err, unix.EPIPE): // overwritten meanwhile: the next read goes on behind the gap
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n <= 0:
			return
		}
		if after, message, ok := kmsgRecord(string(record[:n])); ok {
			yield(booted.Add(after), message)
		}
	}
}

// askKmsg has the ring buffer read by somebody who may: our own unit has no right to it, and needs none but for this.
// dd reads as much as there is, one record a time, until the kernel says that there is no more; that is its error.
func askKmsg() []byte {
	ctx, cancel := context.WithTimeout(context.Background(), filterTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "dd", "if="+kmsg, "iflag=nonblock", fmt.Sprint("bs=", maxRecord), "status=none")
	cmd.Env, cmd.Dir = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, "/"
	out := &bounded{most: maxRules}
	cmd.Stdout = out
	_ = transient.Run(ctx, cmd, transient.Options{Time: filterTimeout, Memory: "64M", Tasks: 4, NoNewPrivs: true})
	return out.Bytes()
}

// kmsgRecords splits records that follow one another. In a record's message a line break is escaped, and the lines
// of its dictionary begin with a space.
func kmsgRecords(text []byte, yield func(after time.Duration, message string)) {
	for line := range bytes.Lines(text) {
		if line[0] == ' ' {
			continue
		}
		if after, message, ok := kmsgRecord(string(line)); ok {
			yield(after, message)
		}
	}
}

// kmsgRecord reads "priority,number,microseconds,flags;message".
func kmsgRecord(record string) (after time.Duration, message string, ok bool) {
	head, message, ok := strings.Cut(record, ";")
	fields := strings.Split(head, ",")
	if !ok || len(fields) < 3 {
		return 0, "", false
	}
	µs, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || µs < 0 || µs > math.MaxInt64/int64(time.Microsecond) {
		return 0, "", false
	}
	message, _, _ = strings.Cut(message, "\n")
	return time.Duration(µs) * time.Microsecond, message, true
}
