<?php

namespace Wpmend;

use WP_CLI;

/**
 * Finds out why this WordPress fails, and takes back what wpmend did to it.
 *
 * Talks to wpmend, the service of the host, as the user that runs wp: the user of the site sees its own sites and no others. Nothing of WordPress is loaded, so that it works when the site answers nothing but errors.
 *
 * ## EXAMPLES
 *
 *     # What is wrong with this site?
 *     $ wp mend check
 *
 *     # Which plugin is at fault? Nothing is changed on the site.
 *     $ wp mend bisect
 *
 *     # What has wpmend done here, and back again.
 *     $ wp mend incidents
 *     $ wp mend undo 01KB2M6Q7T9S3V5X8Y0Z1A2B3C
 *
 * @when before_wp_load
 */
class Mend_Command {

	const UNHEALTHY = 3;
	const UNFIXED   = 4;

	/**
	 * Asks the site as a visitor would, and names the cause when it fails.
	 *
	 * Exits with 0 when the site is well, with 3 when it is not.
	 *
	 * ## OPTIONS
	 *
	 * [<page>...]
	 * : URLs or paths of the site to ask. Default: its front page, then what failed lately by the logs.
	 *
	 * [--cookie=<cookie>]
	 * : A Cookie header to send, such as a visitor's with a full cart.
	 *
	 * [--layers]
	 * : Look at every layer from outside in, and show each with its proof.
	 *
	 * [--field=<field>]
	 * : Print the value of one field of each cause.
	 *
	 * [--fields=<fields>]
	 * : Limit the output to these fields: cause, confidence, component, remedy, proven, advice, outcome, url, status.
	 *
	 * [--format=<format>]
	 * : How the causes are shown.
	 * ---
	 * default: table
	 * options:
	 *   - table
	 *   - csv
	 *   - json
	 *   - yaml
	 *   - count
	 * ---
	 *
	 * [--socket=<file>]
	 * : The service's socket. Default: $WPMEND_SOCKET, or /run/wpmend/api.sock.
	 *
	 * ## EXAMPLES
	 *
	 *     $ wp mend check
	 *     $ wp mend check /checkout/ /shop/
	 *     $ wp mend check --layers
	 *
	 * @when before_wp_load
	 */
	public function check( $pages, $args ) {
		$this->attempt( function () use ( $pages, $args ) {
			$service = $this->service( $args );
			$site    = $this->site( $service );
			$body    = self::question( $pages, $args );
			if ( isset( $args['layers'] ) ) {
				$body['walk'] = true;
			}
			$report = $this->job( $service )->run( '/v1/sites/' . $site['id'] . '/checks', $body );
			$screen = new Screen( $args, array( 'cause', 'confidence', 'component', 'remedy' ) );
			$bad    = self::fails( $report['outcome'] ) || $report['causes'];
			$screen->line( $site['domain'] . ( self::fails( $report['outcome'] ) ? ' is failing: ' : ' is ' ) . $report['outcome'] . ' (' . $report['url'] . ')' );
			$screen->lines( array_filter( array( isset( $report['detail'] ) ? $report['detail'] : '' ) ), '  ' );
			$screen->rows( array_map( function ( $cause ) use ( $report ) {
				return array(
					'cause'      => $cause['cause'],
					'confidence' => $cause['confidence'],
					'component'  => isset( $cause['component'] ) ? $cause['component'] : '',
					'remedy'     => (string) $cause['remedy'],
					'proven'     => $cause['proven'],
					'advice'     => isset( $cause['advice'] ) ? $cause['advice'] : '',
					'outcome'    => $report['outcome'],
					'url'        => $report['url'],
					'status'     => $report['status'],
				);
			}, $report['causes'] ) );
			$this->why( $screen, $report );
			if ( $bad && ! $report['causes'] ) {
				$screen->line( 'No known cause fits. wp mend bisect asks whether a plugin is at fault.' );
			}
			$screen->lines( $report['notes'], 'Note: ' );
			WP_CLI::halt( $bad ? self::UNHEALTHY : 0 );
		} );
	}

	/**
	 * Finds the plugins at fault, in a private copy of the site's PHP.
	 *
	 * Visitors notice nothing, and nothing is changed. Exits with 0 when the site is well, with 3 when a culprit is found, with 4 when none is.
	 *
	 * ## OPTIONS
	 *
	 * [<page>...]
	 * : URLs or paths of the site to ask. Default: its front page, then what failed lately by the logs.
	 *
	 * [--cookie=<cookie>]
	 * : A Cookie header to send, such as a visitor's with a full cart.
	 *
	 * [--field=<field>]
	 * : Print the value of one field of each culprit.
	 *
	 * [--fields=<fields>]
	 * : Limit the output to these fields: component, version, signature, with.
	 *
	 * [--format=<format>]
	 * : How the culprits are shown.
	 * ---
	 * default: table
	 * options:
	 *   - table
	 *   - csv
	 *   - json
	 *   - yaml
	 *   - count
	 * ---
	 *
	 * [--socket=<file>]
	 * : The service's socket. Default: $WPMEND_SOCKET, or /run/wpmend/api.sock.
	 *
	 * ## EXAMPLES
	 *
	 *     $ wp mend bisect
	 *     $ wp mend bisect /checkout/ --format=json
	 *
	 * @when before_wp_load
	 */
	public function bisect( $pages, $args ) {
		$this->attempt( function () use ( $pages, $args ) {
			$service = $this->service( $args );
			$site    = $this->site( $service );
			$report  = $this->job( $service )->run( '/v1/sites/' . $site['id'] . '/bisects', self::question( $pages, $args ) );
			$screen  = new Screen( $args, array( 'component', 'version', 'signature', 'with' ) );
			$screen->line( $site['domain'] . ': ' . $report['finding'] );
			$screen->rows( array_map( function ( $culprit ) {
				return array(
					'component' => $culprit['component'],
					'version'   => $culprit['version'],
					'signature' => $culprit['signature'],
					'with'      => implode( ' ', $culprit['with'] ),
				);
			}, $report['culprits'] ) );
			$screen->line( sprintf( '%d of %d components at fault; %d questions, %.1f s; changes to the live site: %d', count( $report['culprits'] ), $report['components'], $report['probes'], $report['seconds'], $report['live_changes'] ) );
			foreach ( $report['culprits'] as $culprit ) {
				if ( preg_match( '#^plugin:([\w.-]+)$#', $culprit['component'], $name ) ) {
					$screen->line( 'To switch it off: wp plugin deactivate ' . preg_replace( '/\.php$/', '', $name[1] ) . ' --skip-plugins --skip-themes' );
				}
			}
			$screen->lines( $report['notes'], 'Note: ' );
			$well = ! self::fails( $report['outcome'] ) && 'undecided' !== $report['verdict'];
			WP_CLI::halt( $well ? 0 : ( $report['culprits'] ? self::UNHEALTHY : self::UNFIXED ) );
		} );
	}

	/**
	 * Lists what happened to this site, the newest first.
	 *
	 * ## OPTIONS
	 *
	 * [--state=<state>]
	 * : Only those that stand so: open, resolved, transient, escalated or undone.
	 *
	 * [--limit=<number>]
	 * : At most so many, 0 for all.
	 * ---
	 * default: 20
	 * ---
	 *
	 * [--field=<field>]
	 * : Print the value of one field of each incident.
	 *
	 * [--fields=<fields>]
	 * : Limit the output to these fields: id, opened, symptom, state, culprits, seconds, url, ended, reason, changes.
	 *
	 * [--format=<format>]
	 * : How they are shown.
	 * ---
	 * default: table
	 * options:
	 *   - table
	 *   - csv
	 *   - json
	 *   - yaml
	 *   - count
	 *   - ids
	 * ---
	 *
	 * [--socket=<file>]
	 * : The service's socket. Default: $WPMEND_SOCKET, or /run/wpmend/api.sock.
	 *
	 * ## EXAMPLES
	 *
	 *     $ wp mend incidents
	 *     $ wp mend incidents --state=resolved --field=id
	 *
	 * @when before_wp_load
	 */
	public function incidents( $_, $args ) {
		$this->attempt( function () use ( $args ) {
			$limit = isset( $args['limit'] ) ? $args['limit'] : '20';
			if ( ! preg_match( '/^[0-9]{1,6}$/', $limit ) ) {
				throw new Problem( '--limit=' . $limit . ': give a number of 0 or more', 'wp help mend incidents', Problem::USAGE );
			}
			$service = $this->service( $args );
			$site    = $this->site( $service );
			$list    = self::incidents_of( $service, $site, isset( $args['state'] ) ? $args['state'] : '', (int) $limit ? (int) $limit : PHP_INT_MAX );
			$rows    = array_map( function ( $incident ) {
				return array(
					'id'       => $incident['id'],
					'opened'   => self::seconds( $incident['opened'] ),
					'symptom'  => $incident['symptom']['outcome'],
					'state'    => $incident['state'],
					'culprits' => implode( ' ', array_map( function ( $culprit ) {
						return $culprit['component'];
					}, $incident['culprits'] ) ),
					'seconds'  => round( $incident['seconds'], 1 ),
					'url'      => $incident['symptom']['url'],
					'ended'    => isset( $incident['ended'] ) ? self::seconds( $incident['ended'] ) : '',
					'reason'   => isset( $incident['reason'] ) ? $incident['reason'] : '',
					'changes'  => count( $incident['changes'] ),
				);
			}, $list );
			$screen = new Screen( $args, array( 'id', 'opened', 'symptom', 'state', 'culprits', 'seconds' ) );
			if ( isset( $args['format'] ) && 'ids' === $args['format'] ) {
				$rows = array_map( function ( $row ) {
					return $row['id'];
				}, $rows );
			}
			$screen->rows( $rows );
			if ( ! $rows ) {
				$screen->line( 'No incident of ' . $site['domain'] . ' is known.' );
			}
		} );
	}

	/**
	 * Writes one incident out, for a plugin's author or the host's support, without secrets.
	 *
	 * ## OPTIONS
	 *
	 * <incident>
	 * : Its id, or the beginning of it.
	 *
	 * [--format=<format>]
	 * : How it is written.
	 * ---
	 * default: text
	 * options:
	 *   - text
	 *   - html
	 *   - json
	 * ---
	 *
	 * [--socket=<file>]
	 * : The service's socket. Default: $WPMEND_SOCKET, or /run/wpmend/api.sock.
	 *
	 * ## EXAMPLES
	 *
	 *     $ wp mend report 01KB2M6Q7T9S3V5X8Y0Z1A2B3C --format=html > incident.html
	 *
	 * @when before_wp_load
	 */
	public function report( $args, $options ) {
		$this->attempt( function () use ( $args, $options ) {
			$service = $this->service( $options );
			$id      = self::whole( $service, $this->site( $service ), $args[0] );
			$format  = isset( $options['format'] ) ? $options['format'] : 'text';
			WP_CLI::line( rtrim( $service->text( '/v1/incidents/' . $id . '/report?format=' . rawurlencode( $format ) ), "\n" ) );
		} );
	}

	/**
	 * Takes back what wpmend changed in one incident.
	 *
	 * A plugin that was switched off is active again. What was broken before may break again.
	 *
	 * ## OPTIONS
	 *
	 * <incident>
	 * : Its id, or the beginning of it.
	 *
	 * [--yes]
	 * : Do not ask whether you are sure.
	 *
	 * [--socket=<file>]
	 * : The service's socket. Default: $WPMEND_SOCKET, or /run/wpmend/api.sock.
	 *
	 * ## EXAMPLES
	 *
	 *     $ wp mend undo 01KB2M6Q7T9S3V5X8Y0Z1A2B3C
	 *
	 * @when before_wp_load
	 */
	public function undo( $args, $options ) {
		$this->attempt( function () use ( $args, $options ) {
			$service  = $this->service( $options );
			$site     = $this->site( $service );
			$id       = self::whole( $service, $site, $args[0] );
			$incident = $service->get( '/v1/incidents/' . $id );
			foreach ( $incident['changes'] as $change ) {
				WP_CLI::log( Screen::printable( 'Done by wpmend: ' . $change['what'] ) );
			}
			WP_CLI::confirm( 'Take that back on ' . $site['domain'] . '? What was broken before may break again.', $options );
			$report = $service->ask( 'POST', '/v1/incidents/' . $id . '/undo', array() );
			foreach ( $report['changes'] as $change ) {
				WP_CLI::log( Screen::printable( 'Done: ' . $change['what'] ) );
				if ( '' !== $change['from'] ) {
					WP_CLI::log( Screen::printable( '  ' . $change['from'] ) );
					WP_CLI::log( Screen::printable( '  → ' . $change['to'] ) );
				}
			}
			foreach ( $report['notes'] as $note ) {
				WP_CLI::log( Screen::printable( 'Note: ' . $note ) );
			}
			if ( $report['left'] > 0 || ! $report['changes'] && ! $report['already'] ) {
				throw new Problem( sprintf( '%d changes could not be taken back', $report['left'] ), 'the notes above say why; ask the host\'s administrator' );
			}
			WP_CLI::success( $report['already'] ? 'There was nothing left to take back.' : 'Taken back. wp mend check says how the site is now.' );
		} );
	}

	/**
	 * Runs a command; a problem is shown with its remedy.
	 */
	private function attempt( $command ) {
		try {
			call_user_func( $command );
		} catch ( Problem $problem ) {
			WP_CLI::error( Screen::printable( $problem->getMessage() ), false );
			if ( '' !== $problem->remedy() ) {
				fwrite( STDERR, 'What to do: ' . Screen::printable( $problem->remedy() ) . "\n" );
			}
			WP_CLI::halt( $problem->getCode() );
		}
	}

	private function service( array $args ) {
		$socket = isset( $args['socket'] ) ? $args['socket'] : getenv( 'WPMEND_SOCKET' );
		return new Service( $socket ? $socket : Service::SOCKET );
	}

	private function job( Service $service ) {
		return new Job( $service, new Progress( (bool) WP_CLI::get_config( 'quiet' ) ) );
	}

	private function site( Service $service ) {
		if ( ! defined( 'ABSPATH' ) || ! file_exists( ABSPATH . 'wp-load.php' ) && ! file_exists( ABSPATH . 'wp-includes/version.php' ) ) {
			throw new Problem( 'this is no WordPress', 'cd into its folder, or give it: --path=<folder>', Problem::USAGE );
		}
		return Site::find( $service->all( '/v1/sites', 'sites', PHP_INT_MAX ), ABSPATH, (string) WP_CLI::get_config( 'url' ) );
	}

	private static function question( array $pages, array $args ) {
		$body = array();
		if ( $pages ) {
			$body['urls'] = array_values( $pages );
		}
		if ( isset( $args['cookie'] ) ) {
			$body['cookie'] = $args['cookie'];
		}
		return $body;
	}

	/**
	 * As wpmend's own exit status sees it: what was refused before PHP, or could not be
	 * judged, is no failure.
	 */
	private static function fails( $outcome ) {
		return ! in_array( $outcome, array( 'healthy', 'barred', 'unknown' ), true );
	}

	/**
	 * How the first cause is known and what helps, and the layers where they were asked for.
	 */
	private function why( Screen $screen, array $report ) {
		foreach ( array_slice( $report['causes'], 0, 1 ) as $cause ) {
			$screen->lines( array_unique( array_map( function ( $evidence ) {
				return '  ' . $evidence['source'] . ': ' . $evidence['text'];
			}, $cause['evidence'] ) ) );
			// What an owner has of these is called so.
			$advice = preg_replace( '/\bwpmend (check|bisect)\b/', 'wp mend $1', isset( $cause['advice'] ) ? $cause['advice'] : '' );
			$screen->lines( array_filter( explode( "\n", $advice ) ), 'What to do: ' );
		}
		foreach ( $report['layers'] as $layer ) {
			$proof = array_map( function ( $evidence ) {
				return $evidence['text'];
			}, $layer['proof'] );
			$screen->line( sprintf( '  %-12s %-10s %s', $layer['layer'], $layer['state'], implode( '; ', $proof ) ) );
		}
	}

	private static function seconds( $time ) {
		return preg_replace( '/\.[0-9]+/', '', $time );
	}

	private static function incidents_of( Service $service, array $site, $state, $most ) {
		return $service->all( '/v1/incidents?site=' . rawurlencode( $site['id'] ) . ( '' === $state ? '' : '&state=' . rawurlencode( $state ) ), 'incidents', $most );
	}

	/**
	 * The whole id of an incident of this site, of which the beginning was given.
	 */
	private static function whole( Service $service, array $site, $id ) {
		$found = array();
		foreach ( self::incidents_of( $service, $site, '', PHP_INT_MAX ) as $incident ) {
			if ( '' !== $id && 0 === strpos( $incident['id'], strtoupper( $id ) ) ) {
				$found[] = $incident['id'];
			}
		}
		if ( count( $found ) > 1 ) {
			throw new Problem( $id . ' is the beginning of ' . count( $found ) . ' incidents', 'give more of it: wp mend incidents', Problem::USAGE );
		}
		if ( ! $found ) {
			throw new Problem( 'no incident of ' . $site['domain'] . ' has the id ' . $id, 'wp mend incidents', Problem::USAGE );
		}
		return $found[0];
	}
}
