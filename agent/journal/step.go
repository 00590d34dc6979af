package journal

import (
	"context"
	"encoding/json"
	"fmt"
)

// StepKind says what a step does; each kind has its own file.
type StepKind string

// The kinds of steps.
const (
	Rename     StepKind = "rename"     // one object of a site gets another name
	Option     StepKind = "option"     // plugins stay in the list of active ones across a rename
	Setting    StepKind = "setting"    // an option gets another value
	Deactivate StepKind = "deactivate" // plugins are taken off a list of active ones
	Start      StepKind = "start"      // a process is started
	Content    StepKind = "content"    // a file gets another content as a whole
	Act        StepKind = "act"        // something is set going, such as a reload
)

// Step is one act. Which fields count depends on the kind; the constructors
// [PlanRename], [GuardPlugins], [DeactivatePlugins], [SetOption], [StartStep],
// [ReplaceFile], [ReplaceHostFile] and [ActStep] set them.
type Step struct {
	Kind     StepKind `json:"kind"`
	SiteRoot string   `json:"site_root,omitempty"` // absolute

	// Rename: From and To are relative to SiteRoot, slash-separated.
	From   string    `json:"from,omitempty"`
	To     string    `json:"to,omitempty"`
	Object *Identity `json:"object,omitempty"` // what lay at From when it was planned
	Owners []uint32  `json:"owners,omitempty"` // users besides root who may own the object and the folders on the way
	Folder string    `json:"folder,omitempty"` // new hidden folder for To; removed by the undo if it is empty

	// Option and Deactivate: the plugins that must be active again after an undo.
	// Setting: After is the value.
	Name    string   `json:"name,omitempty"`
	Plugins []string `json:"plugins,omitempty"` // as in active_plugins: "akismet/akismet.php"
	Before  raw      `json:"before,omitempty"`  // the option's bytes when it was planned
	After   raw      `json:"after,omitempty"`

	// Start: what is to be started, as the remedy described it.
	Process json.RawMessage `json:"process,omitempty"`

	// Content: the file. Owners counts too.
	File *File `json:"file,omitempty"`

	// Act: what is to be done, as the remedy described it, and in which direction.
	When When            `json:"when,omitempty"`
	Act  json.RawMessage `json:"act,omitempty"`
}

// standing is what the disk says of a step.
type standing int

const (
	notDone standing = iota
	done
	inert // the step has no effect of its own
)

// kind carries out the steps of one kind. Every method may be called again after a
// crash at any instant of an earlier call.
type kind interface {
	check(Step) error
	undoable() bool
	describe(Step) string
	byHand(Step, Change) []string
	// prepare reads what the undo will need, before the step is written down.
	prepare(ctx context.Context, j *Journal, s Step) (Step, error)
	// look tells from the live system whether the step is in effect. A [*RefusedError]
	// means that it cannot be told.
	look(ctx context.Context, j *Journal, s Step) (standing, error)
	apply(ctx context.Context, w *work, s Step) error
	undo(ctx context.Context, w *work, s Step) error
}

func kindOf(k StepKind) (kind, error) {
	switch k {
	case Rename:
		return renaming{}, nil
	case Option:
		return guarding{}, nil
	case Setting:
		return setting{}, nil
	case Deactivate:
		return deactivating{}, nil
	case Start:
		return starting{}, nil
	case Content:
		return replacing{}, nil
	case Act:
		return acting{}, nil
	}
	return nil, fmt.Errorf("unknown kind of step %q: a newer wpmend may have written it", k)
}

// RefusedError says that the live system does not fit the record, so that nothing
// was touched and a person must look.
type RefusedError struct {
	What string // what lies where
	Do   string // what a person can do
}

func (e *RefusedError) Error() string {
	if e.Do == "" {
		return "refused: " + e.What
	}
	return "refused: " + e.What + "; " + e.Do
}
