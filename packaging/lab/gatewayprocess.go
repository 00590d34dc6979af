package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// GatewayConfig is the path of the gateway's main configuration.
func (l *Lab) GatewayConfig() string {
	if l.o.Gateway == Apache {
		return l.ApacheConfig()
	}
	return l.NginxConfig()
}

// VhostConfig is the path of a site's vhost.
func (l *Lab) VhostConfig(site int) string {
	return filepath.Join(filepath.Dir(l.GatewayConfig()), "sites", l.sites[site].Domain+".conf")
}

// PoolConfig is the path of a site's pool.
func (l *Lab) PoolConfig(site int) string {
	return filepath.Join(filepath.Dir(l.FPMConfig(site%max(1, l.o.Masters))), "pool.d", l.sites[site].Pool+".conf")
}

// GatewayErrorLog is the path of a site's error log.
func (l *Lab) GatewayErrorLog(site int) string { return l.NginxErrorLog(site) } // both are called so

// GatewayServerLog is the path of the error log of the gateway as a whole.
func (l *Lab) GatewayServerLog() string {
	return filepath.Join(l.Dir, "logs", l.o.Gateway+".error.log")
}

// GatewayMaster returns the pid of the gateway's master; 0: it does not run.
func (l *Lab) GatewayMaster() int {
	if d := l.daemon(l.o.Gateway); d.alive() {
		return d.pid
	}
	return 0
}

// StartGateway starts the gateway with the configuration that lies there, unless it
// runs, and waits until it accepts.
func (l *Lab) StartGateway() error {
	if l.GatewayMaster() != 0 {
		return nil
	}
	argv := []string{nginxBinary, "-c", l.NginxConfig(), "-g", "daemon off;"}
	if l.o.Gateway == Apache {
		argv = []string{apacheBinary, "-f", l.ApacheConfig(), "-D", "FOREGROUND"}
	}
	if err := l.launch(l.o.Gateway, nil, argv...); err != nil {
		return err
	}
	return l.await(l.o.Gateway, 30*time.Second, func() bool { return accepting("tcp", l.Address+":80") })
}

// StopGateway ends the gateway at once, with its children.
func (l *Lab) StopGateway() error {
	d := l.daemon(l.o.Gateway)
	if !d.alive() {
		return nil
	}
	if err := terminate([]int{d.pid}, stopLimit); err != nil {
		return err
	}
	<-d.done
	return nil
}

// RestartGateway ends the gateway and starts it again.
func (l *Lab) RestartGateway() error {
	if err := l.StopGateway(); err != nil {
		return err
	}
	return l.StartGateway()
}

// RestartFPM ends all masters and starts them again.
func (l *Lab) RestartFPM() error {
	if err := l.StopFPM(); err != nil {
		return err
	}
	return l.StartFPM()
}

// rewrite changes a file of the lab's configuration until the function that it
// returns is called.
func rewrite(file string, change func(before string) string) (func() error, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	before, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	after := change(string(before))
	if after == string(before) {
		return nil, fmt.Errorf("%s has nothing to change", file)
	}
	undo := func() error {
		if err := os.WriteFile(file, before, info.Mode().Perm()); err != nil {
			return err
		}
		return os.Chtimes(file, info.ModTime(), info.ModTime())
	}
	return undo, os.WriteFile(file, []byte(after), info.Mode().Perm())
}

// after puts a line behind the first one that contains mark.
func after(mark, line string) func(string) string {
	return func(text string) string {
		i := strings.Index(text, mark)
		if i < 0 {
			return text
		}
		end := i + strings.IndexByte(text[i:]+"\n", '\n') + 1
		return text[:end] + line + "\n" + text[end:]
	}
}

// replacing puts a text in the place of another.
func replacing(old, next string) func(string) string {
	return func(text string) string { return strings.Replace(text, old, next, 1) }
}

// appending puts a line at the end.
func appending(line string) func(string) string {
	return func(text string) string { return text + line + "\n" }
}
