package main

// nginxMain is Debian's, as far as it matters, and without files outside of the host's own.
const nginxMain = `user www-data;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid /srv/nginx/nginx.pid;
error_log /srv/log/nginx.error.log;
events { worker_connections 4096; }
http {
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	server_names_hash_max_size 65536;
	server_names_hash_bucket_size 128;
	client_body_temp_path /srv/nginx/tmp/body;
	proxy_temp_path /srv/nginx/tmp/proxy;
	fastcgi_temp_path /srv/nginx/tmp/fastcgi;
	uwsgi_temp_path /srv/nginx/tmp/uwsgi;
	scgi_temp_path /srv/nginx/tmp/scgi;
	access_log /srv/log/nginx.access.log;
	include /srv/nginx/sites/*.conf;
}
`

const nginxSite = `server {
	listen 80;
	server_name NAME www.NAME;
	root HOME/htdocs;
	index index.php index.html;
	access_log HOME/logs/access.log;
	error_log HOME/logs/error.log;
	client_max_body_size 64m;
	location / { try_files $uri $uri/ /index.php$is_args$args; }
	location ~ /\.(?!well-known/) { deny all; }
	location ~* \.(css|js|svg|gif|png|jpe?g|webp|woff2?)$ { expires max; access_log off; }
	location ~ \.php$ {
		try_files $uri =404;
		include /etc/nginx/fastcgi.conf;
		fastcgi_read_timeout 300s;
		fastcgi_pass unix:SOCKET;
	}
}
`

const fpmMain = `[global]
error_log = DIR/fpm.log
log_level = notice
rlimit_files = 20000
process_control_timeout = 10s
include = DIR/pool.d/*.conf
`

const pool = `[USER]
user = USER
group = USER
listen = SOCKET
listen.owner = www-data
listen.group = www-data
listen.mode = 0660
pm = ondemand
pm.max_children = 5
pm.process_idle_timeout = 10s
pm.max_requests = 500
pm.status_path = /fpm-status
request_terminate_timeout = 120s
request_slowlog_timeout = 10s
slowlog = HOME/logs/slow.log
php_admin_value[error_log] = HOME/logs/php.log
php_admin_flag[log_errors] = on
php_admin_value[open_basedir] = HOME:/tmp:/usr/share/php
php_admin_value[memory_limit] = 256M
php_admin_value[upload_tmp_dir] = HOME/tmp
`

// wordPressFiles are those that wpmend looks at while all is well, and the one page.
var wordPressFiles = map[string]string{
	"index.php":       "<?php\ndefine( 'WP_USE_THEMES', true );\nrequire __DIR__ . '/wp-blog-header.php';\n",
	"wp-load.php":     "<?php\n",
	"wp-settings.php": "<?php\n",
	"wp-blog-header.php": "<?php ?><!DOCTYPE html>\n<html><head><title>NAME</title></head><body><main><h1>NAME</h1>" +
		"<p>A page that stands for one of WordPress.</p></main></body></html>\n",
	"wp-config.php": "<?php\ndefine( 'DB_NAME', 'DB' );\ndefine( 'DB_USER', 'DB' );\ndefine( 'DB_PASSWORD', 'secret' );\n" +
		"define( 'DB_HOST', 'localhost' );\n$table_prefix = 'wp_';\nrequire_once ABSPATH . 'wp-settings.php';\n",
	"wp-includes/version.php":             "<?php\n$wp_version = '6.8.3';\n$wp_db_version = 60421;\n",
	"wp-admin/index.php":                  "<?php\n",
	"wp-content/plugins/hello/hello.php":  "<?php\n/*\nPlugin Name: Hello\nVersion: 1.0\n*/\n",
	"wp-content/themes/plain/style.css":   "/*\nTheme Name: Plain\n*/\n",
	"wp-content/themes/plain/index.php":   "<?php\n",
	"wp-content/uploads/2026/11/file.txt": "x\n",
}
