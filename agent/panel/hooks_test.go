package panel

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Hooks are put in place twice and taken out without a trace, for every panel.
func TestHooks(t *testing.T) {
	t.Parallel()
	files := os.DirFS("../../packaging/panels")
	for _, p := range panels() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			recorder := "#!/bin/sh\necho \"$@\" >>\"${0%/*}/said\"\n"
			h := layout(t, map[string]string{"/usr/bin/systemctl": recorder, "/usr/local/cpanel/bin/manage_hooks": recorder, pleskTool: recorder,
				"/usr/local/CyberCP/CyberCP/settings.py": "\n", "/usr/local/directadmin/conf/directadmin.conf": "\n", "/usr/local/cpanel/3rdparty/bin/perl": "\n",
				"/etc/systemd/system/other.service": "\n", "/usr/local/directadmin/plugins/other/plugin.conf": "\n"})
			before := tree(t, h.root)
			for range 2 {
				if _, err := p.installHooks(t.Context(), h, files); err != nil {
					t.Fatal(err)
				}
			}
			hooks := p.with.hooks()
			for _, f := range hooks.Files {
				if info, err := os.Stat(h.at(f.Path)); err != nil || info.Mode().Perm() != f.Mode {
					t.Errorf("%s: %v", f.Path, err)
				}
			}
			r, err := p.removeHooks(t.Context(), h)
			if err != nil || len(r.Files) != len(hooks.Files) {
				t.Errorf("%+v, %v", r, err)
			}
			if after := tree(t, h.root); after != before {
				t.Errorf("left behind:\n%s", after)
			}
			if r, err := p.removeHooks(t.Context(), h); err != nil || len(r.Files) != 0 {
				t.Errorf("removed twice: %+v, %v", r, err)
			}
			if len(hooks.Files) == 0 {
				return
			}
			// Another's file is neither replaced nor removed.
			at := h.at(hooks.Files[0].Path)
			if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(at, []byte("theirs\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			if _, err := p.installHooks(t.Context(), h, files); err == nil {
				t.Error("another's file was replaced")
			}
			if _, err := p.removeHooks(t.Context(), h); err == nil {
				t.Error("another's file was passed over in silence")
			}
			if text, err := os.ReadFile(at); err != nil || string(text) != "theirs\n" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

func tree(t *testing.T, root string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if !strings.HasSuffix(path, "/said") {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// What the panels run and read is well-formed by their own languages' word.
func TestShipped(t *testing.T) {
	t.Parallel()
	const dir = "../../packaging/panels/"
	out, err := exec.Command("sh", dir+"cpanel/wpmend-hook", "--describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	var hooks []struct {
		Category, Event, Stage, Hook, Exectype string
		EscalatePrivs                          int
	}
	if err := unmarshalStrict(out, &hooks); err != nil || len(hooks) < 8 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, hook := range hooks {
		if hook.Stage != "post" || hook.Exectype != "script" || hook.Hook != cpanelHook || hook.Category == "Cpanel" && hook.EscalatePrivs != 1 {
			t.Errorf("%+v", hook)
		}
	}
	// A hook that cannot reach wpmend never fails the panel's action.
	for _, script := range []string{"cpanel/wpmend-hook", "directadmin/hook.sh"} {
		cmd := exec.Command("sh", dir+script)
		cmd.Env = []string{"PATH=/nowhere"}
		cmd.Stdin = strings.NewReader(`{"context":{},"data":{}}`)
		if out, err := cmd.Output(); err != nil || script == "cpanel/wpmend-hook" && !strings.HasPrefix(string(out), "1 ") {
			t.Errorf("%s: %v %q", script, err, out)
		}
	}
	for _, lint := range [][]string{{"sh", "-n", dir + "cpanel/index.cgi"}, {"sh", "-n", dir + "directadmin/index.html"}, {"sh", "-n", dir + "plesk/extension/sbin/wpmend-glance"},
		{"php", "-l", dir + "plesk/extension/plib/controllers/IndexController.php"}, {"php", "-l", dir + "plesk/extension/plib/hooks/CustomButtons.php"},
		{"php", "-l", dir + "plesk/extension/htdocs/index.php"},
		{"python3", "-c", "import ast,sys\nfor f in sys.argv[1:]: ast.parse(open(f).read())", dir + "cyberpanel/wpmend/signals.py", dir + "cyberpanel/wpmend/apps.py", dir + "cyberpanel/wpmend/__init__.py"},
		{"python3", "-c", "import xml.dom.minidom,sys\nfor f in sys.argv[1:]: xml.dom.minidom.parse(f)", dir + "cyberpanel/wpmend/meta.xml", dir + "plesk/extension/meta.xml"},
	} {
		if out, err := exec.Command(lint[0], lint[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", strings.Join(lint, " "), err, out)
		}
	}
}
