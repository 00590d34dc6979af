package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// The faults that lie in the pool.
const (
	FPMBroken       Fault = "fpm-broken"       // the masters are ended, and an unknown entry keeps them from starting: 502
	FPMUserMissing  Fault = "fpm-user-missing" // ended, and the pool's user is unknown: 502
	PoolBusy        Fault = "pool-busy"        // slow but healthy requests hold all workers and fill the queue: 502 or 504
	WorkersStuck    Fault = "workers-stuck"    // all workers wait for a file lock that is never given: 504
	OPcachePoisoned Fault = "opcache-poisoned" // OPcache keeps broken code of a plugin that is well again: 500
	TerminateSoon   Fault = "terminate-soon"   // request_terminate_timeout is one second: 502, if PHP is slower
	ExecuteSoon     Fault = "execute-soon"     // max_execution_time is one second: 500, if PHP computes longer
	LittleMemory    Fault = "little-memory"    // memory_limit is 48 MB: 500, if PHP needs more
)

// SlowPath and StuckPath are pages that PoolBusy and WorkersStuck put into the site.
const (
	SlowPath  = "/lab-slow.php"
	StuckPath = "/lab-stuck.php"
)

// poolFault breaks the pool; ok is false for other faults.
func (l *Lab) poolFault(site int, f Fault) (undo func() error, ok bool, err error) {
	switch f {
	case FPMStopped, FPMBroken, FPMUserMissing, PoolBusy, WorkersStuck, OPcachePoisoned, TerminateSoon, ExecuteSoon, LittleMemory:
	default:
		return nil, false, nil
	}
	if l.o.Handler == ModPHP {
		return nil, true, errors.New("the lab has no FPM: Apache runs PHP itself")
	}
	switch f {
	case FPMStopped:
		undo, err = l.StartFPM, l.StopFPM()
	case FPMBroken:
		undo, err = l.deadPool(site, appending("pm.max_childs = 5"))
	case FPMUserMissing:
		undo, err = l.deadPool(site, replacing("user = ", "user = gone-"))
	case PoolBusy:
		undo, err = l.busyPool(site)
	case WorkersStuck:
		undo, err = l.stuckPool(site)
	case OPcachePoisoned:
		undo, err = l.poisonedPool(site)
	case TerminateSoon:
		undo, err = l.repool(site, appending("request_terminate_timeout = 1s"))
	case ExecuteSoon:
		undo, err = l.repool(site, appending("php_value[max_execution_time] = 1"))
	case LittleMemory:
		undo, err = l.repool(site, appending("php_admin_value[memory_limit] = 48M"))
	}
	return undo, true, err
}

// repool changes a pool's configuration and starts its master anew.
func (l *Lab) repool(site int, change func(string) string) (func() error, error) {
	restore, err := rewrite(l.PoolConfig(site), change)
	if err != nil {
		return nil, err
	}
	undo := func() error { return errors.Join(restore(), l.RestartFPM()) }
	if err := l.RestartFPM(); err != nil {
		return nil, errors.Join(err, undo())
	}
	return undo, nil
}

// deadPool changes a pool's configuration and ends its master.
func (l *Lab) deadPool(site int, change func(string) string) (func() error, error) {
	restore, err := rewrite(l.PoolConfig(site), change)
	if err != nil {
		return nil, err
	}
	return func() error { return errors.Join(restore(), l.RestartFPM()) }, l.StopFPM()
}

// script puts a PHP file of the pool's user into the document root.
func (l *Lab) script(site int, path, php string) (func() error, error) {
	file := filepath.Join(l.sites[site].DocRoot, path)
	if err := os.WriteFile(file, []byte("<?php\n"+php), 0o644); err != nil {
		return nil, err
	}
	return func() error { return os.Remove(file) }, os.Lchown(file, int(l.uid), int(l.gid))
}

// busyPool has more clients than the pool can serve ask for a page that takes its
// time. The queue is short and the gateway impatient, so that visitors see it fail.
func (l *Lab) busyPool(site int) (func() error, error) {
	page, err := l.script(site, SlowPath, "usleep( 1200000 );\necho '<html>slow, and well</html>';\n")
	if err != nil {
		return nil, err
	}
	gateway, err := l.impatient(site, 2*time.Second)
	if err != nil {
		return nil, errors.Join(err, page())
	}
	pool, err := l.repool(site, appending("listen.backlog = 2"))
	if err != nil {
		return nil, errors.Join(err, gateway(), page())
	}
	load := l.Load(site, SlowPath, 8*l.o.MaxChildren)
	time.Sleep(time.Second) // until the queue is full
	return func() error { load.Stop(); return errors.Join(pool(), gateway(), page()) }, nil
}

// stuckPool makes every worker wait for a lock of ours, in requests whose clients
// have long gone.
func (l *Lab) stuckPool(site int) (func() error, error) {
	name := filepath.Join(l.Dir, "tmp", "stuck.lock")
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(lock.Chmod(0o666), syscall.Flock(int(lock.Fd()), syscall.LOCK_EX)); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	page, err := l.script(site, StuckPath, "flock( fopen( '"+name+"', 'c' ), LOCK_EX );\n")
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	gateway, err := l.impatient(site, 2*time.Second)
	if err != nil {
		return nil, errors.Join(err, lock.Close(), page())
	}
	undo := func() error {
		return errors.Join(lock.Close(), os.Remove(name), page(), gateway(), l.RestartFPM())
	}
	for range l.o.MaxChildren {
		ctx, cancel := context.WithTimeout(context.Background(), 400*time.Millisecond)
		_, _, err := l.GetURL(ctx, strings.TrimSuffix(l.sites[site].URL, "/")+StuckPath)
		cancel()
		if err == nil {
			return nil, errors.Join(errors.New("the page that should stand still answers"), undo())
		}
	}
	return undo, nil
}

// poisonedPool lets OPcache keep the broken code of a plugin whose file is then put
// back as it was: opcache.validate_timestamps = 0.
func (l *Lab) poisonedPool(site int) (func() error, error) {
	s := l.sites[site]
	plugins, err := filepath.Glob(filepath.Join(s.Content, "plugins", "*", "plugin-*.php"))
	if err != nil || len(plugins) == 0 {
		return nil, fmt.Errorf("the site has no plugin (%w)", err)
	}
	slug := strings.TrimSuffix(filepath.Base(plugins[len(plugins)-1]), ".php")
	pool, err := l.repool(site, appending("php_admin_value[opcache.validate_timestamps] = 0"))
	if err != nil {
		return nil, err
	}
	code, _ := Fatal.code()
	spoilt, err := l.spoil(filepath.Join(s.Content, "plugins", slug), slug+".php", strings.ReplaceAll(code, "NAME", identifier(slug)))
	if err != nil {
		return nil, errors.Join(err, pool())
	}
	// OPcache keeps nothing that has changed within the last 2 s (opcache.file_update_protection).
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(plugins[len(plugins)-1], before, before); err != nil {
		return nil, errors.Join(err, spoilt(), pool())
	}
	status, _, err := l.GetURL(context.Background(), s.URL+"/")
	if err == nil && status != http.StatusInternalServerError {
		err = fmt.Errorf("the broken plugin answers %d", status)
	}
	if err := errors.Join(err, spoilt()); err != nil {
		return nil, errors.Join(err, pool())
	}
	return pool, nil
}
