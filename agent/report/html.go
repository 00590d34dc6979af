package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"
)

//go:embed report.html
var page string

// HTML writes the report as one page that needs nothing else: no script, no request.
func (r Report) HTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"utc":   func(t time.Time) string { return t.UTC().Format(stamp) },
		"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"since": func(t time.Time) string { return since(r.Opened, t) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("read the page of reports: %w", err)
	}
	return t.Execute(w, struct {
		Report
		Line  Line
		Steps []string
	}{r, r.line(), r.todo()})
}

// Line is the timeline as it is drawn, in units of the drawing.
type Line struct {
	Width, Height int
	Left, Right   int // of the axis
	Axis          int // its height
	Ticks         []Tick
	Points        []Point
}

// Tick is a mark of the axis.
type Tick struct {
	X     int
	Label string
}

// Point is one event.
type Point struct {
	X, Y  int
	N     int // its number in the list below
	What  string
	First bool // of the failure
	Last  bool
}

const (
	lineWidth, lineMargin = 720, 28
	pointSize             = 22 // that far apart two points do not cover each other
)

// line lays the events out along the time that the incident took.
func (r Report) line() Line {
	l := Line{Width: lineWidth, Left: lineMargin, Right: lineWidth - lineMargin}
	if len(r.Timeline) == 0 {
		return l
	}
	start, end := r.Opened, r.Timeline[len(r.Timeline)-1].Time
	for _, e := range r.Timeline {
		if e.Time.Before(start) {
			start = e.Time
		}
		if e.Time.After(end) {
			end = e.Time
		}
	}
	took := max(end.Sub(start), time.Second)
	at := func(t time.Time) int {
		return l.Left + int(float64(l.Right-l.Left)*t.Sub(start).Seconds()/took.Seconds())
	}
	rows := []int{} // the last x of each row
	for i, e := range r.Timeline {
		x, row := at(e.Time), 0
		for row < len(rows) && x-rows[row] < pointSize {
			row++
		}
		if row == len(rows) {
			rows = append(rows, x)
		}
		rows[row] = x
		l.Points = append(l.Points, Point{X: x, Y: row, N: i + 1, What: e.What, First: i == 0, Last: i == len(r.Timeline)-1})
	}
	l.Axis = len(rows)*pointSize + 16
	l.Height = l.Axis + 28
	for i := range l.Points {
		l.Points[i].Y = l.Axis - 16 - l.Points[i].Y*pointSize
	}
	step := tickStep(took)
	for d := time.Duration(0); d <= took; d += step {
		l.Ticks = append(l.Ticks, Tick{X: at(start.Add(d)), Label: d.String()})
	}
	return l
}

// tickStep is a round time that gives four to ten marks.
func tickStep(took time.Duration) time.Duration {
	for _, step := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
		5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour} {
		if took/step <= 10 {
			return step
		}
	}
	return took / 8
}
