package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// The terminal that is drawn: columns and rows of characters, in pixels.
const (
	columns = 118
	rows    = 30
	charW   = 8.43
	lineH   = 19
	margin  = 18
	barH    = 34
)

// How long it takes: waits are cut, and a person is given time to read.
const (
	longest = 1200 * time.Millisecond // between two lines of one command
	typing  = 900 * time.Millisecond  // before the first answer to a command
	reading = 130 * time.Millisecond  // for each line of an answer, before the next command
	atLeast = 1500 * time.Millisecond // the same, whatever its length
	atEnd   = 8 * time.Second
)

const style = `
.w{fill:#1b1f27}.b{fill:#2a303b}.t{font:14px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,"Liberation Mono",monospace;fill:#d7dce5;white-space:pre}
.p{fill:#8b95a7}.c{fill:#fff;font-weight:600}.d{fill:#7fd1a0}.n{font:13px system-ui,"DejaVu Sans",sans-serif;fill:#9aa4b5}
@media (prefers-reduced-motion:reduce){g,text{animation:none!important}}
`

// draw makes an SVG in which the lines come one after the other, over and over. Where
// nothing moves, it shows the end.
func draw(lines []line) []byte {
	shown, total := pace(wrap(lines))
	const width, height = columns*charW + 2*margin, rows*lineH + barH + 2*margin
	var rules, body bytes.Buffer
	for i, l := range shown {
		percent := 100 * l.at.Seconds() / total.Seconds()
		fmt.Fprintf(&rules, "@keyframes l%d{0%%{opacity:0}%.2f%%{opacity:1}}#l%d{animation:l%d %.1fs step-end infinite}\n", i, percent, i, i, total.Seconds())
		body.WriteString(element(i, l))
	}
	last := 0
	rules.WriteString("@keyframes s{0%{transform:translateY(0)}")
	for i, l := range shown {
		if up := (i + 1 - rows) * lineH; up > 0 {
			fmt.Fprintf(&rules, "%.2f%%{transform:translateY(-%dpx)}", 100*l.at.Seconds()/total.Seconds(), up)
			last = up
		}
	}
	fmt.Fprintf(&rules, "}#s{transform:translateY(-%dpx);animation:s %.1fs step-end infinite}\n", last, total.Seconds())

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d" role="img" aria-labelledby="title desc">
<title id="title">wpmend on a terminal</title>
<desc id="desc">A shop answers 502. wpmend check names the cause, wpmend heal finds the plugin at fault and switches it off, the shop answers 200, and wpmend incidents undo brings the plugin back.</desc>
<style>%s%s</style>
<clipPath id="v"><rect x="0" y="%d" width="%.0f" height="%d"/></clipPath>
<rect class="w" width="%.0f" height="%d" rx="9"/><path class="b" d="M0 9a9 9 0 0 1 9-9h%.0fa9 9 0 0 1 9 9v%dH0z"/>
<circle cx="20" cy="17" r="5.5" fill="#e0685f"/><circle cx="39" cy="17" r="5.5" fill="#dfb04b"/><circle cx="58" cy="17" r="5.5" fill="#62b565"/>
<text class="n" x="%.0f" y="22" text-anchor="middle">root@web1</text>
<g clip-path="url(#v)"><g id="s">
%s</g></g>
</svg>
`, width, height, width, height, style, rules.String(), barH+margin, width, rows*lineH+4, width, height, width-18, barH-9, width/2, body.String())
	return out.Bytes()
}

func element(i int, l line) string {
	y := barH + margin + (i+1)*lineH - 5
	class, text := "t", escape(l.text)
	switch l.kind {
	case typed:
		text = `<tspan class="d">#</tspan> <tspan class="c">` + escape(l.text) + `</tspan>`
	case progress:
		class = "t p"
	}
	return fmt.Sprintf("<text id=\"l%d\" class=\"%s\" x=\"%d\" y=\"%d\">%s</text>\n", i, class, margin, y, text)
}

// wrap breaks lines where a terminal would, and parts the commands by an empty line.
func wrap(lines []line) []line {
	var out []line
	for i, l := range lines {
		if l.kind == typed && i > 0 {
			out = append(out, line{result, "", l.at})
		}
		room := columns
		if l.kind == typed {
			room -= len("# ")
		}
		runes := []rune(strings.Map(printable, l.text))
		for {
			n := min(room, len(runes))
			out = append(out, line{l.kind, string(runes[:n]), l.at})
			if runes = runes[n:]; len(runes) == 0 {
				break
			}
		}
	}
	return out
}

func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// pace gives the lines times in which a person can read them, and the time of the whole.
func pace(lines []line) (paced []line, total time.Duration) {
	now, answered := 300*time.Millisecond, 0
	for i, l := range lines {
		switch {
		case i == 0:
		case lines[i-1].kind == typed && l.kind != typed:
			now += max(typing, min(longest, l.at-lines[i-1].at))
		case l.text == "" && i+1 < len(lines) && lines[i+1].kind == typed:
			now += max(atLeast, time.Duration(answered)*reading)
			answered = 0
		default:
			now += min(longest, max(0, l.at-lines[i-1].at))
		}
		answered++
		l.at = now
		paced = append(paced, l)
	}
	return paced, now + atEnd
}

func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a buffer takes everything
	return b.String()
}
