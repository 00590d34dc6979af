package evidence

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wpmend/agent/diagnose"
	"wpmend/agent/gateway"
	"wpmend/agent/probe"
	"wpmend/agent/site"
	"wpmend/php/fpm"
	"wpmend/wp"
)

// What Apache 2.4 writes (field.md 2.2), in a log that sites share: only what names
// this site's pool or files is taken, and where Apache runs PHP, its children's ends.
func TestApacheErrorLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := filepath.Join(dir, "error.log")
	socket := filepath.Join(dir, "fpm.sock")
	s := site.Site{Domain: "shop.example", Root: dir, Handler: site.FPM,
		Gateway: gateway.Gateway{Kind: "apache", ErrorLogs: []string{log}},
		Vhosts:  []gateway.Vhost{{Names: []string{"shop.example"}, ErrorLogs: []string{log}}},
		Pool:    fpm.Pool{Name: "www", Directives: []fpm.Directive{{Key: "listen", Value: socket}}}}
	marks, err := Mark(s)
	if err != nil {
		t.Fatal(err)
	}
	head := time.Now().Format("[Mon Jan 02 15:04:05.000000 2006]")
	client := " [pid 7:tid 9] [client 1.2.3.4:5] "
	fatal := "PHP Fatal error:  Uncaught Error: x in ROOT/wp-content/plugins/bad/a.php:3\\nStack trace:\\n#0 ROOT/wp-settings.php(447): include_once()\\n#1 {main}\\n  thrown in ROOT/wp-content/plugins/bad/a.php on line 3"
	text := ""
	for _, root := range []string{dir, "/srv/neighbour"} {
		text += head + " [proxy_fcgi:error]" + client + "AH01071: Got error 'PHP message: " + strings.ReplaceAll(fatal, "ROOT", root) + "'\n"
	}
	for _, path := range []string{socket, "/srv/neighbour.sock"} {
		text += head + " [proxy:error] [pid 7:tid 9] (2)No such file or directory: AH02454: FCGI: attempt to connect to Unix domain socket " + path + " (*:80) failed\n"
	}
	text += head + " [core:notice] [pid 7:tid 9] AH00051: child pid 8 exit signal Segmentation fault (11), possible coredump in /etc/apache2\n"
	if err := os.WriteFile(log, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	w := site.WordPress{Paths: wp.DefaultPaths()}
	gather := func(s site.Site) diagnose.Facts {
		t.Helper()
		// The folder is no WordPress, which is all that is wrong here.
		facts, _ := marks.Gather(context.Background(), s, w, probe.Result{Outcome: probe.Unavailable, Start: time.Now()})
		return facts
	}
	facts := gather(s)
	if len(facts.PHP) != 1 || len(facts.Gateway) != 1 || facts.Gateway[0].Record.UpstreamAddr.Addr != socket {
		t.Errorf("PHP %+v\ngateway %+v", facts.PHP, facts.Gateway)
	}
	if got := diagnose.Suspects(facts, nil); got["plugin:bad"] != 100 {
		t.Errorf("%v", got)
	}
	own := s
	own.Gateway.LogUsers = map[string][]string{log: {"shop.example"}}
	if facts := gather(own); len(facts.PHP) != 2 || len(facts.Gateway) != 5 {
		t.Errorf("of its own log: %d and %d", len(facts.PHP), len(facts.Gateway))
	}
	s.Handler, s.Pool = site.ModPHP, fpm.Pool{}
	facts = gather(s)
	causes := diagnose.Causes(facts)
	if len(facts.Gateway) != 1 || len(causes) < 2 || facts.Pool.Name != "" {
		t.Fatalf("mod_php: %+v\n%+v", facts.Gateway, causes)
	}
	for _, c := range causes {
		if c.Cause == diagnose.WorkerCrash && len(c.Evidence) == 1 {
			return
		}
	}
	t.Errorf("no crash in %+v", causes)
}
