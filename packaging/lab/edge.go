package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// The faults that lie in front of the gateway. They show to whoever asks the lab's
// [Resolver] where the site is, and there; straight at the gateway it is well.
const (
	NameElsewhere Fault = "name-elsewhere" // the name leads to another host, which answers with a page of its own
	NameMissing   Fault = "name-missing"   // the name does not exist
	EdgeFails     Fault = "edge-fails"     // a proxy in front answers 502 itself
	EdgeImpatient Fault = "edge-impatient" // a proxy in front waits one second for the gateway: 504, if that is slower
)

// edgeFault breaks what lies in front of the gateway; ok is false for other faults.
func (l *Lab) edgeFault(_ int, f Fault) (undo func() error, ok bool, err error) {
	answer := ""
	switch f {
	case NameElsewhere:
		answer = "\t\treturn 200 \"<html>another host</html>\";\n"
	case NameMissing:
	case EdgeFails:
		answer = "\t\treturn 502;\n"
	case EdgeImpatient:
		answer = "\t\tproxy_set_header Host $host;\n\t\tproxy_read_timeout 1s;\n\t\tproxy_pass http://" + l.Address + ":80;\n"
	default:
		return nil, false, nil
	}
	dns, err := l.resolver()
	if err != nil {
		return nil, true, err
	}
	if f == NameMissing {
		dns.lead(netip.Addr{})
		return func() error { dns.lead(netip.MustParseAddr(l.Address)); return nil }, true, nil
	}
	undo, err = l.edge(dns, answer)
	return undo, true, err
}

// edge starts an nginx on an address of its own and leads the sites' names to it.
func (l *Lab) edge(dns *Resolver, answer string) (func() error, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(l.Dir, "edge")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("\t%s_temp_path %s/%[1]s;\n", kind, dir)
	}
	config := filepath.Join(dir, "edge.conf")
	text := fmt.Sprintf("user www-data;\nworker_processes 1;\npid %[1]s/edge.pid;\nerror_log %[2]s/logs/edge.error.log;\nevents {\n\tworker_connections 64;\n}\n"+
		"http {\n%[3]s\taccess_log off;\n\tserver {\n\t\tlisten %[4]s:80;\n\t\tserver_name _;\n\t\tlocation / {\n\t%[5]s\t\t}\n\t}\n}\n", dir, l.Dir, temp, address, answer)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	if err := l.launch("edge", nil, nginxBinary, "-c", config, "-g", "daemon off;"); err != nil {
		return nil, err
	}
	undo := func() error {
		dns.lead(netip.MustParseAddr(l.Address))
		if d := l.daemon("edge"); d.alive() {
			if err := terminate([]int{d.pid}, stopLimit); err != nil {
				return err
			}
		}
		return os.RemoveAll(dir)
	}
	if err := l.await("edge", 30*time.Second, func() bool { return accepting("tcp", address+":80") }); err != nil {
		return nil, errors.Join(err, undo())
	}
	dns.lead(netip.MustParseAddr(address))
	return undo, nil
}
