<?php

namespace Wpmend;

use WP_CLI;

/**
 * Writes results: wp-cli's own formats, and words beside its tables.
 */
final class Screen {

	private $args;
	private $fields;
	private $words;

	/**
	 * @param array $args   The command's --format, --fields and --field.
	 * @param array $fields Those that are shown unless --fields names others.
	 */
	public function __construct( array $args, array $fields ) {
		$this->args   = array_intersect_key( $args, array_flip( array( 'format', 'fields', 'field' ) ) );
		$this->fields = $fields;
		$this->words  = ! isset( $args['field'] ) && ( ! isset( $args['format'] ) || 'table' === $args['format'] );
	}

	/**
	 * Rows in the format that was asked for; a table without rows is left out.
	 */
	public function rows( array $rows ) {
		if ( ! $rows && $this->words ) {
			return;
		}
		$args = $this->args;
		if ( $this->words ) {
			array_walk_recursive( $rows, function ( &$value ) {
				$value = is_string( $value ) ? self::printable( $value ) : $value;
			} );
		}
		$formatter = new WP_CLI\Formatter( $args, $this->fields );
		$formatter->display_items( $rows );
	}

	/**
	 * One line beside a table; other formats have none.
	 */
	public function line( $text ) {
		if ( $this->words ) {
			WP_CLI::log( self::printable( $text ) );
		}
	}

	public function lines( array $lines, $before = '' ) {
		foreach ( $lines as $line ) {
			$this->line( $before . $line );
		}
	}

	/**
	 * Keeps control characters of a hostile name or log line off the terminal.
	 */
	public static function printable( $text ) {
		$clean = preg_replace( '/[\x{0}-\x{8}\x{b}-\x{1f}\x{7f}-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]/u', '?', preg_replace( '/[\n\t]/', ' ', $text ) );
		return null === $clean ? preg_replace( '/[^\x20-\x7e]/', '?', $text ) : $clean;
	}

	/**
	 * Shortens a line so that it can be rewritten in place.
	 */
	public static function cut( $line, $width ) {
		return preg_match( '/^.{' . $width . '}./us', $line ) ? preg_replace( '/^(.{' . ( $width - 1 ) . '}).*/us', '$1…', $line ) : $line;
	}
}
