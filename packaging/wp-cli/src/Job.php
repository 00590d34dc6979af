<?php

namespace Wpmend;

/**
 * A piece of work that the service does: begun, followed, cancelled by Ctrl-C.
 */
final class Job {

	private $service;
	private $progress;

	public function __construct( Service $service, Progress $progress ) {
		$this->service  = $service;
		$this->progress = $progress;
	}

	/**
	 * @return array What it found.
	 */
	public function run( $path, array $body ) {
		$interrupt = new Interrupt();
		$job       = $this->service->ask( 'POST', $path, $body );
		$at        = '/v1/jobs/' . rawurlencode( $job['id'] );
		while ( 'running' === $job['state'] ) {
			$whole = $this->service->follow( $at . '/events', $interrupt, array( $this->progress, 'take' ) );
			if ( ! $whole || $interrupt->asked() ) {
				$this->progress->done();
				$this->cancel( $at );
			}
			$job = $this->service->get( $at . '?wait=2' );
		}
		$this->progress->done();
		if ( 'failed' === $job['state'] ) {
			throw Problem::of( isset( $job['error'] ) ? $job['error'] : array() );
		}
		if ( 'cancelled' === $job['state'] ) {
			throw new Problem( 'it was cancelled by somebody else', 'ask again', Problem::INTERRUPTED );
		}
		return $job['result'];
	}

	private function cancel( $at ) {
		$job = $this->service->ask( 'DELETE', $at );
		while ( 'running' === $job['state'] ) {
			$job = $this->service->get( $at . '?wait=10' );
		}
		throw new Problem( 'interrupted: the work was cancelled, and what it had begun is put back', '', Problem::INTERRUPTED );
	}
}
