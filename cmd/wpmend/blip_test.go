package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wpmend/agent/history"
	"wpmend/packaging/lab"
)

// long runs what takes more than a minute, when WPMEND_LONG is 1.
var long = os.Getenv("WPMEND_LONG") == "1"

// blipping stands between the gateway and a pool. Now and then it hangs up without an
// answer, and then for a while it does not. The rest are answers that PHP gave to the
// same question before, so that many rounds cost no PHP.
type blipping struct {
	socket string // the pool's own
	rate   float64
	asked  *atomic.Int64
	blips  *atomic.Int64

	mu     sync.Mutex
	random *rand.Rand
	well   int    // answers that are well for certain
	answer []byte // of the front page
}

// wellAfter a blip: as many answers as a look at it takes at least.
const wellAfter = 40

// blip puts itself in the place of a site's socket.
func (s *stage) blip(site int, rate float64, asked, blips *atomic.Int64) {
	s.t.Helper()
	path := s.Site(site).Socket
	b := &blipping{socket: path + ".pool", rate: rate, asked: asked, blips: blips, random: rand.New(rand.NewPCG(1, uint64(site)))}
	info, err := os.Stat(path)
	s.must(err)
	s.must(os.Rename(path, b.socket))
	l, err := net.Listen("unix", path)
	s.must(err)
	uid, gid := owners(info)
	s.must(os.Chown(path, uid, gid))
	s.must(os.Chmod(path, info.Mode().Perm()))
	s.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b.serve(c)
			}()
		}
	}()
}

func (b *blipping) serve(c net.Conn) {
	request, err := fcgiRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	front := bytes.Contains(request, []byte("REQUEST_URI/?wpmend="))
	b.mu.Lock()
	b.well--
	hangUp := front && b.well < 0 && b.random.Float64() < b.rate
	if hangUp {
		b.well = wellAfter
	}
	answer := b.answer
	b.mu.Unlock()
	if front {
		b.asked.Add(1)
	}
	if hangUp {
		b.blips.Add(1)
		return
	}
	if !front || answer == nil {
		if answer, err = b.pass(request); err != nil {
			return
		}
	}
	if front && bytes.Contains(answer, []byte("</html>")) {
		b.mu.Lock()
		b.answer = answer
		b.mu.Unlock()
	}
	c.Write(answer) // a gateway that is gone needs none
}

func (b *blipping) pass(request []byte) ([]byte, error) {
	pool, err := net.Dial("unix", b.socket)
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if _, err := pool.Write(request); err != nil {
		return nil, err
	}
	return io.ReadAll(pool)
}

// fcgiRequest reads the records of one request, up to the end of its body.
func fcgiRequest(r io.Reader) (request []byte, err error) {
	const stdin = 5 // FastCGI specification, 8: FCGI_STDIN
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(r, head); err != nil {
			return nil, err
		}
		n := int(binary.BigEndian.Uint16(head[4:]))
		content := make([]byte, n+int(head[6]))
		if _, err := io.ReadFull(r, content); err != nil {
			return nil, err
		}
		if request = append(append(request, head...), content...); head[1] == stdin && n == 0 {
			return request, nil
		}
	}
}

// used are the open files and the memory of the service, in MiB.
func (v *service) used() (files, memory int) {
	v.s.t.Helper()
	proc := filepath.Join("/proc", strconv.Itoa(v.cmd.Process.Pid))
	open, err := os.ReadDir(filepath.Join(proc, "fd"))
	v.s.must(err)
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	v.s.must(err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(rest)
	kib, err := strconv.Atoi(fields[0])
	v.s.must(err)
	return len(open), kib >> 10
}

// Sites that are well but for a blip now and then are left as they are, whatever is
// asked and searched because of it.
func TestRunBlips(t *testing.T) {
	t.Parallel()
	sites, rounds, rate := 3, 20, 0.05
	if long {
		sites, rounds, rate = 50, 1000, 0.01
	}
	s := newStage(t, lab.Options{Plugins: 2, Sites: sites, MaxChildren: 2}, `watch.every = "1s"`, `watch.rate = 1000`)
	v := s.serve()
	var asked, blips atomic.Int64
	before := make([]lab.Snapshot, sites)
	for i := range sites {
		var err error
		before[i], err = s.Snapshot(i)
		s.must(err)
		s.blip(i, rate, &asked, &blips)
	}
	files, memory := v.used()
	start := time.Now()
	limit := 2 * time.Minute
	if long {
		limit = 2 * time.Hour
	}
	v.until("the last round", limit, func() bool { return asked.Load() >= int64(sites*rounds) && blips.Load() > 0 })
	took := time.Since(start)
	filesAfter, memoryAfter := v.used()
	v.end(syscall.SIGTERM)
	states := map[string]int{}
	for _, i := range s.incidents() {
		states[i.State]++
		if len(i.Changes) > 0 {
			t.Errorf("incident %s has changes: %+v", i.ID, i.Changes)
		}
		if i.State == history.Resolved {
			t.Errorf("incident %s says that something was mended: %v", i.ID, i.Timeline)
		}
	}
	t.Logf("%d sites, %d requests in %.0f s, %d blips, incidents %v; open files %d, then %d; memory %d MiB, then %d",
		sites, asked.Load(), took.Seconds(), blips.Load(), states, files, filesAfter, memory, memoryAfter)
	if record := s.journal(); strings.Contains(record, "{") {
		t.Errorf("the journal holds a change: %s", record)
	}
	for i := range sites {
		after, err := s.Snapshot(i)
		s.must(err)
		if d := before[i].Diff(after); d != "" {
			t.Errorf("site %d is not as it was:\n%s", i, d)
		}
	}
	if filesAfter > files+20+2*sites {
		t.Errorf("%d files are open, %d at first", filesAfter, files)
	}
}

// What only a log says, where anybody can write, costs a few requests and one record.
func TestRunBelievesNoLog(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 2}, byLogsOnly)
	v := s.serve()
	before := s.snapshot()
	access, err := os.OpenFile(s.NginxAccessLog(0), os.O_APPEND|os.O_WRONLY, 0)
	s.must(err)
	defer access.Close()
	forge := func(path string, status int) string {
		return fmt.Sprintf("1.2.3.4 - - [%s] \"GET %s HTTP/1.1\" %d 157 \"-\" \"-\"\n", time.Now().Format("02/Jan/2006:15:04:05 -0700"), path, status)
	}
	probes := func() int {
		text, err := os.ReadFile(s.NginxAccessLog(0))
		s.must(err)
		return bytes.Count(text, []byte("wpmend="))
	}
	// Its own probes are no symptoms.
	_, err = access.WriteString(forge("/?wpmend=FORGED", 502))
	s.must(err)
	// Four seconds of failures that nobody but the log has seen.
	for second := range 8 {
		var flood strings.Builder
		for i := range 2000 {
			flood.WriteString(forge(fmt.Sprintf("/p/%d-%d/", second, i), 502))
		}
		_, err = access.WriteString(flood.String())
		s.must(err)
		time.Sleep(500 * time.Millisecond)
	}
	v.until("the record", 20*time.Second, func() bool { return len(s.incidents()) > 0 })
	i := s.incidents()[0]
	if i.State == history.Ongoing {
		i, _ = v.ended(0)
	}
	if i.State != history.Transient || i.Symptom.Status != 502 || len(i.Changes) != 0 || !strings.Contains(fmt.Sprint(i.Timeline), "nothing was done") {
		t.Errorf("incident %+v, want a transient one", i)
	}
	if n := len(s.incidents()); n != 1 {
		t.Errorf("%d incidents, want one", n)
	}
	if n := probes(); n > 100 {
		t.Errorf("%d probes because of forged lines", n)
	} else {
		t.Logf("%d probes because of 16,000 forged lines", n-1)
	}
	s.wantSnapshot(before)
	if record := s.journal(); strings.Contains(record, "{") {
		t.Errorf("the journal holds a change: %s", record)
	}
	// A rotated log is followed on, with another record for another failure.
	s.must(os.Rename(s.NginxAccessLog(0), s.NginxAccessLog(0)+".1"))
	s.must(os.WriteFile(s.NginxAccessLog(0), []byte(forge("/q/", 504)), 0o644))
	v.until("the record of the new log", 60*time.Second, func() bool {
		return slices.ContainsFunc(s.incidents(), func(i history.Incident) bool { return i.Symptom.Status == 504 && i.State == history.Transient })
	})
	v.end(syscall.SIGTERM)
}
