<?php

// What composer's autoloader would find: the three classes and functions that
// config/application.php uses, with the behaviour that matters here.

namespace Roots\WPConfig {
	class Config {
		protected static $map = array();

		public static function define( $key, $value ) {
			if ( defined( $key ) ) {
				throw new \RuntimeException( "Aborted trying to redefine constant '$key'. `define('$key', ...)` has already been occurred elsewhere." );
			}
			self::$map[ $key ] = $value;
		}

		public static function get( $key ) {
			if ( ! array_key_exists( $key, self::$map ) ) {
				throw new \RuntimeException( "'$key' has not been defined. Use `Config::define('$key', ...)`." );
			}
			return self::$map[ $key ];
		}

		public static function apply() {
			foreach ( self::$map as $key => $value ) {
				if ( defined( $key ) && constant( $key ) !== $value ) {
					throw new \RuntimeException( "Aborted trying to redefine constant '$key'." );
				}
				defined( $key ) || define( $key, $value );
			}
		}
	}
}

namespace Env {
	function env( $name ) {
		$value = $_ENV[ $name ] ?? $_SERVER[ $name ] ?? getenv( $name );
		if ( false === $value ) {
			return null;
		}
		switch ( strtolower( $value ) ) {
			case 'true':
				return true;
			case 'false':
				return false;
			case 'null':
				return null;
		}
		return $value;
	}
}

namespace Dotenv {
	class Dotenv {
		private $dir;

		public static function createImmutable( $dir ) {
			$d = new self();
			$d->dir = $dir;
			return $d;
		}

		// load keeps what the environment has already.
		public function load() {
			foreach ( file( $this->dir . '/.env' ) as $line ) {
				if ( ! preg_match( '/^([A-Z_]+)=([\'"]?)(.*)\2\s*$/', $line, $m ) || false !== getenv( $m[1] ) ) {
					continue;
				}
				$value = "'" === $m[2] ? $m[3] : preg_replace_callback(
					'/\$\{([A-Z_]+)\}/',
					function ( $name ) {
						return $_ENV[ $name[1] ] ?? '';
					},
					$m[3]
				);
				$_ENV[ $m[1] ] = $value;
				$_SERVER[ $m[1] ] = $value;
			}
		}

		public function required( $names ) {
			foreach ( $names as $name ) {
				if ( null === \Env\env( $name ) ) {
					throw new \RuntimeException( "One or more environment variables failed assertions: $name is missing." );
				}
			}
		}
	}
}
