<?php
// Installs WordPress once for the template: php -- ROOT DOMAIN < install.php
//
// It runs WordPress' own installer, then loads the front page twice, so that
// the schedules and transients that a first visitor would write are there
// already: a lab's tables must not change by being looked at.
define( 'WP_INSTALLING', true );
$_SERVER['HTTP_HOST']       = $argv[2];
$_SERVER['SERVER_NAME']     = $argv[2];
$_SERVER['REQUEST_URI']     = '/';
$_SERVER['REQUEST_METHOD']  = 'GET';
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REMOTE_ADDR']     = '127.0.0.1';

require $argv[1] . '/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';

// The installer fetches a page of the site to see whether permalinks work; no
// web server runs yet and the name resolves nowhere.
add_filter(
	'pre_http_request',
	function () {
		return new WP_Error( 'lab', 'no network while installing' );
	}
);
wp_install( 'Lab shop', 'admin', 'admin@' . $argv[2], true, '', 'lab-admin-password' );

// Separate processes, since WordPress defines its constants once.
foreach ( array( 1, 2 ) as $turn ) {
	$code = 'parse_str(getenv("LAB_SERVER"), $s); $_SERVER = $s + $_SERVER; require ' . var_export( $argv[1] . '/index.php', true ) . ';';
	putenv( 'LAB_SERVER=' . http_build_query( array_intersect_key( $_SERVER, array_flip( array( 'HTTP_HOST', 'SERVER_NAME', 'REQUEST_URI', 'REQUEST_METHOD', 'SERVER_PROTOCOL', 'REMOTE_ADDR' ) ) ) ) );
	$page = shell_exec( escapeshellarg( PHP_BINARY ) . ' -r ' . escapeshellarg( $code ) );
	if ( false === strpos( (string) $page, '</html>' ) ) {
		fwrite( STDERR, "the installed site gives no whole page: $page\n" );
		exit( 1 );
	}
}
echo "installed\n";
