package diagnose

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"wpmend/agent/probe"
	"wpmend/php/errlog"
	"wpmend/wp"
)

// freshMaintenance is how long WordPress honours .maintenance: wp-includes/load.php, wp_is_maintenance_mode.
const freshMaintenance = 10 * time.Minute

// maintenanceAge is how long ago .maintenance was written; ok is false where there is none.
func (f Facts) maintenanceAge() (age time.Duration, ok bool) {
	if f.Maintenance.IsZero() || f.Front.Start.IsZero() {
		return 0, false
	}
	return f.Front.Start.Sub(f.Maintenance), true
}

func maintenance(f Facts) (Cause, bool) {
	if f.Front.Outcome != probe.Maintenance && f.Direct.Outcome != probe.Maintenance {
		return Cause{}, false
	}
	c := Cause{Cause: Maintenance, Confidence: proven}
	c.say(f, "answer", "WordPress answers with its maintenance page")
	if !f.Maintenance.IsZero() {
		c.say(f, "file", ".maintenance was written at %s", f.Maintenance.Format(time.RFC3339))
	}
	switch age, there := f.maintenanceAge(); {
	case f.Updating != "":
		c.say(f, "file", "an update is under way: %s", f.Updating)
		c.advise("An update seems to be under way (%s): let it end. If it has broken off (ps aux | grep -E 'wp-cli|update'), remove .maintenance from WordPress' folder and run the update again.", f.Updating)
	case !there:
		c.advise("There is no .maintenance file, so somebody closed the site on purpose: a maintenance plugin (wp plugin list), or wp-content/maintenance.php. Open it there: wp maintenance-mode deactivate; wp plugin deactivate NAME. If there is a .maintenance file after all, remove .maintenance.")
	case age >= freshMaintenance:
		c.Remedy = new(RemedyMaintenance)
		c.advise("The file is %s old and no update runs: remove .maintenance (wp maintenance-mode deactivate). WordPress itself ignores one after %s, unless the file computes its time anew on each request; a plugin, WP-CLI and the automatic updates may honour it longer.", age.Round(time.Minute), freshMaintenance)
	default:
		c.advise("An update is running, or broke off. WordPress ends this state by itself %s after the file was written; if no update runs (ps aux | grep wp-cli), remove .maintenance.", freshMaintenance)
	}
	return c, true
}

// updateBroken: as long as an update may be under way, it is not known who is to blame.
func updateBroken(f Facts) (Cause, bool) {
	age, there := f.maintenanceAge()
	c := Cause{Cause: UpdateBroken}
	if f.Front.Outcome == probe.Maintenance || !f.broken() && !f.lost() {
		return Cause{}, false
	}
	switch {
	case f.Updating != "":
		c.Confidence = 0.8
		c.say(f, "file", "a fresh trace of an update or a deploy: %s", f.Updating)
		c.advise("Wait until it has ended, %s at most; wpmend looks again then. If nothing runs (ps aux | grep -E 'wp-cli|composer|git|rsync'), it broke off: run it again.", freshMaintenance)
	case there && len(f.CoreDamaged) > 0:
		c.Confidence = told
		c.say(f, "file", ".maintenance was left behind %s ago, and files of WordPress' own are damaged", age.Round(time.Minute))
	case there && age >= freshMaintenance:
		c.Confidence = 0.4
		c.say(f, "file", ".maintenance was left behind at %s", f.Maintenance.Format(time.RFC3339))
	default:
		return Cause{}, false
	}
	for _, fault := range f.CoreDamaged {
		c.say(f, "core", "%s", fault)
	}
	c.advise("Install what was being updated once more, whole: wp core update --force; wp plugin install NAME --force; wp theme install NAME --force (they keep the settings); or put back the backup from before. Check the room first: df -h, df -i.")
	return c, true
}

func coreDamaged(f Facts) (Cause, bool) {
	if len(f.CoreDamaged) == 0 {
		return Cause{}, false
	}
	// A file that somebody patched may well work; one that is gone or empty cannot.
	c := Cause{Cause: CoreDamaged, Confidence: 0.4}
	for _, fault := range f.CoreDamaged {
		if fault.What != wp.CoreChanged {
			c.Confidence = told
		}
		c.say(f, "core", "%s", fault)
	}
	c.advise("Install WordPress' own files again, in the version that the site has (wp core download --force --skip-content, or the package or panel that it came from); plugins, themes and the database stay as they are.")
	return c, true
}

// isConfig tells wp-config.php.
func isConfig(file string) bool { return path.Base(file) == "wp-config.php" }

func configBroken(f Facts) (Cause, bool) {
	c := Cause{Cause: ConfigBroken}
	where := ""
	for _, l := range f.Lint {
		if isConfig(l.File) {
			c.Confidence = 0.97
			where = sentence("%s:%d", l.File, l.Line)
			c.say(f, "php -l", "%s:%d: %s", l.File, l.Line, l.Text)
		}
	}
	f.fatals(&c, func(e errlog.PHPError) bool {
		if rest, out := strings.CutPrefix(e.Message, "Failed opening required '"); out { // by wp-load.php, where PHP may not read it
			if file, _, _ := strings.Cut(rest, "'"); isConfig(file) {
				where = cmp.Or(where, file)
				return true
			}
		}
		if !isConfig(e.File) {
			return false
		}
		where = cmp.Or(where, sentence("%s:%d", e.File, e.Line))
		return true
	})
	if f.Unread != nil {
		if f.broken() {
			c.Confidence = max(c.Confidence, sure)
		}
		c.Confidence = max(c.Confidence, textOnly)
		c.say(f, "wp-config.php", "%v", f.Unread)
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.advise("Mend %s; try it with php -l before it goes live. Usual: a quote or semicolon lost, text before <?php, \"curly\" quotes out of a word processor, a file that it requires is gone, or its owner or mode keeps PHP out (chown to the site's user, chmod 0640).", cmp.Or(where, "wp-config.php"))
	return c, true
}

func codeUnparsable(f Facts) (Cause, bool) {
	c := Cause{Cause: CodeUnparsable}
	inside := ""
	found := func(file string, line int, text string) {
		id, ok := f.firstBlamed([]string{f.absolute(file)})
		if ok && inside == "" {
			inside = id
		}
		if c.Advice == "" {
			c.advise("%s:%d does not parse: %s.", file, line, strings.TrimSuffix(firstLine(text), "."))
		}
	}
	for _, l := range f.Lint {
		if isConfig(l.File) {
			continue
		}
		c.Confidence = textOnly
		if f.broken() {
			c.Confidence = 0.96
		}
		c.say(f, "php -l", "%s:%d: %s (changed %s)", l.File, l.Line, l.Text, l.Changed.Format(time.DateTime))
		found(l.File, l.Line, l.Text)
	}
	f.fatals(&c, func(e errlog.PHPError) bool {
		if e.Kind != "Parse error" || isConfig(e.File) {
			return false
		}
		found(e.File, e.Line, e.Message)
		return true
	})
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	if c.Component = inside; inside != "" {
		c.Remedy = new(RemedyDisable)
		c.advise("It belongs to %s: put back the file from before the last edit or update, or install it again whole.", inside)
	} else {
		c.advise("It belongs to no component that can be switched off: put back the file from before the last edit (a backup, or git checkout), and try it with php -l.")
	}
	return c, true
}

// absolute is a file of the site's with its whole path.
func (f Facts) absolute(file string) string {
	if path.IsAbs(file) || f.Root == "" {
		return file
	}
	return path.Join(f.Root, file)
}

// prependMissing: PHP names no place, since no script runs yet.
func prependMissing(f Facts) (Cause, bool) {
	c := Cause{Cause: PrependMissing}
	missing := ""
	if !f.fatals(&c, func(e errlog.PHPError) bool {
		if e.File != "Unknown" || !strings.HasPrefix(e.Message, "Failed opening required '") {
			return false
		}
		missing = cmp.Or(quoted(e.Message), missing)
		return true
	}) {
		return Cause{}, false
	}
	name := shell(cmp.Or(path.Base(missing), "auto_prepend_file"))
	c.advise("PHP is told to load %s first (auto_prepend_file), and it is not there. Where that is set: grep -rs auto_prepend_file %s /etc/php*/; usually in .user.ini, by a firewall plugin (Wordfence, NinjaFirewall). Put the file back, or take the line out; PHP reads .user.ini anew after 5 minutes.",
		missing, shell(cmp.Or(f.Root, "SITE"))+"/.user.ini")
	c.advise("At once, if nothing else helps: an empty file in its place (touch %s) lets the site run without the firewall.", cmp.Or(shell(missing), name))
	return c, true
}

func themeMissing(f Facts) (Cause, bool) {
	if f.ThemeMissing == "" {
		return Cause{}, false
	}
	c := Cause{Cause: ThemeMissing, Confidence: 0.6}
	if f.Front.Outcome == probe.Blank || f.Direct.Outcome == probe.Blank {
		c.Confidence = 0.97
	}
	c.say(f, "file", "the active theme's folder %s is not there", f.ThemeMissing)
	c.advise("Put the folder %s back, or install the theme again (wp theme install %s), or choose another: wp theme activate NAME (wp theme list shows what is there).", f.ThemeMissing, shell(path.Base(f.ThemeMissing)))
	return c, true
}

func componentFault(f Facts) (Cause, bool) {
	c := Cause{Cause: ComponentFault, Remedy: new(RemedyDisable)}
	named := f.fatals(&c, func(e errlog.PHPError) bool {
		id, ok := f.firstBlamed(files(e))
		if ok && c.Component == "" {
			c.Component = id
		}
		return ok
	})
	c.Confidence = min(c.Confidence, 0.8) // probes convict, not what is written
	if id := f.hanging(); id != "" && c.Component == "" && (f.late() || f.lost()) {
		c.Component, c.Confidence = id, max(c.Confidence, 0.6)
		c.say(f, "pool", "most of what hangs stands in %s", id)
		f.stood(&c)
		named = true
	}
	for _, r := range []probe.Result{f.Front, f.Direct} {
		switch r.Outcome {
		case probe.Fatal:
			c.say(f, "answer", "PHP ends every request with a fatal error (%s)", r.Signature)
		case probe.Blank:
			c.say(f, "answer", "every answer is empty, with status 200 (%s)", r.Signature)
		default:
			continue
		}
		c.Confidence = max(c.Confidence, textOnly)
		named = true
	}
	if !named {
		return Cause{}, false
	}
	if f.Next.Asked > 0 && f.Next.Failing == f.Next.Asked {
		c.Confidence /= 2
		c.say(f, "answer", "%d of %d other sites of the same pool fail as well, which no plugin of this one explains", f.Next.Failing, f.Next.Asked)
	}
	if c.Component != "" && !slices.ContainsFunc([]string{"plugin", "theme"}, func(kind string) bool { return strings.HasPrefix(c.Component, kind+":") }) {
		c.advise("%s is loaded with every page: moving it aside is what wpmend tries.", c.Component)
	}
	c.advise("wpmend bisect finds the component without touching the live site; wp plugin deactivate NAME --skip-plugins switches one off by hand.")
	return c, true
}
