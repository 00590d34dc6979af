<?php
/**
 * wp mend: what wpmend, the host's service, knows of the WordPress that wp runs in.
 *
 * PHP 5.6 and later; nothing of WordPress is used, so that it works when WordPress does not.
 */

if ( ! class_exists( 'WP_CLI' ) ) {
	return;
}

foreach ( array( 'Problem', 'Interrupt', 'Service', 'Progress', 'Job', 'Site', 'Screen', 'Mend_Command' ) as $wpmend_class ) {
	require_once __DIR__ . '/src/' . $wpmend_class . '.php';
}
unset( $wpmend_class );

WP_CLI::add_command( 'mend', 'Wpmend\Mend_Command', array( 'when' => 'before_wp_load' ) );
