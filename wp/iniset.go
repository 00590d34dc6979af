package wp

// INISet is a call of ini_set() or set_time_limit() in wp-config.php.
type INISet struct {
	Name  string // of PHP's setting: "max_execution_time" for set_time_limit()
	Value Value
}

// callINISet keeps what a call sets, as far as its name is certain.
func (e *eval) callINISet(from int, word string, args []scalar) {
	if e.dry || e.stopped {
		return
	}
	name := "max_execution_time"
	if word == "ini_set" {
		if len(args) != 2 || args[0].kind != text {
			return
		}
		name, args = args[0].text, args[1:]
	}
	if len(args) == 1 {
		e.sets = append(e.sets, INISet{Name: name, Value: e.definition(from, args[0]).value()})
	}
}

// havocINISet keeps a call that may happen or not.
func (x *follower) havocINISet(i int, word string) {
	name := "max_execution_time"
	if word == "ini_set" {
		t := x.source.tokens[i+2]
		var ok bool
		if name, ok = literal(t.kind, x.source.src[t.start:t.end]); !ok {
			return
		}
	}
	x.sets = append(x.sets, INISet{Name: name, Value: x.undecided(i).value()})
}
