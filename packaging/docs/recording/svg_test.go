package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// Whatever a program prints, the picture is well-formed, holds all of it and nothing from
// outside.
func FuzzDraw(f *testing.F) {
	f.Add("wpmend check a.test", "a <b> & \"c\"\x1b[31m", 3)
	f.Add("", strings.Repeat("wide ", 60), 90)
	f.Fuzz(func(t *testing.T, command, answer string, n int) {
		lines := []line{{typed, command, 0}}
		for i := range max(0, min(n, 100)) {
			lines = append(lines, line{result, answer, time.Duration(i) * 10 * time.Second})
		}
		lines = append(lines, line{typed, command, time.Hour})
		svg := draw(lines)
		dec := xml.NewDecoder(bytes.NewReader(svg))
		dec.Strict = true
		for {
			_, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, svg)
			}
		}
		shown, total := pace(wrap(lines))
		if total > time.Duration(len(shown))*longest+time.Duration(len(shown)+1)*2*time.Second+atEnd {
			t.Errorf("it takes %s", total)
		}
		for i := range shown[1:] {
			if shown[i+1].at < shown[i].at {
				t.Errorf("line %d comes before line %d", i+1, i)
			}
		}
		for _, l := range shown {
			if len([]rune(l.text)) > columns {
				t.Errorf("%q is wider than the terminal", l.text)
			}
		}
		for _, fetching := range []string{"href", "url(http", "@import", "<script", "<image"} {
			if !strings.Contains(command+answer, fetching) && bytes.Contains(svg, []byte(fetching)) {
				t.Errorf("it holds %s", fetching)
			}
		}
	})
}
