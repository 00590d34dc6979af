<?php
/*
 * What the prepend answers by itself, instead of a page and before any plugin,
 * must-use plugin or theme loads: what WordPress knows of itself, or that options
 * were dropped from the persistent object cache. One line, marked with the
 * request's nonce, after whatever the site's own code has printed.
 *
 * PHP 5.6 to 8.4, WordPress 4.7 on.
 */
if (!class_exists('Wpmend_Answer', false)) {
    final class Wpmend_Answer
    {
        private static $nonce = '';
        private static $constants = array();
        private static $forget = array();
        private static $said = false;
        private static $starting = false;

        // Gives the hooks that it needs.
        public static function begin($nonce, array $constants, array $forget)
        {
            self::$nonce = $nonce;
            self::$constants = $constants;
            self::$forget = $forget;
            if (!self::isAsked()) {
                return array();
            }
            // A dead database, a broken wp-config.php: what is known is said.
            register_shutdown_function(array('Wpmend_Answer', 'end'));
            return array(
                'enable_maintenance_mode' => 1,
                'enable_wp_debug_mode_checks' => 1,
                'enable_loading_advanced_cache_dropin' => 1,
                'enable_loading_object_cache_dropin' => 1,
                'pre_option_siteurl' => 1,
                'muplugins_loaded' => 0,
            );
        }

        public static function isAsked()
        {
            return self::$constants !== array() || self::$forget !== array();
        }

        public static function say($text)
        {
            self::$said = true;
            while (ob_get_level() > 0 && @ob_end_clean()) {
                continue;
            }
            if (!headers_sent()) {
                header_remove();
                http_response_code(200);
                header('Content-Type: text/plain');
            }
            echo "\nwpmend:", self::$nonce, ':', $text, "\n";
        }

        public static function end()
        {
            if (self::$said) {
                return;
            }
            $error = error_get_last();
            $problem = is_array($error) && in_array($error['type'], array(E_ERROR, E_PARSE, E_CORE_ERROR, E_COMPILE_ERROR, E_USER_ERROR), true)
                ? $error['message'] : 'the request ended before the database was asked';
            self::say(self::$forget === array() ? self::inspection($problem) : 'not done: ' . self::line($problem));
        }

        public static function enable_maintenance_mode()
        {
            return false;
        }

        public static function enable_loading_advanced_cache_dropin()
        {
            return false;
        }

        // The first hook of every request. To be called as soon as $wpdb is there,
        // an inspection takes the object cache's place: a wp_cache_init that is there
        // already is called, and nothing loaded, in all versions.
        public static function enable_wp_debug_mode_checks($enabled)
        {
            if (self::$forget === array() && !function_exists('wp_cache_init')) {
                wp_using_ext_object_cache(true);
                function wp_cache_init()
                {
                    Wpmend_Answer::inspect();
                }
            }
            return $enabled;
        }

        public static function inspect()
        {
            self::say(self::inspection(''));
            exit;
        }

        // Since 5.8. WordPress starts the cache itself, one call below this one.
        public static function enable_loading_object_cache_dropin()
        {
            if (self::$forget === array()) {
                return false;
            }
            if (!self::$starting) {
                self::$starting = true;
                wp_start_object_cache();
                self::forget();
            }
            return true;
        }

        // Before 5.8 the first chances after the cache has started.
        public static function pre_option_siteurl($value)
        {
            if (self::$forget !== array() && isset($GLOBALS['wp_object_cache'])) {
                self::forget();
            }
            return $value;
        }

        public static function muplugins_loaded()
        {
            if (self::$forget !== array()) {
                self::forget();
            }
        }

        private static function forget()
        {
            $left = array();
            if (wp_using_ext_object_cache()) {
                foreach (self::$forget as $name) {
                    if (!self::drop($name)) {
                        $left[] = $name;
                    }
                }
                if (function_exists('wp_cache_close')) {
                    wp_cache_close();
                }
            }
            $problem = self::isInPoolMemory() ? 'the cache is in the memory of the live pool (APCu)' : '';
            if ($left !== array()) {
                $problem = 'still there: ' . implode(' ', $left);
            }
            self::say($problem === '' ? 'forgotten' : 'not done: ' . self::line($problem));
            exit;
        }

        // Each with the lists in which WordPress keeps all options, and all that do
        // not exist.
        private static function drop($name)
        {
            $pair = explode(':', $name, 2);
            $blog = defined('BLOG_ID_CURRENT_SITE') ? (int) BLOG_ID_CURRENT_SITE : 1;
            if (count($pair) === 2 && $pair[0] === 'network' && is_multisite()) {
                $network = defined('SITE_ID_CURRENT_SITE') ? (int) SITE_ID_CURRENT_SITE : 1;
                return self::dropKeys('site-options', array($network . ':' . $pair[1], $network . ':notoptions'));
            }
            if (count($pair) === 2 && strncmp($pair[0], 'blog-', 5) === 0) {
                $blog = (int) substr($pair[0], 5);
                $name = $pair[1];
            }
            if (is_multisite()) {
                if (!function_exists('wp_cache_switch_to_blog')) {
                    return false;
                }
                wp_cache_switch_to_blog($blog);
            }
            return self::dropKeys('options', array($name, 'alloptions', 'notoptions'));
        }

        private static function dropKeys($group, array $keys)
        {
            $dropped = true;
            foreach ($keys as $key) {
                wp_cache_delete($key, $group);
                $dropped = wp_cache_get($key, $group, true) === false && $dropped;
            }
            return $dropped;
        }

        // A shadow has its own master, and APCu's memory is a master's.
        private static function isInPoolMemory()
        {
            $file = WP_CONTENT_DIR . '/object-cache.php';
            return wp_using_ext_object_cache() && extension_loaded('apcu')
                && strpos((string) @file_get_contents($file), 'apcu_') !== false;
        }

        private static function inspection($problem)
        {
            $said = array(
                'Constants' => new stdClass(),
                'PHP' => PHP_VERSION,
                'Version' => isset($GLOBALS['wp_version']) ? (string) $GLOBALS['wp_version'] : '',
                'Prefix' => isset($GLOBALS['table_prefix']) ? (string) $GLOBALS['table_prefix'] : '',
                'Config' => self::config(),
            );
            foreach (self::$constants as $name) {
                if (defined($name) && (is_scalar(constant($name)) || constant($name) === null)) {
                    $text = (string) constant($name);
                    $said['Constants']->$name = rawurlencode(in_array($name, array('ABSPATH', 'WP_CONTENT_DIR', 'WP_PLUGIN_DIR', 'WPMU_PLUGIN_DIR'), true)
                        ? self::path($text) : $text);
                }
            }
            $multisite = function_exists('is_multisite') && is_multisite();
            if ($problem === '') {
                $said = array_merge($said, self::stored($multisite));
                $problem = $GLOBALS['wpdb']->last_error;
            }
            $said['Problem'] = self::line($problem);
            foreach ($said as $key => $value) {
                if (is_string($value)) {
                    $said[$key] = rawurlencode($value);
                }
            }
            $said['Multisite'] = $multisite;
            return json_encode($said);
        }

        // As serialised: what reads it makes no objects.
        private static function stored($multisite)
        {
            $wpdb = $GLOBALS['wpdb'];
            $wpdb->suppress_errors();
            $found = array();
            $names = array('active_plugins' => 'Plugins', 'template' => 'Template', 'stylesheet' => 'Stylesheet');
            $rows = $wpdb->get_results("SELECT option_name, option_value FROM {$wpdb->base_prefix}options"
                . " WHERE option_name IN ('active_plugins', 'template', 'stylesheet')");
            foreach ((array) $rows as $row) {
                $found[$names[$row->option_name]] = (string) $row->option_value;
            }
            if ($multisite && $wpdb->last_error === '') {
                $network = defined('SITE_ID_CURRENT_SITE') ? (int) SITE_ID_CURRENT_SITE : 1;
                $found['Network'] = (string) $wpdb->get_var("SELECT meta_value FROM {$wpdb->base_prefix}sitemeta"
                    . " WHERE meta_key = 'active_sitewide_plugins' AND site_id = $network ORDER BY meta_id DESC LIMIT 1");
            }
            return $found;
        }

        // The one that wp-load.php takes.
        private static function config()
        {
            foreach (defined('ABSPATH') ? array(ABSPATH, dirname(ABSPATH) . '/') : array() as $dir) {
                $file = realpath($dir . 'wp-config.php');
                if ($file !== false && in_array($file, get_included_files(), true)) {
                    return $file;
                }
            }
            return '';
        }

        // Without "//", "/./" and "/../". Only as much of it is resolved as must be:
        // a link in the rest keeps its name.
        private static function path($path)
        {
            if (preg_match('~^(.*/\.\.)(/.*)?$~s', $path, $m)) {
                $real = realpath($m[1]);
                if ($real !== false) {
                    $path = $real . (isset($m[2]) ? $m[2] : '');
                }
            }
            return preg_replace('~/(?:\.?/)+~', '/', $path);
        }

        private static function line($text)
        {
            return substr((string) preg_replace('~[\x00-\x1f\x7f]+~', ' ', (string) $text), 0, 1000);
        }
    }
}
