package diagnose

// Prevention says how a cause can be kept from coming back, "" for an unknown name.
func Prevention(cause string) string { return prevention[cause] }

// prevention holds a sentence or two for each cause, for the one who owns what failed.
var prevention = map[string]string{
	DNSMismatch:  "Watch the name's DNS records and the domain's expiry; keep their lifetime (TTL) short while a site moves.",
	CDNOnly:      "Watch the origin and the public address apart; keep the CDN's list of origin addresses and its certificate settings with the server's own documentation.",
	OuterTimeout: "Keep every proxy's timeout above that of the one behind it; move work that takes longer than a minute out of the request (WP-CLI, cron).",
	CachedError:  "Let the gateway cache answers of status 200 only: no fastcgi_cache_valid for 5xx, nor `any`.",
	StaleCache:   "Keep fastcgi_cache_use_stale, but watch the site past its cache, as wpmend does.",

	GatewayDown:        "Let its unit restart it (Restart=on-failure), and test every change of its configuration before a reload.",
	GatewayConfig:      "Test before every reload and restart (nginx -t, apachectl configtest), also in scripts that renew certificates.",
	GatewayExhausted:   "Size worker_connections (nginx) or MaxRequestWorkers (Apache) for the traffic's peaks, and limit requests per client.",
	Firewall:           "Keep rules for loopback out of blocking lists, and let whatever writes rules (fail2ban, a panel) ignore the host's own addresses.",
	SocketPermission:   "Set listen.owner, listen.group and listen.mode for every pool instead of relying on defaults, and restart FPM after a change.",
	SocketMissing:      "Leave the folder of the sockets to systemd (RuntimeDirectory=) and to nobody's clean-up job.",
	StaleSocket:        "Start FPM by its unit alone, so that no second master fights over a socket.",
	WrongSocket:        "After a PHP upgrade, change the vhost together with the pool; an include or a link without a version number saves the change.",
	UpstreamUnresolved: "Name upstream servers by address or in /etc/hosts where they do not move, and give nginx a resolver that is always there.",
	WrongProtocol:      "Use fastcgi_pass (nginx) or proxy:fcgi: (Apache) for FPM and nothing else, and keep its ports for it.",
	ClientDisallowed:   "Keep listen.allowed_clients together with the address that the gateway connects from; a unix socket needs none.",
	AccessDenied:       "Label what is served (semanage fcontext, restorecon) or extend the AppArmor profile when paths move, instead of turning the policy off.",

	FPMDown:         "Give FPM's unit Restart=on-failure; Debian's up to PHP 8.3 has none.",
	FPMConfig:       "Test before every restart (php-fpm -t). One broken pool file stops all pools of that PHP version.",
	FPMOOMKilled:    "Give FPM's unit OOMPolicy=continue, so that one killed worker does not stop them all, and lower pm.max_children or memory_limit until the pool fits into the memory.",
	FPMStartLimit:   "Find what starts FPM again and again; after a mended configuration run systemctl reset-failed first.",
	PoolExhausted:   "Size pm.max_children by memory (free memory / size of a worker), cache pages for visitors, and log slow requests (request_slowlog_timeout = 5s).",
	WorkersStuck:    "Set request_terminate_timeout, so that a request that stands still is ended, and give the plugin's outgoing requests short timeouts.",
	WorkerCrash:     "Try updates on a copy first; keep PHP, its extensions and the plugin at versions that fit together.",
	OPcachePoisoned: "Reload PHP-FPM after every deploy where opcache.validate_timestamps is off, and deploy by switching folders, not by overwriting files.",

	ExecutionTimeout: "Run long work by WP-CLI or a real cron job, or in steps; max_execution_time counts processor time only.",
	TerminateTimeout: "Run long work by WP-CLI or a real cron job; keep request_terminate_timeout above max_execution_time and below the gateway's timeout.",
	GatewayTimeout:   "Keep the gateway's read timeout above request_terminate_timeout · 4/3 + 5 s, so that PHP ends a request before the gateway gives up on it.",

	ResponseHeaderTooBig: "Set fastcgi_buffer_size 32k and fastcgi_buffers 16 16k; keep debug plugins, which send large headers, off live sites.",
	InvalidHeader:        "Let the plugin set headers by WordPress' functions only, and nothing print before them.",
	HtaccessBroken:       "Wrap directives of modules in <IfModule>, and php_value in none at all under PHP-FPM: use .user.ini.",

	Overload:        "Cache pages, limit requests per client, give the pool no more workers than the processors can feed, and move other work to another time or host.",
	TrafficSpike:    "Limit requests per client (limit_req), cache pages, and turn bots away before they reach PHP.",
	MemoryExhausted: "Let pools together need less than the host has (pm.max_children × size of a worker), and give the database a fixed share.",
	PHPMemoryLimit:  "Find what needs the memory before raising memory_limit; raise it for wp-admin alone where only that needs it (WP_MAX_MEMORY_LIMIT).",
	DiskFull:        "Watch space and inodes, rotate logs, and give each owner a quota, so that one site cannot fill the disk of all.",
	FileDescriptors: "Raise worker_rlimit_nofile (nginx) or LimitNOFILE= of the unit to at least four times worker_connections.",

	DBDown:         "Let the database's unit restart it, and give it a fixed share of memory, so that the kernel does not choose it when memory runs out.",
	DBConnections:  "Keep max_connections above the sum of all pools' pm.max_children, or the pools below it.",
	DBCredentials:  "Change the password in wp-config.php together with the server's, and test both before leaving.",
	DBTableCrashed: "Move tables from MyISAM or Aria to InnoDB, which repairs itself, and shut the database down by its unit.",
	DBDiskFull:     "Give the database a file system of its own, watch it, and expire binary logs.",

	Maintenance:     "Update by WP-CLI or by WordPress itself and let it end; a page that is closed in mid-update leaves .maintenance behind.",
	UpdateBroken:    "Keep a backup from before each update, enough free disk, and time limits that an update fits into.",
	CoreDamaged:     "Keep a backup from before each update, and check WordPress' own files after it (wp core verify-checksums).",
	ConfigBroken:    "Try a changed wp-config.php with php -l before it goes live.",
	CodeUnparsable:  "Try changed code with php -l and on a copy before it goes live; never edit by wp-admin's editor.",
	PrependMissing:  "Remove a firewall plugin by its own settings page, which takes auto_prepend_file out again, instead of deleting its files.",
	ThemeMissing:    "Switch to another theme before deleting one.",
	ObjectCacheDown: "Use a drop-in that goes on without its server, and let the server's unit restart it.",
	ComponentFault:  "Try updates on a copy first, and keep the version from before at hand.",
}
