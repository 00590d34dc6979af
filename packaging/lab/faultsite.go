package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The faults that lie in WordPress and its files.
const (
	// A .maintenance file of an update that broke off an hour ago, when the clock was two hours ahead: WordPress ends the
	// state by itself only by the number that its updater writes. 503
	MaintenanceForgotten Fault = "maintenance-forgotten"
	MaintenanceMeant     Fault = "maintenance-meant" // one that somebody wrote by hand an hour ago, to last: 503
	CoreTruncated        Fault = "core-truncated"    // wp-settings.php is cut to nothing, as on a full disk: 500
	UpgradeTrace         Fault = "upgrade-trace"     // what an update of a plugin unpacks first lies there, fresh
	ConfigUnparsable     Fault = "config-unparsable" // wp-config.php does not parse: 500
	ConfigUnreadable     Fault = "config-unreadable" // PHP may not read wp-config.php: 500
	ConfigMissing        Fault = "config-missing"    // there is no wp-config.php: the way to WordPress' installer
	ThemeGone            Fault = "theme-gone"        // the active theme's folder is gone: 200 without a byte
	ThemeUnparsable      Fault = "theme-unparsable"  // functions.php of the active theme does not parse: 500
	MustUnparsable       Fault = "must-unparsable"   // a new must-use plugin does not parse: 500
	PrependGone          Fault = "prepend-gone"      // .user.ini has PHP load a file that is gone: 500
	RedisDown            Fault = "redis-down"        // the object cache's drop-in cannot reach its server: 500
)

// siteFault breaks the site's own files; ok is false for other faults.
func (l *Lab) siteFault(site int, f Fault) (undo func() error, ok bool, err error) {
	s := l.sites[site]
	config := func(change func(string) string) (func() error, error) {
		return l.edit(filepath.Dir(s.Config), filepath.Base(s.Config), change)
	}
	switch f {
	case Maintenance:
		undo, err = l.maintenance(s, 0, fmt.Sprint(time.Now().Unix()))
	case MaintenanceForgotten:
		undo, err = l.maintenance(s, time.Hour, fmt.Sprint(time.Now().Add(time.Hour).Unix()))
	case MaintenanceMeant:
		undo, err = l.maintenance(s, time.Hour, "time()")
	case CoreTruncated:
		undo, err = l.edit(s.Core, "wp-settings.php", func(string) string { return "" })
	case UpgradeTrace:
		undo, err = l.upgradeTrace(s)
	case ConfigUnparsable:
		undo, err = config(replacing("define( 'DB_CHARSET', 'utf8mb4' );", "define( 'DB_CHARSET', 'utf8mb4' )"))
	case ConfigUnreadable:
		undo, err = l.unreadableConfig(s)
	case ConfigMissing:
		undo, err = moved(s.Config, s.Config+".bak")
	case ThemeGone:
		theme, terr := l.activeTheme(s)
		if terr != nil {
			return nil, true, terr
		}
		undo, err = moved(theme, filepath.Join(s.base, ".theme-moved"))
	case ThemeUnparsable:
		theme, terr := l.activeTheme(s)
		if terr != nil {
			return nil, true, terr
		}
		undo, err = l.spoil(theme, "functions.php", "function lab_unparsable( {\n")
	case MustUnparsable:
		undo, err = l.newMust(s)
	case PrependGone:
		undo, err = l.prependGone(s)
	case RedisDown:
		undo, err = l.spoil(s.Content, "object-cache.php", redisDown)
	default:
		return nil, false, nil
	}
	return undo, true, err
}

// redisDown is how the drop-in of redis-cache ends a request without its server.
const redisDown = `function wp_cache_init() {
	$connection = @fsockopen( '127.0.0.1', 1, $code, $message, 1 );
	if ( ! $connection ) {
		error_log( 'RedisException: Connection refused' );
		http_response_code( 500 );
		die( '<!DOCTYPE html><html><head><title>Error establishing a Redis connection</title></head><body id="error-page"><div class="wp-die-message"><h1>Error establishing a Redis connection</h1></div></body></html>' );
	}
}
`

// upgradeTrace leaves what WordPress' updater unpacks before it copies (unpack_package).
func (l *Lab) upgradeTrace(s Site) (func() error, error) {
	upgrade := filepath.Join(s.Content, "upgrade")
	dir := filepath.Join(upgrade, Slug(2)+".2.0")
	_, before := os.Lstat(upgrade)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, Slug(2)+".php"), []byte("<?php\n"), 0o644), ownTree(upgrade, l.uid, l.gid)); err != nil {
		return nil, err
	}
	return func() error {
		if before != nil {
			return os.RemoveAll(upgrade)
		}
		return os.RemoveAll(dir)
	}, nil
}

// unreadableConfig takes wp-config.php from PHP, as a careless chown does. FPM starts
// anew, since OPcache would go on with what it has read.
func (l *Lab) unreadableConfig(s Site) (func() error, error) {
	info, err := os.Stat(s.Config)
	if err != nil {
		return nil, err
	}
	undo := func() error {
		return errors.Join(os.Lchown(s.Config, int(l.uid), int(l.gid)), os.Chmod(s.Config, info.Mode().Perm()))
	}
	return undo, errors.Join(os.Lchown(s.Config, 0, 0), os.Chmod(s.Config, 0o600), l.RestartFPM())
}

func moved(from, to string) (func() error, error) {
	return func() error { return os.Rename(to, from) }, os.Rename(from, to)
}

func (l *Lab) activeTheme(s Site) (string, error) {
	var name string
	err := l.db.QueryRow("SELECT option_value FROM `" + s.TablePrefix + "options` WHERE option_name = 'stylesheet'").Scan(&name)
	return filepath.Join(s.Content, "themes", name), err
}

// maintenance puts a .maintenance file there that is dated some time ago; upgrading is the
// time that it gives WordPress, which ends the state by that alone.
func (l *Lab) maintenance(s Site, ago time.Duration, upgrading string) (func() error, error) {
	file := filepath.Join(s.Core, ".maintenance")
	// As WP_Upgrader::maintenance_mode writes it.
	if err := os.WriteFile(file, []byte("<?php $upgrading = "+upgrading+"; ?>"), 0o644); err != nil {
		return nil, err
	}
	undo := func() error {
		if err := os.Remove(file); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	then := time.Now().Add(-ago)
	return undo, errors.Join(os.Lchown(file, int(l.uid), int(l.gid)), os.Chtimes(file, then, then))
}

func (l *Lab) newMust(s Site) (func() error, error) {
	dir := filepath.Join(s.Content, "mu-plugins")
	_, before := os.Lstat(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	spoilt, err := l.spoil(dir, "lab-new.php", "function lab_unparsable( {\n")
	if err != nil {
		return nil, err
	}
	undo := func() error {
		err := spoilt()
		if before != nil {
			err = errors.Join(err, os.Remove(dir))
		}
		return err
	}
	return undo, os.Lchown(dir, int(l.uid), int(l.gid))
}

// prependGone makes .user.ini name a loader that is not there. Workers remember the
// file for five minutes, so they are started anew.
func (l *Lab) prependGone(s Site) (func() error, error) {
	loader := filepath.Join(s.DocRoot, "wordfence-waf.php")
	text := "; Wordfence WAF\nauto_prepend_file = '" + loader + "'\n; END Wordfence WAF\n"
	undo, err := l.edit(s.DocRoot, ".user.ini", func(string) string { return text })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
	defer cancel()
	if err := l.ReloadFPM(ctx); err != nil {
		return nil, errors.Join(err, undo())
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		defer cancel()
		return errors.Join(undo(), l.ReloadFPM(ctx))
	}, nil
}
