package wp

import (
	"fmt"
	"slices"
	"strconv"
)

// PluginList reads the plugin files that a serialised option names, in order:
// the values of active_plugins, or the keys of active_sitewide_plugins. An
// empty option names none; so does one that PHP does not take for an array, as
// WordPress then loads none.
func PluginList(b []byte) ([]string, error) {
	n, err := pluginNode(b)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, p := range n.Pairs {
		switch {
		case p.Value.Kind == 's':
			files = append(files, string(p.Value.Text))
		case p.Key.Kind == 's' && p.Value.Kind == 'i':
			files = append(files, string(p.Key.Text))
		}
	}
	return files, nil
}

func pluginNode(b []byte) (Node, error) {
	if len(b) == 0 {
		return Node{Kind: 'a'}, nil
	}
	n, err := Unserialize(b)
	if err != nil {
		return Node{}, fmt.Errorf("list of plugins: %w", err)
	}
	if n.Kind != 'a' {
		return Node{Kind: 'a'}, nil
	}
	return n, nil
}

// RemovePlugin takes a file off a serialised list, as deactivate_plugins does:
// active_plugins keeps the keys of the others. Without the file on it the list
// stays as it is.
func RemovePlugin(list []byte, file string) ([]byte, error) {
	n, err := pluginNode(list)
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(slices.Clone(n.Pairs), func(p Pair) bool { return names(p, file) })
	if len(kept) == len(n.Pairs) {
		return slices.Clone(list), nil
	}
	n.Pairs = kept
	return n.Serialize(), nil
}

func names(p Pair, file string) bool {
	return p.Value.Kind == 's' && string(p.Value.Text) == file ||
		p.Value.Kind == 'i' && p.Key.Kind == 's' && string(p.Key.Text) == file
}

// InsertPlugin puts a file on a serialised active_plugins at the place where
// activate_plugin puts it: the list is sorted and counted from 0. A list that
// has the file stays as it is. For active_sitewide_plugins use
// [InsertSitewide].
func InsertPlugin(list []byte, file string) ([]byte, error) {
	n, err := pluginNode(list)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(n.Pairs, func(p Pair) bool { return names(p, file) }) {
		return slices.Clone(list), nil
	}
	entry := Node{Kind: 's', Text: []byte(file)}
	// The others keep their order: some plugins put themselves first on purpose.
	at := 0
	for i, p := range n.Pairs {
		if string(p.Value.Text) < file {
			at = i + 1
		}
	}
	n.Pairs = slices.Insert(slices.Clone(n.Pairs), at, Pair{Value: entry})
	for i := range n.Pairs {
		n.Pairs[i].Key = intNode(int64(i))
	}
	return n.Serialize(), nil
}

// InsertSitewide puts a file on a serialised active_sitewide_plugins, with the
// time of its activation in seconds since 1970, unless it is there.
func InsertSitewide(list []byte, file string, activated int64) ([]byte, error) {
	n, err := pluginNode(list)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(n.Pairs, func(p Pair) bool { return names(p, file) }) {
		return slices.Clone(list), nil
	}
	n.Pairs = append(slices.Clone(n.Pairs), Pair{Node{Kind: 's', Text: []byte(file)}, intNode(activated)})
	return n.Serialize(), nil
}

func intNode(v int64) Node {
	return Node{Kind: 'i', Text: strconv.AppendInt(nil, v, 10)}
}
