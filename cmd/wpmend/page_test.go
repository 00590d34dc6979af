package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"wpmend/packaging/lab"
)

// hostileSlug is the folder of a plugin whose name would be markup. The lab's plugins make a
// function's name of it, so that it does not parse.
const hostileSlug = `<img src=x onerror=window.pwned=1>`

// freePort is a port of 127.0.0.1 that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// An administrator sees a site break, watches the search, sees it mended, and takes the
// change back, all on the page; the last of it without a mouse.
func TestPage(t *testing.T) {
	t.Parallel()
	listen, token := freePort(t), strings.Repeat("tOken+/=", 5)
	s := newStage(t, lab.Options{Plugins: 30, SlowlogTimeout: 5 * time.Second, TerminateTimeout: 60 * time.Second}, `watch.every = "1s"`, fmt.Sprintf("api.listen = %q", listen), `api.token_file = "TOKEN"`)
	secret := filepath.Join(s.Dir, "token")
	s.must(os.WriteFile(secret, []byte(token+"\n"), 0o600))
	conf, err := os.ReadFile(s.config)
	s.must(err)
	s.write(s.config, strings.Replace(string(conf), "TOKEN", secret, 1))
	v := s.serve()
	b := newBrowser(t)
	b.look(1280, "light")
	origin := "http://" + listen

	b.open(origin + "/")
	b.shows("Who are you?")
	b.wantSound("the question for the token")
	b.open("about:blank")
	b.open(origin + "/#token=" + url.QueryEscape(token))
	b.shows(s.domain())
	if at := eval[string](b, "location.href"); strings.Contains(at, "token") {
		t.Errorf("the token stays in the address: %s", at)
	}
	b.until(`document.querySelector(".sites .badge.good")`)
	b.wantSound("the sites")
	b.shoot("sites-light")

	b.must(chromedp.Do(b.ctx, chromedp.Click(".sites .row-link")))
	b.shows("31 active components")
	b.shows("do not fit together") // the gateway's 60 s and FPM's 60 s
	b.must(chromedp.Do(b.ctx, chromedp.Click("#all-components")))
	b.shows("plugin-30")
	b.wantSound("a site")
	b.shoot("limits-light", "section[aria-labelledby=limits-title]")
	b.press("?")
	b.until(`document.querySelector("dialog[open]")`)
	b.wantSound("the help")
	b.press(kb.Escape)

	watched := s.watchBreak(b)
	if !slices.ContainsFunc(watched.States, func(x string) bool { return x == "Failing" || x == "Recovering" }) {
		t.Errorf("the page never showed that the site fails: %q", watched.States)
	}
	if n := len(watched.Said); n < 2 || !strings.Contains(watched.Said[n-1], "Culprit: "+culpritSlug) {
		t.Errorf("the search was told as %q, want several rounds and the culprit", watched.Said)
	}
	if slices.Max(watched.Suspects) < 30 || slices.Min(watched.Suspects) > 1 {
		t.Errorf("the field of suspects went %v, want it to narrow from all to one or none", watched.Suspects)
	}
	if n := eval[int](b, `document.querySelectorAll(".field .cell.culprit").length`); n != 1 {
		t.Errorf("%d cells are the culprit's, want 1", n)
	}
	b.wantSound("a site that was mended")
	b.shoot("site-light")
	b.look(1280, "dark")
	b.shoot("site-dark")
	b.look(360, "light")
	b.shoot("site-narrow")
	b.look(1280, "light")

	s.undoByKeys(b)
	b.wantQuiet("401", origin) // the first visit, without a token
	s.restartUnder(b, v, origin)
}

// sight is what the page showed while a site broke and was mended.
type sight struct {
	States, Said []string
	Suspects     []int
}

// watchBreak breaks the site and notes what the page shows until it is mended.
func (s *stage) watchBreak(b *browser) sight {
	s.t.Helper()
	eval[bool](b, `(() => {
  const seen = window.seen = { States: [], Said: [], Suspects: [] };
  const add = (list, value) => value !== undefined && value !== "" && list[list.length - 1] !== value && list.push(value);
  const look = () => {
    add(seen.States, document.querySelector(".site-title .badge")?.textContent);
    add(seen.Said, document.querySelector(".search-now")?.textContent);
    if (document.querySelector(".field")) add(seen.Suspects, document.querySelectorAll(".field .cell.suspect").length);
  };
  new MutationObserver(look).observe(document.getElementById("main"), { childList: true, subtree: true, characterData: true });
  look();
  return true;
})()`)
	// All of them were changed at the same time, and the failure leaves no trace: nothing
	// but the search itself can tell.
	for n := 1; n <= 30; n++ {
		now := time.Now()
		s.must(os.Chtimes(filepath.Join(s.Site(0).Content, "plugins", lab.Slug(n), lab.Slug(n)+".php"), now, now))
	}
	s.breakBy(lab.Blank200, culpritSlug)
	b.until(`document.querySelectorAll(".rounds .round").length > 2`)
	b.shoot("search-light")
	b.shows("off by wpmend")
	b.until(`document.querySelector(".site-title .badge.good") && document.querySelector(".now .heading .badge.good")`)
	return eval[sight](b, "window.seen")
}

// undoByKeys goes from the list of sites to the incident and takes it back, with the
// keyboard alone, and wants the plugin back on the disk.
func (s *stage) undoByKeys(b *browser) {
	s.t.Helper()
	s.must(s.Mend(0))
	b.press("s")
	b.until(`document.querySelector(".sites .row-link")`)
	b.wantFocus("Sites")
	b.press("i")
	b.until(`document.querySelector(".incidents .row-link")`)
	b.wantSound("the incidents")
	b.press("j")
	b.wantFocus("Fault in " + culpritSlug)
	b.press(kb.Enter)
	b.shows("Causes and evidence")
	b.until(`document.querySelector(".view-head .undo")`)
	b.wantSound("an incident")
	b.shoot("incident-light")
	b.look(1280, "dark")
	b.shoot("incident-dark")
	b.look(1280, "light")

	// Tab goes through all and comes out at the end again; each stop can be seen.
	stops := []string{}
	for range 60 {
		b.press(kb.Tab)
		stop := eval[string](b, `(() => { const e = document.activeElement; if (e === document.body) return "";
  const s = getComputedStyle(e), after = getComputedStyle(e, "::after");
  const seen = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 || after.outlineStyle !== "none" && parseFloat(after.outlineWidth) >= 2;
  return (seen ? "" : "UNSEEN ") + (e.getAttribute("aria-label") || e.textContent).trim(); })()`)
		if len(stops) > 0 && stop == stops[0] {
			break
		}
		if stop != "" { // else it is at the browser's own, between the end and the beginning
			stops = append(stops, stop)
		}
	}
	for _, want := range []string{"Skip to the content", "Sites", "Undo", "Save the report"} {
		if !slices.Contains(stops, want) {
			s.t.Errorf("Tab stops at %q, not at %q", stops, want)
		}
	}
	if i := slices.IndexFunc(stops, func(x string) bool { return strings.HasPrefix(x, "UNSEEN") }); i >= 0 || len(stops) >= 60 {
		s.t.Errorf("Tab stops at %q: each must be seen, and they must end", stops)
	}

	b.press("u")
	b.until(`document.querySelector("dialog[open]")`)
	b.wantFocus("Cancel")
	b.press(kb.Escape)
	b.until(`!document.querySelector("dialog")`)
	b.wantFocus("Undo")
	if s.healthy(); !strings.Contains(eval[string](b, "document.body.innerText"), "In force.") {
		s.t.Error("Escape did not leave the change in force")
	}
	b.press(kb.Enter)
	b.until(`document.querySelector("dialog[open]")`)
	b.wantSound("the question before an undo")
	b.press(kb.Tab)
	b.press(kb.Enter)
	b.shows("Done:")
	b.shows("Taken back: none of it is in force.")
	b.until(`!document.querySelector("#main .undo")`)
	if at := eval[string](b, "document.activeElement.id"); at != "main" {
		s.t.Errorf("after the undo the focus is at %q, want it where the content begins", at)
	}
	if _, err := os.Stat(filepath.Join(s.Site(0).Content, "plugins", culpritSlug)); err != nil {
		s.t.Errorf("the plugin is not back: %v", err)
	}
	s.wantPlugins(30)
}

func (b *browser) wantFocus(text string) {
	b.t.Helper()
	if at := eval[string](b, `(document.activeElement.getAttribute("aria-label") || document.activeElement.textContent).trim()`); !strings.HasPrefix(at, text) {
		b.t.Errorf("the focus is at %.60q, want %q", at, text)
	}
}

// restartUnder ends the service under the page and starts it again.
func (s *stage) restartUnder(b *browser, v *service, origin string) {
	s.t.Helper()
	b.open("about:blank")
	b.open(origin + "/#/in-force")
	b.shows("Nothing is changed")
	b.until(`document.getElementById("link").textContent === "Live"`)
	v.end(syscall.SIGTERM)
	b.shows("The service does not answer")
	b.wantSound("the page without its service")
	s.serve()
	b.until(`document.getElementById("banner").hidden && document.getElementById("link").textContent === "Live"`)
	b.shows("Nothing is changed")
}

// The owner of a site sees the page in a frame of a panel, below a path of the panel's, and
// is offered no more than an owner may do.
func TestPageInPanel(t *testing.T) {
	t.Parallel()
	panel := httptest.NewUnstartedServer(nil)
	origin := "http://" + panel.Listener.Addr().String()
	s := newStage(t, lab.Options{Plugins: 3}, fmt.Sprintf("api.frame_ancestors = [%q]", origin))
	info, err := os.Stat(s.Site(0).Root)
	s.must(err)
	owner := info.Sys().(*syscall.Stat_t).Uid
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "localhost"})
			r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/panel/wpmend")
			r.Out.URL.RawPath = strings.TrimPrefix(r.In.URL.RawPath, "/panel/wpmend")
			r.Out.Host = "localhost"
		},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // a view that is left breaks its questions off
		Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return dialAs(owner, filepath.Join(s.Dir, "api.sock"))
		}},
	}
	mux := http.NewServeMux()
	mux.Handle("/panel/wpmend/", proxy)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>panel</title><link rel="icon" href="data:,"><iframe width="900" height="700" src="%s/panel/wpmend/#/"></iframe>`, origin)
	})
	mux.HandleFunc("/flawed", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, flawed)
	})
	panel.Config.Handler = mux
	panel.Start()
	t.Cleanup(panel.Close)
	stranger := httptest.NewServer(mux)
	t.Cleanup(stranger.Close)
	s.must(s.Install(0, lab.KindPlugin, hostileSlug))
	v := s.serve()
	b := newBrowser(t)
	b.look(1000, "light")

	const inside = `document.querySelector("iframe").contentDocument`
	b.open(origin + "/")
	b.until(inside + `?.querySelector(".sites .badge")`)
	eval[bool](b, inside+`.querySelector(".sites .row-link").click() || true`)
	b.until(inside + `?.querySelectorAll(".components li").length >= 4`)
	if n := eval[int](b, inside+`.querySelectorAll("#start-heal, .toggle").length`); n != 0 {
		t.Errorf("an owner is offered %d things that are for administrators", n)
	}
	b.until(inside + `?.querySelector(".incidents .badge.good")`)
	eval[bool](b, inside+`.querySelector("#start-check").click() || true`)
	b.until(inside + `?.querySelector(".result .verdict-line .badge.good")`)

	// A hostile name is a name, wherever it is shown, and its change the owner's to take back.
	eval[bool](b, inside+`.querySelector(".incidents .row-link").click() || true`)
	b.until(inside + `?.querySelector("h1")?.textContent.includes("Fault in ` + hostileSlug + `")`)
	if markup := eval[int](b, inside+`.querySelectorAll("img, iframe, [onerror], [style], script:not([src]), style").length`); markup != 0 || eval[bool](b, "Boolean(window.pwned || frames[0].pwned)") {
		t.Errorf("%d elements came in from outside", markup)
	}
	b.shoot("panel-light")
	eval[bool](b, inside+`.querySelector("#help").click() || true`)
	b.until(inside + `?.querySelector("dialog").innerText.includes("You see your own sites")`)
	eval[bool](b, inside+`.querySelector("dialog .primary").click() || true`)
	b.until("!" + inside + `.querySelector("dialog")`)
	eval[bool](b, inside+`.querySelector(".undo").click() || true`)
	b.until(inside + `?.querySelector("dialog .primary")`)
	eval[bool](b, inside+`.querySelector("dialog .primary").click() || true`)
	b.until(inside + `?.querySelector("#toasts").textContent.includes("Done:")`)
	if _, err := os.Stat(filepath.Join(s.Site(0).Content, "plugins", hostileSlug)); err != nil {
		t.Errorf("the plugin is not back: %v", err)
	}
	b.wantQuiet("429", origin) // on a busy machine an owner's four questions at a time may be five

	b.open(stranger.URL + "/")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(30 * time.Millisecond) {
		if slices.ContainsFunc(b.noted(&b.said), func(x string) bool { return strings.Contains(x, "frame-ancestors") }) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("a stranger's page may show it in a frame: %q", b.noted(&b.said))
		}
	}
	v.end(syscall.SIGTERM)

	// What looks for flaws finds them.
	b.open(stranger.URL + "/flawed")
	b.look(360, "light")
	wrong := strings.Join(eval[[]string](b, sound), "; ")
	for _, want := range []string{"contrast 1.", "no lang", "not one main", "heading 3 after 0", "0 headings of the first level", "two of id a", "no b", "scrolls sideways", "too small to hit: x"} {
		if !strings.Contains(wrong, want) {
			t.Errorf("of a page with all flaws it says %q, without %q", wrong, want)
		}
	}
	if list := b.nameless(); len(list) != 3 {
		t.Errorf("%q have no name, want a button and two images", list)
	}
}

const flawed = `<!doctype html><title></title><h3 id="a" aria-labelledby="b">three</h3><p id="a" style="color:#eee;width:900px">faint</p><button style="width:9px;height:9px"></button><a href="/">a</a><button style="width:9px;padding:0">x</button><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" width="40" height="40"><svg role="img" width="9" height="9"></svg><a href="/2">b</a>`

// dialAs connects to a unix socket as another user. The thread that does it ends with its
// goroutine, since nothing gives its rights back.
func dialAs(uid uint32, path string) (net.Conn, error) {
	type dialled struct {
		net.Conn
		error
	}
	done := make(chan dialled)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- dialled{nil, errno}
			return
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- dialled{nil, errno}
			return
		}
		c, err := net.Dial("unix", path)
		done <- dialled{c, err}
	}()
	d := <-done
	return d.Conn, d.error
}
