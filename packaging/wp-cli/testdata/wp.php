<?php
/**
 * What `wp mend` needs of wp-cli, for tests on a machine without it: registering a command,
 * --path, --url, --quiet, options by the synopsis, words, Formatter. Written from
 * https://make.wordpress.org/cli/handbook/references/internal-api/. Like wp-cli it defines
 * ABSPATH and loads nothing of WordPress for a command that says `@when before_wp_load`.
 */

namespace WP_CLI {
	class Formatter {
		private $format = 'table';
		private $fields;
		private $field;

		public function __construct( &$args, $fields = null ) {
			$this->fields = $fields;
			foreach ( array( 'format', 'fields', 'field' ) as $name ) {
				if ( isset( $args[ $name ] ) ) {
					$this->$name = 'fields' === $name ? explode( ',', $args[ $name ] ) : $args[ $name ];
					unset( $args[ $name ] );
				}
			}
		}

		public function display_items( $items ) {
			if ( $this->field ) {
				echo implode( "\n", array_column( $items, $this->field ) ), $items ? "\n" : '';
				return;
			}
			if ( 'count' === $this->format || 'ids' === $this->format ) {
				echo 'count' === $this->format ? count( $items ) : implode( ' ', $items );
				return;
			}
			$rows = array();
			foreach ( $items as $item ) {
				$rows[] = array_merge( array_flip( $this->fields ), array_intersect_key( $item, array_flip( $this->fields ) ) );
			}
			switch ( $this->format ) {
				case 'json':
					echo json_encode( $rows );
					return;
				case 'yaml':
					echo "---\n";
					foreach ( $rows as $row ) {
						$before = '- ';
						foreach ( $row as $key => $value ) {
							echo $before, "\n  $key: ", json_encode( $value );
							$before = '';
						}
						echo "\n";
					}
					return;
				case 'csv':
					fputcsv( STDOUT, $this->fields, ',', '"', '\\' );
					foreach ( $rows as $row ) {
						fputcsv( STDOUT, $row, ',', '"', '\\' );
					}
					return;
			}
			foreach ( array_merge( array( $this->fields ), $rows ) as $row ) {
				echo '| ', implode( ' | ', $row ), " |\n";
			}
		}
	}
}

namespace {
	class WP_CLI {
		public static $commands = array();
		public static $config   = array(
			'path'  => null,
			'url'   => null,
			'quiet' => false,
		);

		public static function add_command( $name, $class, $args = array() ) {
			self::$commands[ $name ] = array( $class, $args );
		}

		public static function get_config( $key ) {
			return self::$config[ $key ];
		}

		public static function line( $text = '' ) {
			echo $text . "\n";
		}

		public static function log( $text ) {
			if ( ! self::$config['quiet'] ) {
				echo $text . "\n";
			}
		}

		public static function success( $text ) {
			self::log( 'Success: ' . $text );
		}

		public static function error( $text, $exit = true ) {
			fwrite( STDERR, "Error: $text\n" );
			if ( $exit ) {
				exit( is_int( $exit ) ? $exit : 1 );
			}
		}

		public static function confirm( $question, $args = array() ) {
			if ( empty( $args['yes'] ) ) {
				fwrite( STDOUT, $question . ' [y/n] ' );
				if ( 'y' !== strtolower( trim( (string) fgets( STDIN ) ) ) ) {
					exit;
				}
			}
		}

		public static function halt( $code ) {
			exit( $code );
		}
	}

	$words = array();
	$args  = array();
	foreach ( array_slice( $argv, 1 ) as $word ) {
		if ( ! preg_match( '/^--([a-z-]+)(?:=(.*))?$/s', $word, $found ) ) {
			$words[] = $word;
			continue;
		}
		$value = isset( $found[2] ) ? $found[2] : true;
		if ( array_key_exists( $found[1], WP_CLI::$config ) ) {
			WP_CLI::$config[ $found[1] ] = $value;
		} elseif ( 'require' === $found[1] ) {
			require $value;
		} else {
			$args[ $found[1] ] = $value;
		}
	}
	$folder = WP_CLI::$config['path'] ?: getcwd();
	define( 'ABSPATH', rtrim( $folder, '/' ) . '/' );

	list( $command, $sub ) = array_splice( $words, 0, 2 );
	list( $class, $how )   = WP_CLI::$commands[ $command ];
	$method                = new ReflectionMethod( $class, $sub );
	if ( false === strpos( $method->getDocComment(), '@when before_wp_load' ) ) {
		require ABSPATH . 'wp-load.php';
	}
	foreach ( array_keys( $args ) as $name ) {
		if ( ! preg_match( '/^\s*\* \[--' . $name . '[=\]]/m', $method->getDocComment() ) ) {
			WP_CLI::error( "Parameter errors:\n unknown --$name parameter" );
		}
	}
	$method->invoke( new $class(), $words, $args );
}
