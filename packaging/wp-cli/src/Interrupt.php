<?php

namespace Wpmend;

/**
 * Ctrl-C, as a question that can be asked. Without the pcntl extension PHP ends at once
 * instead, and a job of the service goes on by itself.
 */
final class Interrupt {

	private $asked = false;

	public function __construct() {
		if ( ! function_exists( 'pcntl_signal' ) || ! function_exists( 'pcntl_signal_dispatch' ) ) {
			return;
		}
		foreach ( array( SIGINT, SIGTERM ) as $signal ) {
			pcntl_signal( $signal, array( $this, 'ask' ), false );
		}
	}

	/**
	 * Is called by PHP; the next signal ends PHP as ever.
	 */
	public function ask( $signal ) {
		$this->asked = true;
		pcntl_signal( $signal, SIG_DFL );
	}

	public function asked() {
		if ( function_exists( 'pcntl_signal_dispatch' ) ) {
			pcntl_signal_dispatch();
		}
		return $this->asked;
	}
}
