<?php
/**
 * Plugin Name: Bedrock Autoloader
 * Description: Loads must-use plugins that lie in folders, as Bedrock's does.
 * Version:     1.0.4
 */

foreach ( (array) glob( WPMU_PLUGIN_DIR . '/*/*.php' ) as $file ) {
	if ( preg_match( '/^[ \t\/*#@]*Plugin Name:/mi', (string) file_get_contents( $file, false, null, 0, 8192 ) ) ) {
		include_once $file;
	}
}
unset( $file );
