package main

import (
	"bufio"
	"context"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// admin is a browser in which somebody is logged in to wp-admin.
type admin struct {
	s    *stage
	http *http.Client
}

// login goes through nginx and wp-login.php, as a person does.
func (s *stage) login() *admin {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	s.must(err)
	a := &admin{s, &http.Client{Jar: jar, Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(s.Address, "80"))
		},
		DisableKeepAlives: true,
	}}}
	a.get("/wp-login.php") // gives the cookie by which WordPress sees that there are cookies
	res, err := a.http.PostForm(s.Site(0).URL+"/wp-login.php", url.Values{"log": {"admin"}, "pwd": {"lab-admin-password"},
		"testcookie": {"1"}, "redirect_to": {s.Site(0).URL + "/wp-admin/plugins.php?plugin_status=active"}})
	s.must(err)
	if body := a.read(res); !strings.Contains(body, "wp-admin-bar") && !strings.Contains(body, "wpadminbar") {
		s.t.Fatalf("the login did not lead into wp-admin: %s", body)
	}
	return a
}

func (a *admin) read(res *http.Response) string {
	a.s.t.Helper()
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	a.s.must(err)
	if res.StatusCode != http.StatusOK {
		a.s.t.Fatalf("%s answers %d: %s", res.Request.URL, res.StatusCode, body)
	}
	return string(body)
}

func (a *admin) get(path string) string {
	a.s.t.Helper()
	res, err := a.http.Get(a.s.Site(0).URL + path)
	a.s.must(err)
	return a.read(res)
}

// plugins opens wp-admin → Plugins, where WordPress drops what it does not find.
func (a *admin) plugins() string {
	a.s.t.Helper()
	return a.get("/wp-admin/plugins.php?plugin_status=all")
}

// click follows the link on the page of plugins that does this with one of them.
func (a *admin) click(action, file string) {
	a.s.t.Helper()
	page := a.plugins()
	link := regexp.MustCompile(`href="(plugins\.php\?action=` + action + `&amp;plugin=` + regexp.QuoteMeta(url.QueryEscape(file)) + `[^"]*)"`).FindStringSubmatch(page)
	if link == nil {
		a.s.t.Fatalf("no link to %s %s on the page of plugins", action, file)
	}
	a.get("/wp-admin/" + html.UnescapeString(link[1]))
}

func file(n int) string { return lab.Slug(n) + "/" + lab.Slug(n) + ".php" }

// Who opens wp-admin → Plugins while a plugin is renamed loses nothing.
func TestEnableAfterAdmin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(a *admin)
		lost []int // what the admin switched off himself
	}{
		{"looked", func(a *admin) {}, nil},
		{"deactivated another", func(a *admin) { a.click("deactivate", file(3)) }, []int{3}},
		{"deactivated and activated", func(a *admin) {
			a.click("deactivate", file(3))
			a.click("deactivate", file(9))
			a.click("activate", file(3))
		}, []int{9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, lab.Options{Plugins: 12})
			before, raw := s.snapshot(), s.active()
			a := s.login()
			var did switchJSON
			s.json("disable", s.domain(), "plugin:"+lab.Slug(7)).exits(0).into(&did)
			if len(did.Changes) != 1 || did.Changes[0].Undo != "wpmend enable "+s.domain()+" plugin:"+lab.Slug(7) {
				t.Errorf("changes %+v, want one with its undo", did.Changes)
			}
			s.wantSnapshot(without(before, lab.Slug(7)))
			s.wantPlugins(12, lab.Slug(7))

			if page := a.plugins(); !strings.Contains(page, file(7)) || strings.Contains(page, off(lab.Slug(7))) {
				t.Errorf("wp-admin should say that %s was deactivated, and not list its hidden folder", file(7))
			}
			if strings.Contains(s.active(), file(7)) {
				t.Fatalf("WordPress did not drop %s, so the test shows nothing: %s", file(7), s.active())
			}
			c.edit(a)

			s.json("enable", s.domain(), "plugin:"+lab.Slug(7)).exits(0).into(&did)
			var files []string
			for n := 1; n <= 12; n++ {
				if len(c.lost) == 0 || c.lost[0] != n {
					files = append(files, file(n))
				}
			}
			if want := pluginList(files...); s.active() != want {
				t.Errorf("active_plugins\n is  %s\n want %s", s.active(), want)
			}
			if c.lost == nil && s.active() != raw {
				t.Errorf("active_plugins\n is  %s\n was %s", s.active(), raw)
			}
			before.Options["active_plugins"] = s.active()
			s.wantSnapshot(before)
			var gone []string
			for _, n := range c.lost {
				gone = append(gone, lab.Slug(n))
			}
			s.wantPlugins(12, gone...)
		})
	}
}

// Words that fit nothing are refused, and nothing changes.
func TestSwitchRefuses(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 3})
	before := s.snapshot()
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"disable", s.domain(), "plugin:nobody"}, `has no component "plugin:nobody"`},
		{[]string{"disable", s.domain(), "plugin-01"}, `has no component "plugin-01"`},
		{[]string{"disable", s.domain(), "plugin:../plugins/plugin-01"}, "has no component"},
		{[]string{"disable", s.domain(), ""}, "has no component"},
		{[]string{"enable", s.domain(), "plugin:nobody"}, `has no component "plugin:nobody"`},
		{[]string{"enable", s.domain(), "plugin:plugin-01"}, "plugin:plugin-01 is not switched off"},
	} {
		r := s.json(c.args...)
		var e errorJSON
		r.into(&e)
		if r.code != 1 && r.code != 2 || !strings.Contains(e.Error.Message, c.says) {
			t.Errorf("want exit 1 or 2 and %q: %s", c.says, r)
		}
	}
	s.wantSnapshot(before)

	s.json("disable", s.domain(), "plugin:plugin-02").exits(0)
	e := s.json("disable", s.domain(), "plugin:plugin-02").exits(1)
	if !strings.Contains(e.stdout, "is switched off already") {
		t.Errorf("want that it is off already: %s", e)
	}
	s.wantSnapshot(without(before, "plugin-02"))
	// A person may name the site by its root folder or its id as well.
	s.json("enable", s.Site(0).Root, "plugin:plugin-02").exits(0)
	s.wantSnapshot(before)
}

// One actor at a time per site: the second is told by whom and since when.
func TestBusy(t *testing.T) {
	t.Parallel()
	s := newStage(t, lab.Options{Plugins: 30})
	s.breakBy(lab.Hang, culpritSlug) // its search takes a while
	before := s.snapshot()

	searching := s.command("--json", "bisect", s.domain())
	progress, err := searching.StderrPipe()
	s.must(err)
	began := time.Now()
	s.must(searching.Start())
	lines := bufio.NewScanner(progress)
	for lines.Scan() && !strings.Contains(lines.Text(), "starting a private copy") {
	}
	for _, args := range [][]string{
		{"disable", s.domain(), culpritID}, {"enable", s.domain(), culpritID}, {"bisect", s.domain()}, {"heal", s.domain()},
	} {
		message := s.fails(1, "busy", args...).Error.Message
		if !strings.Contains(message, "pid "+strconv.Itoa(searching.Process.Pid)) {
			t.Errorf("%v: message %q does not name pid %d", args, message, searching.Process.Pid)
		}
		since := regexp.MustCompile(`since (\S+)$`).FindStringSubmatch(message)
		if since == nil {
			t.Errorf("%v: message %q does not say since when", args, message)
		} else if at, err := time.Parse(time.RFC3339, since[1]); err != nil || at.Before(began.Add(-2*time.Second)) || at.After(time.Now()) {
			t.Errorf("%v: since %q, want a time since %s", args, since[1], began)
		}
	}
	// The locks are the host's: another state folder is no way around them.
	s.fails(1, "busy", "--state", s.state+"-other", "disable", s.domain(), culpritID)
	s.wantSnapshot(before)
	_, err = io.Copy(io.Discard, progress)
	s.must(err)
	if err := searching.Wait(); searching.ProcessState.ExitCode() != 3 {
		t.Errorf("the search ended with %v, want exit 3", err)
	}
	s.json("disable", s.domain(), culpritID).exits(0)
	s.wantSnapshot(without(before, culpritSlug))
}
