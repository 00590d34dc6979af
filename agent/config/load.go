package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// The bounds of what is read.
const (
	mostFile  = 1 << 20
	mostFiles = 1000
	mostTotal = 8 << 20
)

// ConfD is the folder beside a configuration file whose *.toml are read over it, in the order of their names.
const ConfD = "conf.d"

// Load reads file over the defaults, and the *.toml in conf.d beside it over that. A missing file is an error unless it
// is DefaultFile. What is wrong with a file is an *Error; a file that somebody else could have written is refused.
func Load(file string) (Config, error) {
	r := newReader()
	left := int64(mostTotal)
	add := func(file string) *Error {
		text, fault := read(file)
		if fault != nil {
			return fault
		}
		if left -= int64(len(text)); left < 0 {
			return &Error{File: file, Msg: fmt.Sprintf("with this file the configuration is larger than %d MiB", mostTotal>>20)}
		}
		if fault := r.read(file, text); fault != nil {
			return fault
		}
		r.config.Files = append(r.config.Files, file)
		return nil
	}
	fault := add(file)
	if fault != nil && !(fault.missing && file == DefaultFile) {
		return Config{}, fault
	}
	others, fault := beside(file)
	if fault != nil {
		return Config{}, fault
	}
	for _, other := range others {
		if fault := add(other); fault != nil {
			return Config{}, fault
		}
	}
	return r.config, nil
}

// Parse reads text, which came from file, over the defaults.
func Parse(file, text string) (Config, error) {
	r := newReader()
	if fault := tooLarge(file, len(text)); fault != nil {
		return Config{}, fault
	}
	if fault := r.read(file, text); fault != nil {
		return Config{}, fault
	}
	r.config.Files = []string{file}
	return r.config, nil
}

func tooLarge(file string, n int) *Error {
	if n <= mostFile {
		return nil
	}
	return &Error{File: file, Msg: fmt.Sprintf("is larger than %d MiB: that is no configuration", mostFile>>20)}
}

// beside lists the further files of a configuration.
func beside(file string) ([]string, *Error) {
	dir := filepath.Join(filepath.Dir(file), ConfD)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &Error{File: dir, Msg: fmt.Sprintf("cannot read: %v", cause(err))}
	}
	if fault := exchangeable(filepath.Join(dir, "any.toml")); fault != nil {
		return nil, fault
	}
	var files []string
	for _, e := range entries { // in the order of their names
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) > mostFiles {
		return nil, &Error{File: dir, Msg: fmt.Sprintf("there are more than %d files in it", mostFiles)}
	}
	slices.Sort(files)
	return files, nil
}

// read reads a file that only root, or who runs wpmend, can have written.
func read(file string) (string, *Error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hold wpmend up
	if err != nil {
		return "", &Error{File: file, Msg: fmt.Sprintf("cannot read: %v", cause(err)), missing: errors.Is(err, fs.ErrNotExist)}
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", &Error{File: file, Msg: fmt.Sprintf("cannot read: %v", cause(err))}
	case !info.Mode().IsRegular():
		return "", &Error{File: file, Msg: "is not a regular file"}
	}
	if fault := foreign(file, info); fault != nil {
		return "", fault
	}
	if fault := exchangeable(file); fault != nil {
		return "", fault
	}
	text, err := io.ReadAll(io.LimitReader(f, mostFile+1))
	if err != nil {
		return "", &Error{File: file, Msg: fmt.Sprintf("cannot read: %v", cause(err))}
	}
	return string(text), tooLarge(file, len(text))
}

// cause is an error without the file's name, which stands before it anyway.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
