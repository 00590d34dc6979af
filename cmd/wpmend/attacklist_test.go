package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// leadAstray: links, and what is not what it seems, on the way to a change.
var leadAstray = []attack{
	{name: "the plugin is a link to a neighbour's", args: switchOff,
		sh: `cd wp-content/plugins && mv $P mine && ln -s $B/wp-content/plugins/$P $P`},
	{name: "plugins is a link to a neighbour's", args: switchOff,
		sh: `cd wp-content && mv plugins mine && ln -s $B/wp-content/plugins plugins`},
	{name: "plugins is a link to root's", args: switchOff,
		sh: `cd wp-content && mv plugins mine && ln -s $R/plugins plugins`},
	{name: "wp-content is a link to a neighbour's", args: switchOff,
		sh: `mv wp-content mine && ln -s $B/wp-content wp-content`},
	{name: "the root is a link to a neighbour's", args: switchOff,
		sh: `here=$PWD; cd $H && mv -T $here mine && ln -s $B $here`},
	{name: "the root is a link to a neighbour's, and it is healed", args: healIt,
		sh: `here=$PWD; cd $H && mv -T $here mine && ln -s $B $here`},
	{name: "the root is a link to a neighbour's, by two links", args: switchOff,
		sh: `here=$PWD; cd $H && mv -T $here mine && ln -s $B two && ln -s two $here`},
	{name: "the root is a link to /", args: healIt, sh: `here=$PWD; cd $H && mv -T $here mine && ln -s / $here`},
	{name: "the root is a link to /etc", args: healIt, sh: `here=$PWD; cd $H && mv -T $here mine && ln -s /etc $here`},
	{name: "the configuration says that plugins are a neighbour's", args: switchOff,
		sh: `sed -i "1a define( 'WP_PLUGIN_DIR', '$B/wp-content/plugins' );" wp-config.php`},
	{name: "the configuration says that plugins are in ..", args: switchOff,
		sh: `sed -i "1a define( 'WP_PLUGIN_DIR', __DIR__ . '/../neighbour/wp-content/plugins' );" wp-config.php`},
	{name: "the configuration says that wp-content is /etc", args: switchOff,
		sh: `sed -i "1a define( 'WP_CONTENT_DIR', '/etc' );" wp-config.php`},
	{name: "the name for off is a folder", args: switchOff, sh: `mkdir wp-content/plugins/.$P.off-by-wpmend`},
	{name: "the name for off is a link to a neighbour's", args: switchOff, sh: `ln -s $B/wp-content/plugins wp-content/plugins/.$P.off-by-wpmend`},
	{name: "the name for off is a pipe", args: switchOff, sh: `mkfifo wp-content/plugins/.$P.off-by-wpmend`},
	{name: "the name for off is taken, and it is healed", args: healIt, sh: `mkfifo wp-content/plugins/.$P.off-by-wpmend`},
	{name: "the hidden folder of a single file is a link to root's", args: []string{"disable", "SITE", "plugin:one.php"},
		sh: `cd wp-content/plugins && echo '<?php // Plugin Name: one' > one.php && ln -s $R .one.php.off-by-wpmend`},
	{name: "a .maintenance that is a link to root's", args: healIt, sh: `ln -s $R/private .maintenance`},
	{name: "a .maintenance that is a pipe", args: healIt, sh: `mkfifo .maintenance`},
	{name: "a .maintenance that is a folder", args: healIt, sh: `mkdir -p .maintenance/x`},
	{name: "a plugin that nobody may enter", args: switchOff, sh: `chmod 0 wp-content/plugins/$P`},
	{name: "plugins that nobody may enter", args: switchOff, sh: `chmod 0 wp-content/plugins`},
	{name: "a site that nobody may enter", args: healIt, sh: `chmod 0 .`},
	{name: "a neighbour's folder mounted as the plugin", args: switchOff, first: func(g *ground) {
		at := filepath.Join(g.Site(0).Root, "wp-content/plugins", g.culprit)
		g.must(unix.Mount(filepath.Join(g.neighbour, "wp-content/plugins", g.culprit), at, "", unix.MS_BIND, ""))
		g.undo = append(g.undo, func() { g.must(unix.Unmount(at, 0)) })
	}},
	{name: "a neighbour's folder mounted as plugins", args: switchOff, first: func(g *ground) {
		at := filepath.Join(g.Site(0).Root, "wp-content/plugins")
		g.must(unix.Mount(filepath.Join(g.neighbour, "wp-content/plugins"), at, "", unix.MS_BIND, ""))
		g.undo = append(g.undo, func() { g.must(unix.Unmount(at, 0)) })
	}},
	{name: "a disk of the owner's that is full", args: []string{"disable", "SITE", "plugin:one.php"}, first: func(g *ground) {
		at := filepath.Join(g.Site(0).Root, "wp-content/plugins")
		g.must(unix.Mount("tmpfs", at, "tmpfs", 0, "size=64k,nr_inodes=4,mode=755,uid=33,gid=33"))
		g.undo = append(g.undo, func() { g.must(unix.Unmount(at, 0)) })
	}, sh: `cd wp-content/plugins && echo '<?php // Plugin Name: one' > one.php; mkdir a b; head -c 99999 /dev/zero > c; true`},
	{name: "a plugin that cannot be changed", args: switchOff, first: func(g *ground) {
		at := filepath.Join(g.Site(0).Root, "wp-content/plugins", g.culprit)
		g.must(exec.Command("chattr", "+i", at).Run())
		g.undo = append(g.undo, func() { g.must(exec.Command("chattr", "-i", at).Run()) })
	}},
}

// fillings: what can lie in the place of a file that wpmend reads.
var fillings = func() (attacks []attack) {
	kinds := []struct{ name, sh string }{
		{"a pipe", `mkfifo "$F"`},
		{"a folder", `mkdir "$F"`},
		{"a socket", `perl -MIO::Socket::UNIX -e 'chdir $ARGV[0] or die; IO::Socket::UNIX->new(Local => $ARGV[1], Listen => 1) or die' "$(dirname "$F")" "$(basename "$F")"`},
		{"a terabyte of nothing", `truncate -s 1T "$F"`},
		{"a link to /dev/zero", `ln -s /dev/zero "$F"`},
		{"a link to itself", `ln -s "$(basename "$F")" "$F"`},
		{"a link to root's secret", `ln -s $R/private "$F"`},
		{"a link to a neighbour's secret", `ln -s $B/private "$F"`},
		{"a link to /proc/self/environ", `ln -s /proc/self/environ "$F"`},
		{"a link to /etc/shadow", `ln -s /etc/shadow "$F"`},
	}
	for _, at := range []struct {
		file  string
		args  []string
		kinds int // how many of them: a file that is read like another needs only some
	}{
		{file: "wp-config.php", kinds: 10},
		{file: "wp-content/plugins/$P/$P.php", kinds: 10},
		{file: ".user.ini", kinds: 10},
		{file: "wp-content/themes/lab/style.css", kinds: 5},
		{file: "wp-content/object-cache.php", kinds: 5},
		{file: "wp-content/mu-plugins/a.php", kinds: 5},
		{file: "wp-content/debug.log", kinds: 7},
		{file: "wp-includes/version.php", kinds: 5},
		{file: "index.php", kinds: 5},
	} {
		for _, k := range kinds[:at.kinds] {
			// A folder that is a link becomes one of the owner's own.
			prepare := `F="` + at.file + `"; D="$(dirname "$F")"; if [ -L "$D" ]; then cp -rL "$D" own && rm "$D" && mv own "$D"; fi; mkdir -p "$D" && rm -rf "$F" && `
			attacks = append(attacks, attack{name: strings.ReplaceAll(at.file, "$P", "plugin") + " is " + k.name, sh: prepare + k.sh, args: at.args})
		}
	}
	return attacks
}()

// bombs: what costs little to make and much to read.
var bombs = []attack{
	{name: "wp-config.php includes itself", sh: `sed -i '1a include __FILE__;' wp-config.php`},
	{name: "wp-config.php includes a neighbour's", sh: `mv wp-config.php x; echo "<?php require '$B/wp-config.php'; require __DIR__ . '/x';" > wp-config.php`},
	{name: "wp-config.php includes /etc/shadow", sh: `sed -i "1a include '/etc/shadow'; include '$R/private';" wp-config.php`},
	{name: "a thousand files that include each other", sh: `for i in $(seq 1000); do echo "<?php include __DIR__ . '/c$((i+1)).php'; include __DIR__ . '/c$((i+1)).php';" > c$i.php; done; sed -i "1a include __DIR__ . '/c1.php';" wp-config.php`},
	{name: "a million brackets", sh: `perl -e 'print "<?php \$a = ", "(" x 1000000, ";"' > wp-config.php`},
	{name: "half a million brackets within the bound", sh: `perl -e 'print "<?php \$a = ", "(" x 500000, "1", ")" x 500000, ";"' > wp-config.php`},
	{name: "blocks within blocks", sh: `perl -e 'print "<?php ", "if(1){" x 170000' > wp-config.php`},
	{name: "arrays within arrays", sh: `perl -e 'print "<?php define(\"A\", ", "[" x 500000, "]" x 500000, ");"' > wp-config.php`},
	{name: "a heredoc without an end", sh: `perl -e 'print "<?php \$a = <<<X\n", "x\n" x 400000' > wp-config.php`},
	{name: "a string of 100 MB", sh: `perl -e 'print "<?php \$a = \"", "x" x 100000000, "\";"' > wp-config.php`},
	{name: "a million definitions", sh: `perl -e 'print "<?php\n"; print "define(\"A$_\",1);\n" for 1..1000000' > wp-config.php`},
	{name: "as many definitions as the bound lets through", sh: `perl -e 'print "<?php\n"; print "define(\"A$_\",1);\n" for 1..55000' > wp-config.php`},
	{name: "strings that double with every line", sh: `perl -e 'print "<?php\n\$a = \"xxxxxxxxxxxxxxxx\";\n", "\$a = \$a . \$a;\n" x 60, "define(\"DB_NAME\", \$a);\n"' > wp-config.php`},
	{name: "a hundred thousand plugins", args: switchOff, sh: `cd wp-content/plugins && perl -e 'for (1..100000) { open my $f, ">", "p$_.php" or die }'`},
	{name: "a very deep folder", args: []string{"bisect", "SITE"}, sh: `cd wp-content/plugins && perl -e 'for (1..1500) { mkdir "d" x 200 or die; chdir "d" x 200 or die }'`},
	{name: "a header of a megabyte", sh: `perl -e 'print "<?php\n/*\nPlugin Name: ", "x" x 1000000, "\nRequires Plugins: ", "a," x 500000, "\n*/\n"' > wp-content/plugins/$P/$P.php`},
	{name: "a list of active plugins that is a bomb", first: func(g *ground) {
		g.setActive(strings.Repeat(`a:1:{i:0;`, 100000) + `i:1;` + strings.Repeat(`}`, 100000))
	}},
	{name: "a list of active plugins that says it is huge", first: func(g *ground) {
		g.setActive(`a:2147483647:{i:0;s:2147483647:"x";}`)
	}},
	{name: "a list of active plugins with an object in it", first: func(g *ground) {
		g.setActive(`a:1:{i:0;O:8:"stdClass":1:{s:1:"x";R:1;}}`)
	}},
	{name: "a list of active plugins that names another's", args: healIt, first: func(g *ground) {
		g.setActive(pluginList("../../../neighbour/wp-content/plugins/"+g.culprit+"/"+g.culprit+".php", "/etc/passwd", g.culprit+"/../../../../../etc/passwd", g.culprit+"/"+g.culprit+".php"))
	}},
}

// hostileNames: text of the owner's choice that a person or a program reads.
var hostileNames = func() (attacks []attack) {
	for _, n := range []struct{ what, name string }{
		{"a newline", `a\nwpmend: all is well`},
		{"colours", `\033[31mred\033[0m`},
		{"a terminal's title", `\033]0;owned\007`},
		{"a screen that is cleared", `\033[2J\033[H`},
		{"text that runs backwards", `\342\200\256gpj.exe`},
		{"no UTF-8", `\377\376\300\200`},
		{"255 bytes", strings.Repeat("n", 255)},
		{"247 bytes", strings.Repeat("n", 247)},
		{"a command", `$(touch pwned);touch pwned`},
		{"quotes", "a'b\"c`d\\\\e"},
		{"a dash", `-rf`},
		{"dots", `..a..`},
		{"HTML", `<img src=x onerror=alert(1)>`},
		{"JSON", `","state":"resolved","x":"`},
		{"a space and a tab", ` \t `},
		{"a backslash", `..\\..\\etc`},
	} {
		// As a plugin's folder, its file and its headers; it dies, so that it is the culprit.
		sh := `cd wp-content/plugins && N="$(printf -- '` + strings.ReplaceAll(strings.ReplaceAll(n.name, "%", "%%"), "'", `'\''`) + `.')" && N="${N%.}" && mkdir -- "./$N" && printf -- '<?php\n/*\nPlugin Name: %s\nVersion: %s\nAuthor: %s\n*/\nthrow new Exception( "%s" );' "$N" "$N" "$N" x > "./$N/a.php" && ln -s -- "$N" .hostile && rm .hostile && mv $P/$P.php $P/was`
		attacks = append(attacks, attack{name: "a plugin whose name holds " + n.what, sh: sh, told: true, args: healIt, first: func(g *ground) {
			out, err := exec.Command("printf", "--", n.name).Output()
			g.must(err)
			if file := string(out) + "/a.php"; utf8.ValidString(file) { // else no list can hold it
				g.setActive(fmt.Sprintf(`a:1:{i:0;s:%d:"%s";}`, len(file), file))
			}
		}})
	}
	return attacks
}()

// atWork: what the owner does while wpmend works, and at the places where it does.
var atWork = []attack{
	{name: "the owner looks into, writes into and locks what is wpmend's", args: healIt, first: func(g *ground) {
		g.run("disable", g.domain(), "plugin:"+g.culprit).exits(0)
		g.run("enable", g.domain(), "plugin:"+g.culprit).exits(0)
		for _, what := range []string{
			`ls $STATE`, `cat $STATE/*/*`, `mkdir $STATE/x`, `touch $STATE/journal/x.json`,
			`ls /run/wpmend/lock`, `touch /run/wpmend/lock/x`, `touch /run/wpmend/x`, `mkdir /run/wpmend/shadow/x`, `ls /run/wpmend/shadow`,
			`for f in /run/wpmend/lock/*.lock; do flock -n -- "$f" true || exit 1; done`,
			`mv /run/wpmend /run/wp`, `rm -rf /run/wpmend/lock`,
		} {
			if out, err := g.shell(what); err == nil {
				g.t.Errorf("the owner can do %s: %s", what, out)
			}
		}
	}},
	{name: "the owner holds the locks that he knows the names of", args: switchOff, first: func(g *ground) {
		var st unix.Stat_t
		g.must(unix.Stat(g.Site(0).Root, &st))
		locks, err := filepath.Glob("/run/wpmend/lock/*.lock")
		g.must(err)
		for _, l := range locks {
			if out, err := g.shell("exec 9< " + l + " && flock -n 9"); err == nil {
				g.t.Errorf("the owner can lock %s: %s", l, out)
			}
		}
	}},
	{name: "plugins is exchanged for a link all the time", args: healIt, first: func(g *ground) {
		g.racing(`ln -s $B/wp-content/plugins wp-content/link`, `rename("wp-content/plugins", "wp-content/aside"); rename("wp-content/link", "wp-content/plugins"); rename("wp-content/plugins", "wp-content/link"); rename("wp-content/aside", "wp-content/plugins")`)
	}},
	{name: "plugins is exchanged for a link all the time, and searched by renaming", args: []string{"bisect", "SITE", "--method", "rename", "--fix"}, first: func(g *ground) {
		g.racing(`ln -s $B/wp-content/plugins wp-content/link`, `rename("wp-content/plugins", "wp-content/aside"); rename("wp-content/link", "wp-content/plugins"); rename("wp-content/plugins", "wp-content/link"); rename("wp-content/aside", "wp-content/plugins"); select(undef, undef, undef, 0.003)`)
	}},
	{name: "the culprit is exchanged for a link in the midst of healing", args: healIt, first: func(g *ground) {
		g.racing(`ln -s $B/wp-content/plugins/$P wp-content/plugins/link`, `my $p = "wp-content/plugins/$ENV{P}"; rename($p, "$p.aside"); rename("wp-content/plugins/link", $p); rename($p, "wp-content/plugins/link"); rename("$p.aside", $p); select(undef, undef, undef, 0.003)`)
	}},
	{name: "rights are taken away in the midst of healing", args: healIt, first: func(g *ground) {
		g.racing(`true`, `chmod 0, "wp-content"; chmod 0755, "wp-content"; chmod 0, "wp-content/plugins"; chmod 0755, "wp-content/plugins"; select(undef, undef, undef, 0.002)`)
	}},
	{name: "the site is deleted in the midst of healing", args: healIt, first: func(g *ground) {
		g.racing(`true`, `select(undef, undef, undef, 0.7); system("rm -rf wp-content"); sleep 9`)
	}},
	{name: "the configuration changes all the time", args: healIt, first: func(g *ground) {
		g.racing(`cp wp-config.php other && echo "<?php require '$B/wp-config.php';" > third`, `link("other", "new"); rename("new", "wp-config.php"); link("third", "new"); rename("new", "wp-config.php")`)
	}},
}

// racing runs a line of Perl again and again, with the owner's rights, until the site is
// put back.
func (g *ground) racing(once, line string) {
	g.t.Helper()
	if out, err := g.shell(once); err != nil {
		g.t.Fatalf("%v: %s", err, out)
	}
	stop := filepath.Join(g.Dir, "stop")
	done := make(chan error, 1)
	go func() {
		_, err := g.shell(`perl -e 'until (-e "` + stop + `") { ` + line + ` }'`)
		done <- err
	}()
	g.undo = append(g.undo, func() {
		g.must(os.WriteFile(stop, nil, 0o644))
		g.must(<-done)
		g.must(os.Remove(stop))
	})
}
