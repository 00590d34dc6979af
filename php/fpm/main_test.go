package fpm

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/php/fcgi"
	"wpmend/php/process"
)

// ownerEnv makes the test binary a wpmend that owns a private copy until it is killed.
const ownerEnv = "WPMEND_TEST_OWNER"

func TestMain(m *testing.M) {
	if given, ok := os.LookupEnv(ownerEnv); ok {
		if err := own(given); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func own(given string) error {
	var o struct {
		Master   Master
		Dir      string
		Overlays []Overlay
	}
	if err := json.Unmarshal([]byte(given), &o); err != nil {
		return err
	}
	v, err := StartPrivate(context.Background(), o.Master, o.Master.Pools[0], PrivateOptions{Dir: o.Dir, Prepend: []byte("<?php\n"), Overlays: o.Overlays})
	if err != nil {
		return err
	}
	fmt.Println("ready", v.master.PID)
	select {}
}

// live describes a pool that can be started: its configuration in a folder of its own, scripts beside it.
func live(t testing.TB, settings string) (Master, string) {
	t.Helper()
	dir := tempDir(t)
	writeFile(t, dir+"/fpm.conf", fmt.Sprintf("[global]\nerror_log = %[1]s/fpm.log\npid = %[1]s/fpm.pid\n[www]\nuser = www-data\ngroup = www-data\n"+
		"listen = %[1]s/live.sock\nlisten.owner = www-data\nlisten.mode = 0660\npm = static\npm.max_children = 1\n%[2]s\n", dir, settings))
	m, err := Load(phpFPM, dir+"/fpm.conf")
	if err != nil {
		t.Fatal(err)
	}
	return m, dir
}

// stop ends a live master of the test's own and waits until it has gone.
func stop(t testing.TB, p process.Process) {
	t.Helper()
	if p.PID > 1 && p.Alive() {
		if err := syscall.Kill(p.PID, syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	waitGone(t, p)
}

func waitGone(t testing.TB, p process.Process) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); p.Alive(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not end", p.PID)
		}
	}
}

func workersOf(t testing.TB, master process.Process) []process.Process {
	t.Helper()
	procs, err := process.List()
	if err != nil {
		t.Fatal(err)
	}
	var workers []process.Process
	for _, p := range procs {
		if p.PPID == master.PID {
			workers = append(workers, p)
		}
	}
	return workers
}

func ask(t testing.TB, socket, script, query string) (*fcgi.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	network := "unix"
	if !strings.HasPrefix(socket, "/") {
		network = "tcp"
	}
	return fcgi.Do(ctx, network, socket, fcgi.Request{Params: map[string]string{
		"SCRIPT_FILENAME": script, "SCRIPT_NAME": "/" + script[strings.LastIndexByte(script, '/')+1:], "REQUEST_METHOD": "GET",
		"REQUEST_URI": "/?" + query, "QUERY_STRING": query, "SERVER_PROTOCOL": "HTTP/1.1"}}, fcgi.Limits{})
}

// says asks for a script that must answer, and gives what it says.
func says(t testing.TB, socket, script string) string {
	t.Helper()
	r, err := ask(t, socket, script, "")
	if err != nil {
		t.Fatal(err)
	}
	return string(r.Body)
}

// startOwner runs the test binary as the owner of a private copy.
func startOwner(t *testing.T, m Master, dir string, overlays ...Overlay) (*exec.Cmd, process.Process) {
	t.Helper()
	given, err := json.Marshal(map[string]any{"Master": m, "Dir": dir, "Overlays": overlays})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), ownerEnv+"="+string(given))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	var pid int
	if _, scanErr := fmt.Sscanf(line, "ready %d", &pid); err != nil || scanErr != nil {
		t.Fatalf("the owner says %q, %v", line, err)
	}
	master, err := process.Read(pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, master
}
