<?php

namespace Wpmend;

/**
 * The service at its unix socket. The kernel tells it who asks; nothing is sent to prove it.
 *
 * HTTP/1.0: one request a connection, and no chunks to put together.
 */
final class Service {

	const SOCKET = '/run/wpmend/api.sock';

	const PATIENCE = 90;        // seconds without a byte; the service itself waits 60 at most
	const MOST     = 67108864;  // bytes of one answer

	private $socket;

	public function __construct( $socket ) {
		$this->socket = $socket;
	}

	public function get( $path ) {
		return $this->ask( 'GET', $path );
	}

	/**
	 * Asks for one thing and gives the decoded answer.
	 *
	 * @param array|null $body Sent as JSON.
	 */
	public function ask( $method, $path, $body = null ) {
		$raw = '';
		list( $status ) = $this->lines( $method, $path, $body, null, function ( $piece ) use ( &$raw ) {
			$raw .= $piece;
		} );
		$answer = json_decode( $raw, true );
		if ( ! is_array( $answer ) ) {
			throw new Problem( "wpmend's answer to $method $path cannot be read", 'journalctl -u wpmend tells the host\'s administrator more' );
		}
		if ( $status >= 400 ) {
			throw Problem::of( $answer );
		}
		return $answer;
	}

	/**
	 * All entries of a list, over its pages, until there are so many.
	 */
	public function all( $path, $name, $most ) {
		$entries = array();
		$cursor  = '';
		do {
			$answer  = $this->get( $path . ( false === strpos( $path, '?' ) ? '?' : '&' ) . 'limit=' . min( 200, $most - count( $entries ) ) . '&cursor=' . rawurlencode( $cursor ) );
			$entries = array_merge( $entries, isset( $answer[ $name ] ) ? (array) $answer[ $name ] : array() );
			$cursor  = isset( $answer['next'] ) ? (string) $answer['next'] : '';
		} while ( '' !== $cursor && count( $entries ) < $most );
		return $entries;
	}

	/**
	 * The text of an answer that is no JSON.
	 */
	public function text( $path ) {
		$raw = '';
		list( $status ) = $this->lines( 'GET', $path, null, null, function ( $piece ) use ( &$raw ) {
			$raw .= $piece;
		} );
		if ( $status >= 400 ) {
			$answer = json_decode( $raw, true );
			throw Problem::of( is_array( $answer ) ? $answer : array() );
		}
		return $raw;
	}

	/**
	 * Follows server-sent events until they end; false: Ctrl-C came first.
	 *
	 * @param callable $take Is given each event.
	 */
	public function follow( $path, Interrupt $interrupt, $take ) {
		$rest = '';
		list( $status, $whole ) = $this->lines( 'GET', $path, null, $interrupt, function ( $piece ) use ( &$rest, $take ) {
			$rest .= $piece;
			while ( false !== ( $end = strpos( $rest, "\n" ) ) ) {
				$line = rtrim( substr( $rest, 0, $end ), "\r" );
				$rest = substr( $rest, $end + 1 );
				if ( 0 === strpos( $line, 'data:' ) ) {
					$event = json_decode( substr( $line, 5 ), true );
					if ( is_array( $event ) ) {
						call_user_func( $take, $event );
					}
				}
			}
		} );
		if ( $status >= 400 ) {
			$answer = json_decode( $rest, true );
			throw Problem::of( is_array( $answer ) ? $answer : array() );
		}
		return $whole;
	}

	/**
	 * Sends a request and hands on the answer's body as it comes.
	 *
	 * @return array The status, and whether the answer came to its end.
	 */
	private function lines( $method, $path, $body, $interrupt, $take ) {
		$stream = $this->connect();
		$this->send( $stream, $method, $path, $body );
		stream_set_blocking( $stream, false );
		$head   = '';
		$status = 0;
		$size   = 0;
		$heard  = microtime( true );
		while ( true ) {
			if ( $interrupt && $interrupt->asked() ) {
				fclose( $stream );
				return array( $status, false );
			}
			$read  = array( $stream );
			$write = null;
			$oob   = null;
			// A signal ends the wait with a warning; the loop asks for it.
			if ( ! @stream_select( $read, $write, $oob, 1 ) ) {
				if ( microtime( true ) - $heard > self::PATIENCE ) {
					fclose( $stream );
					throw new Problem( "wpmend's service does not answer", 'try again; if it stays so, ask the host\'s administrator: systemctl status wpmend' );
				}
				continue;
			}
			$piece = fread( $stream, 65536 );
			$heard = microtime( true );
			if ( false === $piece || '' === $piece ) {
				if ( feof( $stream ) ) {
					break;
				}
				continue;
			}
			$size += strlen( $piece );
			if ( ! $interrupt && $size > self::MOST ) {
				fclose( $stream );
				throw new Problem( "wpmend's answer is too large", 'ask for less: --limit' );
			}
			if ( 0 === $status ) {
				$head .= $piece;
				$end   = strpos( $head, "\r\n\r\n" );
				if ( false === $end ) {
					continue;
				}
				$status = $this->status( $head );
				$piece  = substr( $head, $end + 4 );
			}
			if ( '' !== $piece && false !== $piece ) {
				call_user_func( $take, $piece );
			}
		}
		fclose( $stream );
		if ( 0 === $status ) {
			throw new Problem( 'wpmend\'s service ended the connection without an answer', 'try again; it may be starting anew' );
		}
		return array( $status, true );
	}

	private function status( $head ) {
		if ( ! preg_match( '#^HTTP/1\.[01] ([1-5][0-9][0-9]) #', $head, $found ) ) {
			throw new Problem( $this->socket . ' speaks no HTTP', 'is it wpmend\'s? The usual one is ' . self::SOCKET );
		}
		return (int) $found[1];
	}

	private function connect() {
		if ( ! file_exists( $this->socket ) ) {
			throw new Problem( 'wpmend does not run on this host, or its API is switched off: there is no ' . $this->socket, 'ask the host\'s administrator: systemctl status wpmend, and api.socket in /etc/wpmend/wpmend.toml' );
		}
		$stream = @stream_socket_client( 'unix://' . $this->socket, $number, $reason, 5 );
		if ( ! $stream ) {
			throw new Problem( 'wpmend cannot be reached at ' . $this->socket . ': ' . $reason, 'ask the host\'s administrator: systemctl status wpmend' );
		}
		return $stream;
	}

	private function send( $stream, $method, $path, $body ) {
		$text    = null === $body ? '' : json_encode( (object) $body );
		$request = "$method $path HTTP/1.0\r\nHost: wpmend\r\nUser-Agent: wp-mend\r\n";
		if ( null !== $body ) {
			$request .= "Content-Type: application/json\r\nContent-Length: " . strlen( $text ) . "\r\n";
		}
		if ( 'POST' === $method ) {
			$request .= 'Idempotency-Key: ' . uniqid( 'wp-mend-', true ) . "\r\n";
		}
		$request .= "\r\n" . $text;
		while ( '' !== $request ) {
			$sent = @fwrite( $stream, $request );
			if ( ! $sent ) {
				fclose( $stream );
				throw new Problem( 'wpmend\'s service took no request', 'try again; it may be starting anew' );
			}
			$request = (string) substr( $request, $sent );
		}
	}
}
