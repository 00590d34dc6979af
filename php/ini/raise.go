package ini

import (
	"fmt"
	"time"
)

// Ceilings are the most that a link may be raised to, in nanoseconds or bytes. A link that is not in it stays as it is.
type Ceilings map[string]int64

// CeilingError says that a link would have to be raised above what is allowed.
type CeilingError struct {
	Name          string
	Want, Ceiling int64
	For           string // the link that needs it, "" if it is the one that was asked for
}

func (e *CeilingError) Error() string {
	if e.For != "" {
		return fmt.Sprintf("%s would have to follow to %s, above the ceiling of %s", e.Name, Format(e.Name, e.Want), Format(e.Name, e.Ceiling))
	}
	return fmt.Sprintf("%s = %s is above the ceiling of %s", e.Name, Format(e.Name, e.Want), Format(e.Name, e.Ceiling))
}

// FixedError says that a link would have to be raised that may not be touched.
type FixedError struct {
	Name string
	Want int64
	Now  string // what it is, in words
}

func (e *FixedError) Error() string {
	return fmt.Sprintf("%s (%s) would have to follow to %s, and that is not wpmend's to change", e.Name, e.Now, Format(e.Name, e.Want))
}

// LimitError says that a link cannot be raised from what it is.
type LimitError struct{ Why string }

func (e *LimitError) Error() string { return e.Why }

// Raise says what must be set so that a link gets to an amount and what lies behind it in the chain still waits for
// longer. Nothing is ever lowered, and a link that is unlimited or unknown is left alone. The link itself comes first.
func Raise(chain []Link, name string, to int64, c Ceilings) ([]Setting, error) {
	l := Find(chain, name)
	now, limited := l.amount()
	switch {
	case !known(name) || name == Outer:
		return nil, &LimitError{fmt.Sprintf("%s is no limit that can be set here", name)}
	case !l.Known:
		return nil, &LimitError{"what " + name + " is now is not known"}
	case l.Unlimited:
		return nil, &LimitError{name + " does not limit anything as it is"}
	case limited && to <= now:
		return nil, &LimitError{fmt.Sprintf("%s is %s already", name, l.Words())}
	case !IsSize(name) && to < int64(time.Second) || to <= 0:
		return nil, &LimitError{fmt.Sprintf("%s cannot be raised to %s", name, Format(name, to))}
	}
	r := raising{chain: chain, ceilings: c, want: map[string]int64{}}
	if err := r.raise(name, to, ""); err != nil {
		return nil, err
	}
	return r.settings, nil
}

type raising struct {
	chain    []Link
	ceilings Ceilings
	want     map[string]int64
	settings []Setting
}

// raise sets one link and what must follow it.
func (r *raising) raise(name string, to int64, behind string) error {
	l := Find(r.chain, name)
	if behind != "" {
		now, limited := l.amount()
		if !limited || max(now, r.want[name]) >= to {
			return nil
		}
	}
	if !IsSize(name) {
		to = (to + int64(time.Second) - 1) / int64(time.Second) * int64(time.Second)
	}
	most, may := r.ceilings[name]
	switch {
	case !may:
		return &FixedError{Name: name, Want: to, Now: l.Words()}
	case to > most:
		return &CeilingError{Name: name, Want: to, Ceiling: most, For: behind}
	}
	r.put(Setting{Name: name, Value: Format(name, to)}, to)
	for _, f := range r.followers(name, to) {
		if err := r.raise(f.name, f.to, name); err != nil {
			return err
		}
	}
	return nil
}

// put replaces an earlier, lower want.
func (r *raising) put(s Setting, to int64) {
	if _, again := r.want[s.Name]; again {
		for i := range r.settings {
			if r.settings[i].Name == s.Name {
				r.settings[i] = s
			}
		}
	} else {
		r.settings = append(r.settings, s)
	}
	r.want[s.Name] = to
}

type follower struct {
	name string
	to   int64
}

// followers are what must be at least so much when a link is at to.
func (r *raising) followers(name string, to int64) []follower {
	switch name {
	case Slowlog:
		return []follower{{MaxExecution, to + int64(time.Second)}, {Terminate, to}}
	case MaxExecution:
		if t := Find(r.chain, Terminate); t.Known && t.Unlimited {
			// Nothing ends the request between the two: the gateway must wait for it.
			return []follower{{Gateway, to + int64(Margin) + int64(time.Second)}}
		}
		return []follower{{Terminate, to}}
	case Terminate:
		return []follower{{Gateway, int64(Enough(time.Duration(to)))}}
	case Gateway:
		return []follower{{Outer, to}}
	case UploadMax:
		// The form's other fields and its borders come on top.
		return []follower{{PostMax, to + 1<<20}}
	}
	return nil
}

// Room is the most that a link can be raised to within the ceilings of all that must follow; ok is false where it
// cannot be raised at all.
func Room(chain []Link, name string, c Ceilings) (to int64, ok bool) {
	step := int64(time.Second)
	if IsSize(name) {
		step = 1 << 20
	}
	lo, hi := int64(0), c[name]/step+1 // lo steps can be had, or none; hi cannot
	if now, limited := Find(chain, name).amount(); limited {
		lo = now / step
	}
	floor := lo
	for lo+1 < hi {
		mid := lo + (hi-lo)/2
		if _, err := Raise(chain, name, mid*step, c); err == nil {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo * step, lo > floor
}

// With is the chain as it would be with settings made, wherever they are made.
func With(chain []Link, settings []Setting) []Link {
	next := make([]Link, len(chain))
	copy(next, chain)
	for i := range next {
		for _, s := range settings {
			if s.Name == next[i].Name {
				next[i].Set.Value, next[i].Set.Computed = s.Value, false
				next[i].read()
			}
		}
	}
	return next
}
