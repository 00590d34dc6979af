package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// browser is a real Chromium that shows one page, and notes all that it should not do.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	said     []string // errors and warnings on its console
	requests []string
}

// newBrowser starts Debian's Chromium without a window.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.ExecPath("/usr/bin/chromium"), chromedp.UserDataDir(t.TempDir()))
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(alloc)
	b := &browser{t: t, ctx: ctx}
	t.Cleanup(func() {
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		if err := chromedp.Cancel(within); err != nil {
			t.Logf("Chromium did not end well: %v", err)
		}
		cancel()
		end()
		endAlloc()
	})
	b.must(chromedp.Do(ctx))
	console, asked := chromedp.Console(ctx), chromedp.Events(ctx, network.RequestWillBeSent)
	go func() {
		for m, err := range console {
			if err != nil {
				return
			}
			if m.Type == "error" || m.Type == "warning" || m.IsException() {
				b.note(&b.said, fmt.Sprintf("%s %s (%s)", m.Type, m.Text, m.URL))
			}
		}
	}()
	go func() {
		for e, err := range asked {
			if err != nil {
				return
			}
			b.note(&b.requests, e.Request.URL)
		}
	}()
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	b.must(err)
	_, err = chromedp.Call(ctx, cdppage.AddScriptToEvaluateOnNewDocument, cdppage.AddScriptToEvaluateOnNewDocumentParams{
		Source: `window.violations = []; document.addEventListener("securitypolicyviolation", (e) => window.violations.push(e.violatedDirective + " " + e.blockedURI))`})
	b.must(err)
	return b
}

func (b *browser) note(list *[]string, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, text)
}

func (b *browser) noted(list *[]string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, *list...)
}

func (b *browser) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.Navigate(url)))
}

// eval evaluates an expression, or what it promises, in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to be true.
func (b *browser) until(expression string) {
	b.t.Helper()
	for end := time.Now().Add(40 * time.Second); !eval[bool](b, "Boolean("+expression+")"); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			b.shoot("stuck")
			b.t.Fatalf("the page never came to: %s\nit shows:\n%s\nits console said: %q", expression, eval[string](b, "document.body.innerText"), b.noted(&b.said))
		}
	}
}

// shows waits for a text on the page.
func (b *browser) shows(text string) {
	b.t.Helper()
	quoted, err := json.Marshal(text)
	b.must(err)
	b.until("document.body.innerText.includes(" + string(quoted) + ")")
}

// press presses keys, one after the other.
func (b *browser) press(keys string) {
	b.t.Helper()
	b.must(chromedp.Do(b.ctx, chromedp.KeyEvent(keys)))
}

// look sets the width of the window and the scheme of colours.
func (b *browser) look(width int64, scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 800, DeviceScaleFactor: 1})
	b.must(err)
	_, err = chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	b.must(err)
}

// shoot writes what is seen, or one element of it, to the folder that WPMEND_SCREENSHOTS
// names, else to one that goes with the test.
func (b *browser) shoot(name string, element ...string) {
	b.t.Helper()
	dir := os.Getenv("WPMEND_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	eval[bool](b, "(window.scrollTo(0, 0), true)")
	take := chromedp.CaptureScreenshot()
	if len(element) > 0 {
		take = chromedp.Screenshot(element[0])
	}
	picture, err := chromedp.Run(b.ctx, take)
	b.must(err)
	b.must(os.MkdirAll(dir, 0o755))
	b.must(os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644))
	if len(picture) < 4000 {
		b.t.Errorf("the picture of %s is empty: %d bytes", name, len(picture))
	}
}

// controls are the roles that people act on, which need a name.
var controls = map[string]bool{"button": true, "link": true, "textbox": true, "searchbox": true, "checkbox": true, "switch": true,
	"combobox": true, "progressbar": true, "image": true, "img": true, "heading": true, "dialog": true, "region": true, "navigation": true, "table": true}

// nameless lists what a screen reader could not name, by the browser's own accessibility tree.
func (b *browser) nameless() []string {
	b.t.Helper()
	tree, err := chromedp.Call(b.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	b.must(err)
	text := func(v *accessibility.Value) string {
		var s string
		if v != nil {
			_ = json.Unmarshal(v.Value, &s) // not every value is a text
		}
		return strings.TrimSpace(s)
	}
	var list []string
	found := 0
	for _, n := range tree.Nodes {
		if role := text(n.Role); !n.Ignored && controls[role] {
			found++
			if text(n.Name) == "" {
				list = append(list, fmt.Sprintf("%s %s", role, n.NodeID))
			}
		}
	}
	if found < 3 {
		b.t.Errorf("the accessibility tree has %d controls: too few to be the page", found)
	}
	return list
}

// sound is what else can be wrong with a page for people, in the spirit of axe.
const sound = `(() => {
  const wrong = [];
  const visible = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0;
  const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return [m[0], m[1], m[2], m.length > 3 ? m[3] : 1]; };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = (e) => {
    const stack = [];
    for (let at = e; at; at = at.parentElement) stack.push(parse(getComputedStyle(at).backgroundColor));
    return stack.reverse().reduce((under, c) => over(c, under), [255, 255, 255, 1]);
  };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  for (let n = words.nextNode(); n; n = words.nextNode()) {
    const e = n.parentElement;
    if (!n.data.trim() || !visible(e) || e.closest("[aria-hidden=true]") && e.closest("svg")) continue;
    texts++;
    const under = behind(e), colour = over(parse(getComputedStyle(e).color), under), ratio = contrast(colour, under);
    if (ratio < 4.5) wrong.push("contrast " + ratio.toFixed(2) + " of " + JSON.stringify(n.data.trim().slice(0, 40)));
  }
  if (texts < 10) wrong.push("only " + texts + " texts were seen");
  if (document.documentElement.lang !== "en") wrong.push("no lang");
  if (!document.title) wrong.push("no title");
  for (const mark of ["main", "header", "nav"]) if (document.querySelectorAll("body > " + mark + ", body > header " + mark).length !== 1) wrong.push("not one " + mark);
  let level = 0, first = 0;
  for (const head of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (!visible(head)) continue;
    const now = Number(head.tagName[1]);
    if (now === 1) first++;
    if (now > level + 1) wrong.push("heading " + now + " after " + level + ": " + head.textContent);
    level = now;
  }
  if (first !== 1) wrong.push(first + " headings of the first level");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("two of id " + id);
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
    for (const id of (e.getAttribute("aria-labelledby") || e.getAttribute("aria-describedby")).split(" ")) if (!document.getElementById(id)) wrong.push("no " + id);
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) wrong.push("scrolls sideways: " + root.scrollWidth + " > " + root.clientWidth + " " + [...document.body.querySelectorAll("*")].filter((e) => visible(e) && e.getBoundingClientRect().right > root.clientWidth + 1).slice(0, 3).map((e) => e.tagName + "." + e.className));
  for (const e of document.querySelectorAll("button, select, input")) { const r = e.getBoundingClientRect(); if (visible(e) && e.type !== "checkbox" && (r.width < 24 || r.height < 24)) wrong.push("too small to hit: " + (e.id || e.textContent)); }
  return wrong;
})()`

// wantSound checks what is shown in both schemes and on a narrow screen.
func (b *browser) wantSound(what string) {
	b.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 360} {
			b.look(width, scheme)
			if wrong := eval[[]string](b, sound); len(wrong) > 0 {
				b.t.Errorf("%s, %s, %d px: %s", what, scheme, width, strings.Join(wrong, "; "))
			}
		}
	}
	if list := b.nameless(); len(list) > 0 {
		b.t.Errorf("%s: without a name for a screen reader: %q", what, list)
	}
	b.look(1280, "light")
}

// wantQuiet checks that the browser had nothing to complain about, but for what is
// expected, and asked nobody but these origins.
func (b *browser) wantQuiet(expected string, origins ...string) {
	b.t.Helper()
	for _, said := range b.noted(&b.said) {
		if expected == "" || !strings.Contains(said, expected) {
			b.t.Errorf("the browser's console: %s", said)
		}
	}
	requests := b.noted(&b.requests)
	if len(requests) < 10 {
		b.t.Errorf("only %d requests were seen", len(requests))
	}
	for _, url := range requests {
		own := strings.HasPrefix(url, "data:") || strings.HasPrefix(url, "blob:")
		for _, origin := range origins {
			own = own || strings.HasPrefix(url, origin+"/")
		}
		if !own {
			b.t.Errorf("the page asked for %s", url)
		}
	}
	if list := eval[[]string](b, "window.violations"); len(list) > 0 {
		b.t.Errorf("against the policy: %q", list)
	}
}
