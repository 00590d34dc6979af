package diagnose

import "wpmend/php/errlog"

// The weights of the kinds of evidence, as odds against a component of which
// nothing is known. Only their order matters: evidence orders, probes convict.
const (
	inTrace   = 300
	inFatal   = 100
	deepFrame = 20 // named, but not the innermost component
)

// Suspects weighs the components that the facts name; who is not in the map has
// the weight 1.
func Suspects(f Facts) map[string]float64 {
	weights := map[string]float64{}
	accuse := func(files []string, innermost float64) {
		weight := innermost
		for _, file := range files {
			if f.Blame == nil {
				return
			}
			if id, ok := f.Blame(file); ok {
				weights[id] = max(weights[id], weight)
				weight = deepFrame
			}
		}
	}
	for _, l := range f.PHP {
		if l.Record.Fatal() {
			accuse(files(l.Record), inFatal)
		}
	}
	for _, l := range f.Traces {
		accuse(frameFiles(l.Record.Frames), inTrace)
	}
	return weights
}

// files are the places that a PHP error names, the innermost first.
func files(e errlog.PHPError) []string {
	return append([]string{e.File}, frameFiles(e.Frames)...)
}

func frameFiles(frames []errlog.Frame) []string {
	found := make([]string, 0, len(frames))
	for _, f := range frames {
		found = append(found, f.File)
	}
	return found
}
