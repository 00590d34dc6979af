// Scale measures what `wpmend run` costs a host by the number of its sites: `go run ./packaging/bench/scale` as root
// prints a table for 1, 100, 1,000 and 5,000.
//
// Every host is real as far as wpmend looks while all is well, in namespaces of its own (processes, mounts, network),
// all files in memory: one nginx with a vhost, a configuration file and two logs for each site, PHP-FPM masters with a
// pool (pm = ondemand), a socket and a user for each site, and for each a folder laid out as WordPress is. Only the page
// is not WordPress': a line of PHP prints it, since WordPress' own cost would be measured a hundred times a second
// otherwise, and there is no database, which wpmend does not ask while all is well. What probes cost the host is in the
// table as their number.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// insideEnv tells the child within the namespaces from the command.
const insideEnv = "WPMEND_BENCH_SCALE"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run() error {
	runtime.LockOSThread() // a parent-death signal follows the thread that forked
	counts := flag.String("sites", "1,100,1000,5000", "how many sites the hosts have")
	idle := flag.Duration("idle", time.Minute, "how long each is measured while nothing happens")
	binary := flag.String("wpmend", "", "the wpmend to be measured; built from this checkout if empty")
	visits := flag.Float64("visits", 0, "visitors' requests a second, spread over half of the sites")
	soak := flag.Int("soak", 0, "bring about so many incidents on each host as well, at most five a site, and measure again")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("it needs root")
	}
	if n := os.Getenv(insideEnv); n != "" {
		sites, err := strconv.Atoi(n)
		if err != nil {
			return err
		}
		return measureHost(sites, *idle, *binary, *visits, *soak)
	}
	dir, err := os.MkdirTemp("", "wpmend-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *binary == "" {
		*binary = filepath.Join(dir, "wpmend")
		build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", *binary, "wpmend/cmd/wpmend")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("build wpmend: %w", err)
		}
	}
	printHead(os.Stdout)
	for n := range strings.SplitSeq(*counts, ",") {
		if err := inNamespaces(n, *idle, *binary, *visits, *soak); err != nil {
			return fmt.Errorf("%s sites: %w", n, err)
		}
	}
	return nil
}

// inNamespaces runs this program for one host, out of everybody's sight: another wpmend on this machine would look at
// its sites, and this one at others'.
func inNamespaces(sites string, idle time.Duration, binary string, visits float64, soak int) error {
	cmd := exec.Command("/proc/self/exe", "-idle", idle.String(), "-wpmend", binary, "-visits", fmt.Sprint(visits), "-soak", fmt.Sprint(soak))
	cmd.Env = append(os.Environ(), insideEnv+"="+strings.TrimSpace(sites))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd.Run()
}
