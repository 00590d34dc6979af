<?php

namespace Wpmend;

/**
 * What went wrong, what to do about it, and the exit status that it stands for.
 */
final class Problem extends \RuntimeException {

	const FAILED      = 1;
	const USAGE       = 2;
	const INTERRUPTED = 130;

	private $remedy;

	public function __construct( $detail, $remedy = '', $status = self::FAILED ) {
		parent::__construct( $detail, $status );
		$this->remedy = $remedy;
	}

	public function remedy() {
		return $this->remedy;
	}

	/**
	 * @param array $answer A problem of the service, RFC 9457.
	 */
	public static function of( array $answer ) {
		$kind   = isset( $answer['type'] ) ? (string) $answer['type'] : '';
		$detail = isset( $answer['detail'] ) ? (string) $answer['detail'] : 'the service refused without a reason';
		$remedy = isset( $answer['remedy'] ) ? (string) $answer['remedy'] : '';
		$usage  = array( 'urn:wpmend:not-found', 'urn:wpmend:usage', 'urn:wpmend:malformed', 'urn:wpmend:config', 'urn:wpmend:no-such-user' );
		foreach ( isset( $answer['errors'] ) ? (array) $answer['errors'] : array() as $error ) {
			if ( isset( $error['location'], $error['message'] ) ) {
				$detail .= '; ' . $error['location'] . ': ' . $error['message'];
			}
		}
		return new self( $detail, $remedy, in_array( $kind, $usage, true ) ? self::USAGE : self::FAILED );
	}
}
