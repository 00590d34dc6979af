<?php

namespace Wpmend;

/**
 * Which of the service's sites is the WordPress that wp runs in.
 */
final class Site {

	/**
	 * @param array  $sites As the service lists them.
	 * @param string $core  The folder of WordPress itself, ABSPATH.
	 * @param string $url   wp's --url, or empty: which one, where several share a folder.
	 * @return array One of the sites.
	 */
	public static function find( array $sites, $core, $url ) {
		$core  = self::real( $core );
		$found = array();
		foreach ( $sites as $site ) {
			if ( self::real( $site['root'] ) === $core ) {
				$found[] = $site;
			}
		}
		if ( ! $found ) {
			$found = self::around( $sites, $core );
		}
		if ( count( $found ) > 1 && '' !== $url ) {
			$name  = preg_replace( '#^[a-z]+://|/+$#i', '', $url );
			$found = array_values( array_filter( $found, function ( $site ) use ( $name ) {
				return 0 === strcasecmp( $site['domain'], $name );
			} ) );
		}
		if ( count( $found ) > 1 ) {
			throw new Problem( 'several sites are served from ' . $core . ': ' . implode( ', ', array_map( function ( $site ) {
				return $site['domain'];
			}, $found ) ), 'say which: --url=' . $found[0]['domain'], Problem::USAGE );
		}
		if ( ! $found ) {
			throw new Problem( 'wpmend knows no site of yours at ' . $core, 'run wp as the user that the site\'s PHP runs as: sudo -u OWNER wp mend …; wpmend looks for new sites once a minute', Problem::USAGE );
		}
		return $found[0];
	}

	/**
	 * Those whose root lies around WordPress' own folder, as Bedrock's web/ around web/wp/:
	 * the innermost, and only where no other WordPress lies in it.
	 */
	private static function around( array $sites, $core ) {
		$found   = array();
		$longest = 0;
		foreach ( $sites as $site ) {
			$root = self::real( $site['root'] );
			if ( 0 !== strpos( $core, $root . '/' ) || file_exists( $root . '/wp-load.php' ) || ! file_exists( $root . '/index.php' ) ) {
				continue;
			}
			if ( strlen( $root ) > $longest ) {
				$found   = array();
				$longest = strlen( $root );
			}
			if ( strlen( $root ) === $longest ) {
				$found[] = $site;
			}
		}
		return $found;
	}

	private static function real( $folder ) {
		$real = realpath( $folder );
		return rtrim( false === $real ? $folder : $real, '/' );
	}
}
