package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Fault is a way to break a site.
type Fault string

// The faults that live in a plugin: Break appends their code to its main file.
const (
	Segfault Fault = "segfault" // the worker dies of signal 11 at init: 502
	Kill9    Fault = "kill9"    // the worker dies of signal 9 at init, as under the OOM killer: 502
	Hang     Fault = "hang"     // sleeps 600 s at init: 502 past request_terminate_timeout, else 504 after nginx's 60 s
	Compute  Fault = "compute"  // computes for ever at init, max_execution_time lifted: as Hang
	Fatal    Fault = "fatal"    // calls an undefined function when included: WordPress' page with 500
	Blank200 Fault = "blank200" // exits when included: 200 without a byte
	Header9k Fault = "header9k" // sends a response header of 9 kB: nginx answers 502, FPM answers well

	Slow        Fault = "slow"         // sleeps 1.5 s at init and is well then
	Work        Fault = "work"         // computes for 1.4 s of processor time at init and is well then
	Greedy      Fault = "greedy"       // needs 64 MB of memory at init: 500 where the limit is lower
	BadHeader   Fault = "bad-header"   // sends a status that is no number and a header without a colon: 502, and 500 from Apache
	Unparsable  Fault = "unparsable"   // does not parse: 500
	HalfUpdated Fault = "half-updated" // requires a file that the update has not brought: 500
	Scribbler   Fault = "scribbler"    // is fatal where it cannot write into the session's folder: 500
)

// The faults that lie outside the site's code.
const (
	FPMStopped   Fault = "fpm-stopped"   // the masters are ended: 502
	SocketMode   Fault = "socket-mode"   // the pool's live socket is closed to nginx's workers: 502
	DatabaseDown Fault = "database-down" // the database is shut down: WordPress' page with 500
	Maintenance  Fault = "maintenance"   // WordPress' maintenance mode: 503
)

// Condition is when a fault of a component shows.
type Condition string

// The conditions, for [Fault.When].
const (
	OneInThree Condition = "one-in-three" // of all requests, by chance
	AtShop     Condition = "at-shop"      // at /shop/ only, see AddPage
	LoggedIn   Condition = "logged-in"    // for users who are logged in
	Warm       Condition = "warm"         // when OPcache has served the component's file before: from the second request on
)

const when = " when "

// When is the fault under a condition; it shows at init then. Only faults of
// components take one.
func (f Fault) When(c Condition) Fault { return f + when + Fault(c) }

// code is what a fault of components appends to a main file; ok is false for the
// other faults. NAME stands for the component. The work is done in functions of
// the component's own, so that traces show what real ones would.
func (f Fault) code() (php string, ok bool) {
	fault, condition, conditional := strings.Cut(string(f), when)
	name, body := Fault(fault).body()
	if name == "" {
		return "", false
	}
	if conditional {
		test, ok := map[Condition]string{
			OneInThree: "1 === random_int( 1, 3 )",
			AtShop:     "preg_match( '#/shop/?$#', strtok( $_SERVER['REQUEST_URI'], '?' ) )",
			LoggedIn:   "is_user_logged_in()",
			// A file that has changed keeps its old entry until the new one is stored.
			Warm: "( $in = opcache_get_status()['scripts'][ __FILE__ ] ?? null ) && $in['timestamp'] === filemtime( __FILE__ ) && $in['hits'] > 0",
		}[Condition(condition)]
		if !ok {
			return "", false
		}
		return atInit(name, "\tif ( ! ( "+test+" ) ) {\n\t\treturn;\n\t}\n"+body), true
	}
	switch f {
	case Fatal, Blank200, Unparsable, HalfUpdated:
		return strings.TrimPrefix(body, "\t"), true
	}
	return atInit(name, body), true
}

// atInit is a function of the component that runs at WordPress' init.
func atInit(name, body string) string {
	return "function NAME_" + name + "() {\n" + body + "}\nadd_action( 'init', 'NAME_" + name + "' );\n"
}

// body is what a fault of components does, and the name of the function for it.
func (f Fault) body() (name, php string) {
	switch f {
	case Segfault:
		return "crash", "\tposix_kill( getmypid(), 11 );\n"
	case Kill9:
		return "killed", "\tposix_kill( getmypid(), 9 );\n"
	case Hang:
		return "hang", "\tsleep( 600 );\n"
	case Compute:
		return "compute", "\tset_time_limit( 0 );\n\tfor ( $x = 'lab'; ; ) {\n\t\t$x = md5( $x );\n\t}\n"
	case Header9k:
		return "header", "\theader( 'X-NAME: ' . str_repeat( 'a', 9000 ) );\n"
	case Fatal:
		return "fatal", "\tNAME_function_that_nobody_defines();\n"
	case Blank200:
		return "blank", "\texit;\n"
	case Slow:
		return "slow", "\tusleep( 1500000 );\n"
	case Work:
		// Processor time, which is what max_execution_time counts.
		return "work", "\t$used = static fn() => getrusage()['ru_utime.tv_sec'] + getrusage()['ru_utime.tv_usec'] / 1e6;\n" +
			"\tfor ( $end = $used() + 1.4, $x = 'lab'; $used() < $end; ) {\n\t\t$x = md5( $x );\n\t}\n"
	case Greedy:
		return "greedy", "\t$all = str_repeat( 'a', 64 << 20 );\n"
	case BadHeader:
		return "header", "\theader( 'Status: lab' );\n\theader( 'lab' );\n"
	case Unparsable:
		return "unparsable", "\tfunction NAME_unparsable( {\n"
	case HalfUpdated:
		return "half", "\trequire_once __DIR__ . '/includes/class-loader.php';\n"
	case Scribbler:
		return "scribbler", "\tif ( ! session_start() || ! file_put_contents( session_save_path() . '/cart-' . getmypid(), str_repeat( 'a', 100000 ) ) ) {\n" +
			"\t\tthrow new RuntimeException( 'the cart cannot be written: ' . error_get_last()['message'] );\n\t}\n"
	}
	return "", ""
}

// Faults lists every fault.
func Faults() []Fault {
	return []Fault{
		Segfault, Kill9, Hang, Compute, Fatal, Blank200, Header9k, Slow, Work, Greedy, BadHeader, Unparsable, HalfUpdated, Scribbler,
		NameElsewhere, NameMissing, EdgeFails, EdgeImpatient,
		GatewayStopped, GatewayBroken, GatewayFull, GatewayFiles, OtherSocket, HTTPOnSocket, UnresolvedUpstream, ImpatientGateway, CachedBadGateway, CachedFatal, StaleCache, ForeignHtaccess,
		SocketMode, SocketFolder, SocketDeleted, SocketStale, FirewallDrop, FirewallReject, ClientsDisallowed,
		FPMStopped, FPMBroken, FPMUserMissing, PoolBusy, WorkersStuck, OPcachePoisoned, TerminateSoon, ExecuteSoon, LittleMemory,
		SessionsFull, SessionInodes,
		DatabaseDown, DatabaseBusy, DatabasePassword, DatabaseMissing, TableCrashed, TableMissing,
		Maintenance, MaintenanceForgotten, MaintenanceMeant, CoreTruncated, UpgradeTrace, ConfigUnparsable, ConfigUnreadable, ConfigMissing, ThemeGone, ThemeUnparsable, MustUnparsable, PrependGone, RedisDown,
	}
}

// InPlugin says whether the fault lives in a plugin, whose slug Break then needs.
func (f Fault) InPlugin() bool { _, ok := f.code(); return ok }

// Break breaks a site until Mend. Several faults may be laid on top of each
// other. The plugin is the slug of an installed one, empty for faults outside plugins.
func (l *Lab) Break(site int, f Fault, plugin string) error {
	undo, err := l.breakSite(site, f, plugin)
	if err != nil {
		return fmt.Errorf("cannot break %s by %s: %w", l.sites[site].Domain, f, err)
	}
	l.faults[site] = append(l.faults[site], undo)
	return nil
}

func (l *Lab) breakSite(site int, f Fault, plugin string) (undo func() error, err error) {
	s := l.sites[site]
	if !f.InPlugin() && !slices.Contains(Faults(), f) {
		return nil, fmt.Errorf("no such fault; there are %v", Faults())
	}
	if f.InPlugin() != (plugin != "") {
		return nil, errors.New("a plugin must be named for faults of plugins, and only for these")
	}
	for _, layer := range []func(int, Fault) (func() error, bool, error){l.edgeFault, l.gatewayFault, l.socketFault, l.poolFault, l.hostFault, l.databaseFault, l.siteFault} {
		if undo, ok, err := layer(site, f); ok {
			return undo, err
		}
	}
	code, _ := f.code() // it has one: of the others none is left
	return l.spoil(filepath.Join(s.Content, "plugins", plugin), plugin+".php", strings.ReplaceAll(code, "NAME", identifier(plugin)))
}

// Mend takes a site's faults back, newest first. A plugin's file gets its former
// content and date where it lies now, even if its folder has been renamed since.
func (l *Lab) Mend(site int) error {
	var failed error
	for _, undo := range slices.Backward(l.faults[site]) {
		failed = errors.Join(failed, undo())
	}
	delete(l.faults, site)
	if failed != nil {
		return fmt.Errorf("cannot mend %s: %w", l.sites[site].Domain, failed)
	}
	return nil
}

// closeSocket takes the pool's socket from nginx's workers.
func (l *Lab) closeSocket(s Site) (func() error, error) {
	if !filepath.IsAbs(s.Socket) {
		return nil, errors.New("the pool listens on TCP and has no socket file")
	}
	www, err := credentialOf("www-data")
	if err != nil {
		return nil, err
	}
	undo := func() error {
		return errors.Join(os.Lchown(s.Socket, int(www.Uid), int(www.Gid)), os.Chmod(s.Socket, 0o660))
	}
	return undo, errors.Join(os.Lchown(s.Socket, 0, 0), os.Chmod(s.Socket, 0o600))
}

// spoil appends code to a component's main file, which it makes where there is none.
func (l *Lab) spoil(folder, name, code string) (func() error, error) {
	return l.edit(folder, name, func(before string) string { return before + "\n" + code })
}

// edit changes a file until the function that it returns is called.
func (l *Lab) edit(folder, name string, change func(before string) string) (func() error, error) {
	// The open folder stays the same folder when it is renamed.
	dir, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	before, err := dir.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		undo := func() error { return errors.Join(dir.Remove(name), dir.Close()) }
		return undo, l.replace(dir, name, []byte(change("<?php")), 0o644, l.stamp())
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	info, err := dir.Stat(name)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	undo := func() error {
		return errors.Join(l.replace(dir, name, before, info.Mode().Perm(), info.ModTime()), dir.Close())
	}
	stamp := l.stamp()
	for stamp.Unix() == info.ModTime().Unix() { // it was installed within this second
		stamp = l.stamp()
	}
	after := change(string(before))
	if strings.Contains(after, "opcache_get_status") {
		// OPcache stores no file that has changed within opcache.file_update_protection, 2 s.
		stamp = stamp.Add(-time.Hour)
	}
	return undo, l.replace(dir, name, []byte(after), info.Mode().Perm(), stamp)
}

// replace gives a plugin's file new content in one step: no request reads half of it.
func (l *Lab) replace(dir *os.Root, name string, content []byte, mode fs.FileMode, mtime time.Time) error {
	next := "." + name + ".next"
	if err := dir.WriteFile(next, content, mode); err != nil {
		return err
	}
	if err := dir.Lchown(next, int(l.uid), int(l.gid)); err != nil {
		return err
	}
	if err := dir.Chtimes(next, mtime, mtime); err != nil {
		return err
	}
	return dir.Rename(next, name)
}

// stamp is a date for a changed file that no file had before it. OPcache takes a
// file for unchanged while its mtime, in whole seconds, is the one it knows; two
// faults within one second would be one.
func (l *Lab) stamp() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now().Truncate(time.Second)
	if !now.After(l.lastTime) {
		now = l.lastTime.Add(time.Second)
	}
	l.lastTime = now
	return now
}
