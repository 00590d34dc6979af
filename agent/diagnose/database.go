package diagnose

import (
	"errors"
	"slices"
	"strings"

	"wpmend/agent/probe"
	"wpmend/php/errlog"
	"wpmend/wp"
)

// noDatabase: WordPress says that it has no database.
func (f Facts) noDatabase() bool {
	return f.Front.Outcome == probe.DBError || f.Direct.Outcome == probe.DBError
}

// database names what keeps the site from its database. We may fail to ask for reasons of our own (another user,
// another network), so only WordPress' word or a server that does not answer at all is nearly certain.
func database(f Facts) (Cause, bool) {
	if errors.Is(f.Database, wp.ErrDatabaseFull) || f.Database == nil && !f.noDatabase() {
		return Cause{}, false
	}
	c := Cause{Cause: DBDown, Confidence: 0.3}
	said := f.noDatabase()
	switch {
	case errors.Is(f.Database, wp.ErrDatabaseBusy):
		c.Cause = DBConnections
		c.Confidence = 0.8
		c.advise("Raise it while it runs: mysql -e \"SET GLOBAL max_connections = 300\"; for good max_connections = 300 under [mysqld]. Who holds them: mysql -e \"SHOW FULL PROCESSLIST\". It must be above the sum of pm.max_children of all pools. If the site's user alone is at its limit: ALTER USER … WITH MAX_USER_CONNECTIONS 0.")
	case errors.Is(f.Database, wp.ErrCredentials), errors.Is(f.Database, wp.ErrNoDatabase):
		c.Cause = DBCredentials
		c.advise("Compare DB_NAME, DB_USER, DB_PASSWORD and DB_HOST in wp-config.php with the server: mysql -e \"SELECT user, host FROM mysql.user; SHOW DATABASES\". Set the password anew: ALTER USER 'DB_USER'@'localhost' IDENTIFIED BY '…'; or the rights: GRANT ALL ON DB_NAME.* TO 'DB_USER'@'localhost'.")
	case errors.Is(f.Database, wp.ErrTableCrashed), errors.Is(f.Database, wp.ErrNoTable):
		c.Cause = DBTableCrashed
		c.Confidence = 0.6
		if f.broken() {
			c.Confidence = 0.8
		}
		c.advise("Make a copy of the data folder or a dump first. Then wp db check; wp db repair (MyISAM, Aria: mysqlcheck --repair DB_NAME); a missing table, or InnoDB, comes back from a backup only. If all tables are missing, compare $table_prefix in wp-config.php with SHOW TABLES.")
	case f.Database != nil:
		c.Cause = DBDown
		if errors.Is(f.Database, wp.ErrDatabaseDown) {
			c.Confidence = 0.97
		}
		c.advise("See to the database server first: systemctl status mariadb (or mysql); journalctl -u mariadb -n 50; systemctl start mariadb. Did the kernel end it: dmesg -T | grep -i 'killed process'. Then to DB_HOST in wp-config.php: localhost means the socket, 127.0.0.1 the port.")
	default:
		c.Confidence = 0.8
		c.advise("The database answers wpmend now. See whether it has just been restarted: systemctl status mariadb (or mysql), and what its error log says; then DB_HOST, DB_USER and DB_PASSWORD in wp-config.php, and a db.php in wp-content.")
	}
	if said {
		c.say(f, "answer", "WordPress says that it has no database (%s)", f.front(probe.DBError).Signature)
		if f.Database != nil {
			c.Confidence = 0.97
		}
	}
	if f.Database != nil {
		c.say(f, "database", "%v", f.Database)
	}
	return c, true
}

// front is the answer with an outcome, of the two that were asked.
func (f Facts) front(o probe.Outcome) probe.Result {
	if f.Direct.Outcome == o {
		return f.Direct
	}
	return f.Front
}

func dbDiskFull(f Facts) (Cause, bool) {
	c := Cause{Cause: DBDiskFull}
	if errors.Is(f.Database, wp.ErrDatabaseFull) {
		c.Confidence = told
		c.say(f, "database", "%v", f.Database)
	}
	where := "/var/lib/mysql"
	for _, d := range f.Host.Disks {
		if d.full() && d.ofDatabase() {
			c.Confidence = 0.97
			c.say(f, "statfs", "%s", d)
			where = d.Path
		}
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	c.advise("Make room for the database: df -h %[1]s; du -xh --max-depth=1 %[1]s | sort -h | tail. Old binary logs: mysql -e \"PURGE BINARY LOGS BEFORE NOW() - INTERVAL 2 DAY\" (never rm them). Then mysqlcheck --all-databases, since a table may have been cut off.", shell(where))
	return c, true
}

// objectCacheClasses are what the clients of the servers throw.
var objectCacheClasses = []string{"redisexception", "predis", "credis", "memcache", "relay\\"}

// objectCacheDown: the drop-in's page is the same as that for the database, but the database answers.
func objectCacheDown(f Facts) (Cause, bool) {
	c := Cause{Cause: ObjectCacheDown, Remedy: new(RemedyDisable)}
	f.fatals(&c, func(e errlog.PHPError) bool {
		class := strings.ToLower(e.Class + " " + e.Message)
		cache := slices.ContainsFunc(objectCacheClasses, func(name string) bool { return strings.Contains(class, name) })
		return cache && slices.ContainsFunc(files(e), func(file string) bool { return strings.HasSuffix(file, "/object-cache.php") })
	})
	if f.noDatabase() && f.Database == nil && f.NoCredentials == nil && f.Unread == nil {
		if len(c.Evidence) > 0 {
			c.Confidence = max(c.Confidence, 0.85)
		} else if f.ObjectCache {
			c.Confidence = 0.82
		}
		if c.Confidence > 0 {
			c.say(f, "answer", "WordPress says that it cannot connect, and the database answers")
		}
	}
	if len(c.Evidence) == 0 {
		return Cause{}, false
	}
	if f.ObjectCache {
		c.Component = "drop-in:object-cache.php"
	}
	c.advise("Start the cache's server: systemctl status redis-server memcached; redis-cli ping must say PONG. Compare WP_REDIS_HOST, WP_REDIS_PORT and WP_REDIS_PASSWORD in wp-config.php. WordPress works without it, only slower: move wp-content/object-cache.php aside.")
	return c, true
}
