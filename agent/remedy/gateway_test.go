package remedy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"wpmend/agent/gateway"
	"wpmend/agent/journal"
	"wpmend/agent/site"
	"wpmend/php/process"
)

func TestDirectives(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind   string
		tuning GatewayTuning
		want   string
	}{
		{"nginx", GatewayTuning{Buffer: 16 << 10}, "fastcgi_buffer_size 16k; fastcgi_buffers 8 16k; fastcgi_busy_buffers_size 32k;"},
		{"nginx", GatewayTuning{Buffer: 9001, ReadTimeout: 90500 * time.Millisecond}, "fastcgi_buffer_size 9k; fastcgi_buffers 8 9k; fastcgi_busy_buffers_size 18k; fastcgi_read_timeout 91s;"},
		{"apache", GatewayTuning{ReadTimeout: time.Minute}, "ProxyTimeout 60"},
		{"apache", GatewayTuning{Buffer: 1, ReadTimeout: time.Minute}, "the buffer of Apache for a response header of PHP cannot be set: the header must become smaller"},
		{"nginx", GatewayTuning{}, "nothing of nginx is to be raised"},
		{"caddy", GatewayTuning{Buffer: 1}, "nothing of caddy is to be raised"},
	} {
		lines, err := tt.tuning.Directives(tt.kind)
		got := strings.Join(lines, " ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s %+v: %s\nwant %s", tt.kind, tt.tuning, got, tt.want)
		}
	}
}

// The file keeps what it set for another reason, the reload stands on both sides of it,
// and the record does not hold all vhosts of the host.
func TestTuneGateway(t *testing.T) {
	t.Parallel()
	s := site.Site{ID: "abc", Domain: "a.test", Root: "/srv/a", Gateway: gateway.Gateway{Kind: "nginx", Binary: "/usr/sbin/nginx", Config: "/etc/nginx/nginx.conf",
		Process: process.Process{PID: 7, Unit: "nginx.service"}, Vhosts: make([]gateway.Vhost, 3), Problems: []string{"x"}}}
	file := OwnFile{DropIn: gateway.DropIn{File: "/etc/nginx/conf.d/" + DropInName(s), Level: "http"},
		Was: []byte("# old\nfastcgi_read_timeout 60s;\n fastcgi_buffer_size 8k;\n\n")}
	c, err := TuneGateway(s, []OwnFile{file}, []string{"fastcgi_read_timeout 90s;"}, "i", "why")
	if err != nil || len(c.Steps) != 3 || c.UndoNone != "" {
		t.Fatalf("%+v, %v", c, err)
	}
	if want := "# wpmend: a.test. This file is wpmend's own; `wpmend incidents` says why, and takes it back.\nfastcgi_buffer_size 8k;\nfastcgi_read_timeout 90s;\n"; string(c.Steps[1].File.After) != want {
		t.Errorf("the file becomes %q", c.Steps[1].File.After)
	}
	for i, when := range map[int]journal.When{0: journal.OnUndo, 2: journal.OnApply} {
		var act Act
		if err := json.Unmarshal(c.Steps[i].Act, &act); err != nil || c.Steps[i].When != when || act.Do != ReloadGateway || act.Gateway.Vhosts != nil ||
			len(act.Hand) != 1 || !strings.HasSuffix(act.Hand[0], "systemctl reload nginx.service") {
			t.Errorf("step %d is %+v, %v", i, act, err)
		}
	}
	if len(s.Gateway.Vhosts) != 3 {
		t.Error("the site lost its vhosts")
	}
}
