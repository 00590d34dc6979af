<?php

namespace Wpmend;

/**
 * Shows a person who waits what is being done: one rewritten line on a terminal, a line a
 * step elsewhere. It goes to stderr, results to stdout.
 */
final class Progress {

	private $start;
	private $terminal;
	private $quiet;

	public function __construct( $quiet ) {
		$this->start    = microtime( true );
		$this->quiet    = $quiet;
		$this->terminal = function_exists( 'stream_isatty' ) ? stream_isatty( STDERR ) : function_exists( 'posix_isatty' ) && posix_isatty( STDERR );
	}

	/**
	 * @param array $event One of the service's.
	 */
	public function take( array $event ) {
		$kind = isset( $event['kind'] ) ? $event['kind'] : '';
		if ( $this->quiet || ! isset( $event['text'] ) || ! in_array( $kind, array( 'doing', 'search' ), true ) ) {
			return;
		}
		$line = sprintf( '%5.1f s  %s', microtime( true ) - $this->start, Screen::printable( $event['text'] ) );
		if ( ! $this->terminal ) {
			fwrite( STDERR, $line . "\n" );
			return;
		}
		$width = class_exists( 'cli\Shell' ) ? (int) \cli\Shell::columns() : 80;
		fwrite( STDERR, "\r\033[K" . Screen::cut( $line, max( 20, $width - 1 ) ) );
	}

	/**
	 * Makes room for the result.
	 */
	public function done() {
		if ( $this->terminal && ! $this->quiet ) {
			fwrite( STDERR, "\r\033[K" );
		}
	}
}
