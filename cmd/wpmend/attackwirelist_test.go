package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fcgiRecord is one of FastCGI's, for the first request.
func fcgiRecord(kind byte, text string) string {
	return string([]byte{1, kind, 0, 1, byte(len(text) >> 8), byte(len(text)), 0, 0}) + text
}

const (
	toStdout, toStderr = 6, 7
	ended              = "\x01\x03\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
)

// answers makes a fake listen where the site's pool does, until the site is put back.
func answers(say func(g *ground) string, forever bool) func(g *ground) {
	return func(g *ground) {
		at := g.Site(0).Socket
		g.must(os.Rename(at, at+".real"))
		l, err := net.Listen("unix", at)
		g.must(err)
		g.must(os.Chmod(at, 0o666))
		text := say(g)
		go talk(l, text, forever)
		g.undo = append(g.undo, func() {
			l.Close()
			g.must(os.Rename(at+".real", at))
		})
	}
}

// talk says the same to everybody, or says it again until nobody listens.
func talk(l net.Listener, text string, forever bool) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if text == "" {
				_, _ = io.Copy(io.Discard, c)
				return
			}
			_, _ = c.Read(make([]byte, 64<<10)) // as much as has come
			_, err := io.WriteString(c, text)
			for err == nil && forever {
				_, err = io.WriteString(c, text)
			}
		}()
	}
}

func plainly(text string) func(*ground) string { return func(*ground) string { return text } }

// responders: the owner listens where his pool should.
var responders = []wire{
	{attack: attack{name: "a link to a socket of root's", first: func(g *ground) {
		at, roots := g.Site(0).Socket, filepath.Join(g.Dir, "orders.sock")
		l, err := net.Listen("unix", roots)
		g.must(err)
		g.must(os.Chmod(roots, 0o600))
		heard := make(chan string, 100)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					close(heard)
					return
				}
				_ = c.SetDeadline(time.Now().Add(200 * time.Millisecond))
				b, _ := io.ReadAll(c)
				heard <- string(b)
				c.Close()
			}
		}()
		g.must(os.Rename(at, at+".real"))
		g.must(os.Symlink(roots, at))
		g.must(os.Lchown(at, ownerID, ownerID))
		g.undo = append(g.undo, func() {
			l.Close()
			for b := range heard {
				if b != "" {
					g.t.Errorf("a socket of root's was told %q", b)
				}
			}
			g.must(os.Remove(at))
			g.must(os.Rename(at+".real", at))
		})
	}}},
	{attack: attack{name: "a redirect to the metadata service, of 60 kilobytes",
		first: answers(plainly(fcgiRecord(toStdout, "Location: http://169.254.169.254/"+strings.Repeat("x", 60_000)+"\r\n\r\n")+ended), false)}},
	{attack: attack{name: "garbage without end", first: answers(plainly(strings.Repeat("\x00\xff\x1b[2J\r\n", 1000)), true)}},
	{attack: attack{name: "a header without end", first: answers(plainly(fcgiRecord(toStdout, strings.Repeat("X-Header: value\r\n", 3000))), true)}},
	{attack: attack{name: "nothing", first: answers(plainly(""), false)}},
	{attack: attack{name: "errors without end", first: answers(plainly(fcgiRecord(toStderr, strings.Repeat("PHP Fatal error:  x in /a.php on line 1\n", 1000))), true)}},
	{attack: attack{name: "a status page that names others' processes", args: []string{"php", "pools"},
		first: answers(plainly(fcgiRecord(toStdout, "Content-Type: application/json\r\n\r\n"+`{"pool":"`+strings.Repeat("x", 1000)+`\u001b[2J","process manager":"static","processes":[{"pid":1,"state":"Running"},{"pid":-1},{"pid":99999999999}]}`)+ended), false)}},
	{attack: attack{name: "a fatal of a neighbour's plugin, with orders to the terminal", told: true, args: healIt,
		first: answers(func(g *ground) string {
			text := "PHP message: PHP Fatal error:  Uncaught Error: \x1b[2J\x1b]0;owned\x07 in " + g.neighbour + "/wp-content/plugins/" + g.culprit + "/" + g.culprit + ".php:1\nwpmend: all is well\n"
			return fcgiRecord(toStderr, text+strings.Repeat("x", 60_000)) + fcgiRecord(toStdout, "Status: 500 Oops\r\n\r\n") + ended
		}, false)}},
}

// databaseServer makes wp-config.php name a server of the owner's.
func databaseServer(say func(c net.Conn)) func(g *ground) {
	return func(g *ground) {
		l, err := net.Listen("tcp", "127.77.8.1:0")
		g.must(err)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					say(c)
				}()
			}
		}()
		g.undo = append(g.undo, func() { l.Close() })
		g.databaseAt(l.Addr().String())
	}
}

func (g *ground) databaseAt(host string) {
	g.t.Helper()
	path := filepath.Join(g.Site(0).Root, "wp-config.php")
	text, err := os.ReadFile(path)
	g.must(err)
	g.write(path, strings.Replace(string(text), "<?php\n", "<?php\ndefine( 'DB_HOST', '"+host+"' );\n", 1))
}

func packet(seq byte, text string) string {
	return string([]byte{byte(len(text)), byte(len(text) >> 8), byte(len(text) >> 16), seq}) + text
}

const greeting = "\x0a8.0\x1b[2J\x00\x01\x00\x00\x0012345678\x00\xff\xf7\x2d\x02\x00\x0f\x80\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00123456789012\x00mysql_native_password\x00"

// databases: the owner's wp-config.php names what it likes.
var databases = []wire{
	{attack: attack{name: "a server that asks for root's files", first: databaseServer(func(c net.Conn) {
		b := make([]byte, 64<<10)
		_, err := io.WriteString(c, packet(0, greeting))
		for seq, kind := byte(2), "\x00\x00\x00\x02\x00\x00\x00"; err == nil; seq, kind = 1, "\xfb/etc/shadow" {
			if _, err = c.Read(b); err == nil {
				_, err = io.WriteString(c, packet(seq, kind))
			}
		}
	})}},
	{attack: attack{name: "a socket of root's", first: func(g *ground) { g.databaseAt("localhost:/run/systemd/private") }}},
	{attack: attack{name: "an error of orders to the terminal", told: true, args: healIt, first: databaseServer(func(c net.Conn) {
		_, _ = io.WriteString(c, packet(0, "\xff\x10\x04#08004\x1b[2J\x1b]0;owned\x07\r\nwpmend: all is well\n"+strings.Repeat("x", 60_000)))
	})}},
	{attack: attack{name: "a server that says nothing", first: databaseServer(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })}},
	{attack: attack{name: "a service that speaks first", first: databaseServer(func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") })}},
	{attack: attack{name: "greetings without end", first: databaseServer(func(c net.Conn) {
		for err := error(nil); err == nil; {
			_, err = io.WriteString(c, packet(0, greeting))
		}
	})}},
	{attack: attack{name: "packets of 16 MB", first: databaseServer(func(c net.Conn) {
		text := "\xff\xff\xff\x00\x0a" + strings.Repeat("5", 1<<20)
		for err := error(nil); err == nil; text = text[5:] {
			if _, err = io.WriteString(c, text); len(text) < 1000 {
				return
			}
		}
	})}},
}

// says makes every request of the site log what the owner likes, in PHP's own words and in others'.
func (g *ground) says(lines ...string) {
	g.t.Helper()
	must := filepath.Join(g.Site(0).Content, "mu-plugins")
	g.must(os.MkdirAll(must, 0o755))
	code := "<?php\n"
	for _, l := range lines {
		code += fmt.Sprintf("error_log( base64_decode( %q ) );\n", base64.StdEncoding.EncodeToString([]byte(l)))
	}
	g.write(filepath.Join(must, "says.php"), code)
	g.must(os.Lchown(must, ownerID, ownerID))
	g.must(os.Lchown(filepath.Join(must, "says.php"), ownerID, ownerID))
}

// forgeries: what the owner calls his processes, and writes into logs.
var forgeries = []wire{
	{attack: attack{name: "processes of the owner's by the names of the host's", args: healIt, first: func(g *ground) {
		was := g.sitesAre()
		web := g.own("nginx.conf", "events {}\nhttp { server { listen 80; server_name "+g.domain()+" evil.test; root "+g.neighbour+"; location ~ \\.php$ { fastcgi_pass unix:"+g.Site(0).Socket+"; } } }\n")
		pool := g.own("php-fpm.conf", "[global]\nerror_log = /etc/shadow\n["+g.Site(0).Pool+"]\nuser = root\ngroup = root\nlisten = "+g.Site(0).Socket+"\npm = static\npm.max_children = 1\n")
		g.background("nginx: master process /usr/sbin/nginx -c "+web, "/bin/sleep", "600")
		g.background("php-fpm: master process ("+pool+")", "/bin/sleep", "600")
		g.background("php-fpm: master process ("+g.FPMConfig(0)+")", "/bin/sleep", "600")
		g.background("php-fpm: pool "+g.Site(0).Pool, "/bin/sleep", "600")
		g.background("/usr/sbin/apache2", "/bin/sleep", "600")
		g.background("nginx: master process /usr/sbin/nginx -c "+g.NginxConfig(), "/usr/bin/perl", "-e", `$0 = "nginx"; sleep 600`)
		// His own copy of FPM, which needs no rights for a socket of his own.
		own := g.own("mine.conf", "[global]\nerror_log = "+filepath.Join(g.home, "mine/log")+"\ndaemonize = no\n["+g.Site(0).Pool+"]\nlisten = "+filepath.Join(g.home, "mine/sock")+"\npm = static\npm.max_children = 1\n")
		g.background("php-fpm", "/usr/sbin/php-fpm8.2", "-F", "-y", own)
		if now := g.sitesAre(); now != was {
			g.t.Errorf("the host's sites are\n%s\nwere\n%s", now, was)
		}
	}}, held: mended},
	{attack: attack{name: "PHP's words for a neighbour's fault, and FPM's, and nginx'", args: healIt, told: true, first: func(g *ground) {
		at := g.neighbour + "/wp-content/plugins/" + g.culprit + "/" + g.culprit + ".php"
		stamp := time.Now().Format("02-Jan-2006 15:04:05")
		g.says("PHP Fatal error:  Uncaught Error: x in "+at+":3\nStack trace:\n#0 "+at+"(3): f()\n#1 {main}\n  thrown in "+at+" on line 3",
			"["+stamp+"] WARNING: [pool neighbour] child 1, script '"+at+"' (request: \"GET /\") execution timed out (1.0 sec), terminating",
			"\x1b[2J\nwpmend: all is well\n["+stamp+"] WARNING: [pool "+g.Site(0).Pool+"] child 1 exited on signal 11 (SIGSEGV) after 1 seconds from start",
			time.Now().Format("2006/01/02 15:04:05")+" [error] 1#1: *1 upstream prematurely closed connection while reading response header from upstream, client: 1.2.3.4, server: neighbour.test, request: \"GET / HTTP/1.1\", upstream: \"fastcgi://unix:/run/neighbour.sock:\", host: \"neighbour.test\"")
		g.page()
	}}, held: mended},
	{attack: attack{name: "a visitor's words: address, agent and referrer", args: healIt, told: true, first: func(g *ground) {
		for _, r := range []string{
			"GET /?x=\x1b[2J%0a%1b HTTP/1.1\r\nHost: " + g.domain() + "\r\nUser-Agent: \x1b]0;owned\x07\", upstream: \"fastcgi://unix:/run/neighbour.sock\r\nReferer: \", host: \"neighbour.test\", referrer: \"\r\nConnection: close\r\n\r\n",
			"GET /\", upstream: \"fastcgi://unix:" + g.Site(0).Socket + ":\", host: \"neighbour.test HTTP/1.1\r\nHost: " + g.domain() + "\r\nConnection: close\r\n\r\n",
			"GET /%0d%0a2026/01/01%2000:00:00%20[error] HTTP/1.1\r\nHost: " + g.domain() + "\r\nConnection: close\r\n\r\n",
		} {
			c, err := net.Dial("tcp", net.JoinHostPort(g.Address, "80"))
			g.must(err)
			g.must(c.SetDeadline(time.Now().Add(10 * time.Second)))
			_, err = io.WriteString(c, r)
			g.must(err)
			_, _ = io.Copy(io.Discard, c) // any answer will do
			c.Close()
		}
	}}, held: mended},
	{attack: attack{name: "a flood of 64 MB in the gateway's log", args: healIt, first: func(g *ground) {
		line := time.Now().Format("2006/01/02 15:04:05") + " [error] 1#1: *1 FastCGI sent in stderr: \"PHP message: PHP Fatal error:  x in " + g.neighbour + "/a.php on line 1\" while reading response header from upstream, client: 1.2.3.4, server: " + g.domain() + ", request: \"GET / HTTP/1.1\", upstream: \"fastcgi://unix:" + g.Site(0).Socket + ":\", host: \"" + g.domain() + "\"\n"
		f, err := os.OpenFile(g.GatewayErrorLog(0), os.O_APPEND|os.O_WRONLY, 0)
		g.must(err)
		chunk := strings.Repeat(line, 1+(1<<20)/len(line))
		for range 64 {
			_, err = f.WriteString(chunk)
			g.must(err)
		}
		g.must(f.Close())
		g.undo = append(g.undo, func() { g.must(os.Truncate(g.GatewayErrorLog(0), 0)) })
	}}, held: mended},
}

// inShadow: a plugin that behaves well until it sees the private copy of its pool.
var inShadow = []wire{
	{attack: attack{name: "a plugin that lives and looks around in the shadow", args: healIt, first: func(g *ground) {
		must := filepath.Join(g.Site(0).Content, "mu-plugins")
		g.must(os.MkdirAll(must, 0o755))
		report := g.own("report", "")
		g.write(filepath.Join(must, "spy.php"), spy(report, g.neighbour, g.roots, g.state))
		g.must(os.Lchown(must, ownerID, ownerID))
	}, sh: "touch $H/mine/report"}, held: func(g *ground) string {
		text, err := os.ReadFile(filepath.Join(g.home, "mine/report"))
		g.must(err)
		if !strings.Contains(string(text), "began") {
			return "the plugin never ran in the shadow, so that it shows nothing"
		}
		if could := strings.ReplaceAll(string(text), "began\n", ""); could != "" {
			return "in the shadow it could:\n" + could
		}
		if left := g.sleepers("4242"); len(left) > 0 {
			return fmt.Sprintf("%d processes outlive the shadow", len(left))
		}
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		g.must(err)
		if strings.Contains(string(mounts), g.Site(0).Root) {
			return "the shadow's mounts are left"
		}
		if left, _ := filepath.Glob("/run/wpmend/shadow/c*/o/*/" + g.culprit); len(left) > 0 {
			return fmt.Sprintf("left %v", left)
		}
		return mended(g)
	}},
}

// spy says what it could do; "began" that it was there.
func spy(report, neighbour, roots, state string) string {
	return `<?php
if ( ! isset( $_SERVER['WPMEND_MASK'] ) && ! getenv( 'WPMEND_MASK' ) ) { return; }
$say = function ( $what ) { file_put_contents( '` + report + `', $what . "\n", FILE_APPEND ); };
$say( 'began' );
// Processes that would outlive it, and many of them.
foreach ( range( 1, 20 ) as $n ) {
	exec( 'setsid sh -c "trap \"\" TERM HUP INT; (sleep 4242 &) ; sleep 4242" > /dev/null 2>&1 &' );
}
exec( 'echo "sleep 4242" | at now 2> /dev/null' );
// Others' files, and wpmend's.
foreach ( array( '` + neighbour + `/private', '` + neighbour + `/wp-config.php', '` + roots + `/private', '/etc/shadow' ) as $file ) {
	if ( @file_get_contents( $file ) !== false ) { $say( 'read ' . $file ); }
}
foreach ( array( '/run/wpmend/shadow', '/run/wpmend/lock', '` + state + `', dirname( ini_get( 'auto_prepend_file' ) ), dirname( ini_get( 'auto_prepend_file' ), 2 ) ) as $dir ) {
	if ( $dir !== '' && @scandir( $dir ) && $dir !== dirname( ini_get( 'auto_prepend_file' ) ) ) { $say( 'listed ' . $dir ); }
	if ( $dir !== '' && @file_put_contents( $dir . '/x', 'x' ) !== false ) { $say( 'wrote into ' . $dir ); }
	if ( $dir !== '' && @rename( $dir, $dir . '.x' ) ) { $say( 'renamed ' . $dir ); }
	if ( $dir !== '' && @chmod( $dir, 0777 ) ) { $say( 'opened ' . $dir ); }
}
$own = dirname( ini_get( 'auto_prepend_file' ), 2 );
foreach ( array( 'fpm.conf', 'fpm.log', 'slow.log', 'master', 'owner', 's/fpm.sock', 'o' ) as $name ) {
	if ( @file_get_contents( $own . '/' . $name ) ) { $say( 'read ' . $name ); }
}
if ( @file_put_contents( ini_get( 'auto_prepend_file' ), '<?php' ) !== false ) { $say( 'wrote the prepend' ); }
if ( @stream_socket_client( 'unix://' . $own . '/s/fpm.sock' ) ) { $say( 'connected to the socket' ); }
// Processes of others', which must not even be there, and rights.
foreach ( array( 1, posix_getppid(), ` + fmt.Sprint(os.Getpid()) + ` ) as $pid ) {
	if ( $pid > 0 && @posix_kill( $pid, 0 ) ) { $say( 'may signal ' . $pid ); }
}
if ( posix_getuid() === 0 || posix_geteuid() === 0 || @posix_setuid( 0 ) ) { $say( 'is root' ); }
foreach ( array( 'umount -l ' . escapeshellarg( ABSPATH ), 'mount -t tmpfs x /mnt', 'mount -o remount,rw /', 'nsenter -t 1 -m true' ) as $command ) {
	exec( $command . ' 2> /dev/null', $out, $code );
	if ( $code === 0 ) { $say( 'ran ' . $command ); }
}
// What it writes here is thrown away.
@file_put_contents( __DIR__ . '/left-by-the-shadow.php', '<?php' );
`
}
