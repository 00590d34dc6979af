package wp

import (
	"io/fs"
	"strings"
	"testing"
)

// TestConfigIsBounded reads files made to take long.
func TestConfigIsBounded(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"parentheses":   "$x = " + strings.Repeat("(", 300_000) + strings.Repeat(")", 300_000) + ";",
		"ifs":           strings.Repeat("if (1) ", 100_000) + "define('A', 1);",
		"else ifs":      "if ($a) {}" + strings.Repeat(" elseif ($a) {}", 50_000),
		"includes":      strings.Repeat("include ", 120_000) + "1;",
		"functions":     strings.Repeat("function a() ", 70_000) + ";",
		"classes":       strings.Repeat("class a ", 100_000) + ";",
		"nots":          "$x = " + strings.Repeat("!", 900_000) + "1;",
		"concatenation": "$x = 'a'" + strings.Repeat(".'a'", 200_000) + ";",
		"doubling":      "$x = 'aaaaaaaaaaaaaaaa';" + strings.Repeat("$x = $x . $x;", 60),
		"strings":       "$x = \"" + strings.Repeat("{$a}", 200_000) + "\";",
		"heredocs":      strings.Repeat("<<<", 300_000),
		"blocks":        strings.Repeat("{", 400_000) + strings.Repeat("}", 400_000),
		"loops":         strings.Repeat("while(1)", 100_000) + ";",
		"calls":         "function f() {" + strings.Repeat("f();", 1000) + "}" + strings.Repeat("f();", 100_000),
		"commas":        "f(" + strings.Repeat("1,", 400_000) + "1);",
		"casts":         "$x = " + strings.Repeat("(int)", 150_000) + "1;",
		"comments":      strings.Repeat("/**/#\n", 150_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, err := readSite(t, map[string]string{"wp-config.php": "<?php " + text})
			if err != nil || len(c.Gaps) > maxGaps {
				t.Fatalf("%d gaps, %v", len(c.Gaps), err)
			}
		})
	}
}

func FuzzReadConfig(f *testing.F) {
	for _, src := range nasty {
		f.Add(src, "")
	}
	for i := range 30 {
		g := &generator{Rand: newRand(uint64(i))}
		files := g.site()
		f.Add(files["wp-config.php"], files["inc1.php"])
	}
	f.Fuzz(func(t *testing.T, config, include string) {
		s, err := parse("/srv/wp-config.php", []byte(config))
		if err != nil {
			return
		}
		files := memFiles{"wp-config.php": s.src, "inc1.php": []byte(include)}
		r := newReader(files, "/srv", "/srv", "/srv")
		if err := r.main("wp-config.php"); err != nil {
			t.Fatal(err)
		}
		for name, d := range r.consts {
			if v := d.value(); !v.Known && v.Why == "" || v.File == "" {
				t.Fatalf("%s: %+v says not why", name, v)
			}
		}
		if v := r.variable("table_prefix"); v.File != "" && !v.Known && v.Why == "" {
			t.Fatalf("$table_prefix: %+v says not why", v)
		}
	})
}

// memFiles are files without a disk.
type memFiles map[string][]byte

func (memFiles) Dir() string { return "/srv" }

func (m memFiles) Lstat(rel string) (fs.FileInfo, error) {
	if rel == "." || m[rel] != nil {
		return memInfo{}, nil
	}
	return nil, fs.ErrNotExist
}

func (m memFiles) ReadFile(rel string, _ int64) ([]byte, error) {
	if m[rel] == nil {
		return nil, fs.ErrNotExist
	}
	return m[rel], nil
}

type memInfo struct{ fs.FileInfo }

func (memInfo) Mode() fs.FileMode { return 0o644 }
