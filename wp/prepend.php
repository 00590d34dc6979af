<?php
/*
 * The masking prepend of wpmend. It runs as the site's user, before WordPress,
 * in a private copy of the site's pool only, and makes that copy answer as if
 * some components were switched off, without writing anything anywhere.
 *
 * PHP 5.6 to 8.4. No constants (Bedrock's Config::define throws if one exists), no
 * output, no global variable but $wp_filter, which WordPress honours
 * (WP_Hook::build_preinitialized_hooks, since 4.7).
 */
if (!class_exists('Wpmend_Shadow', false)) {
    final class Wpmend_Shadow
    {
        private static $pool = array(/*POOL*/);
        private static $gateway = '';
        private static $masked = array();
        private static $fallback = '';
        // Of the blog that was asked last: its theme is hidden, or its child is.
        private static $template = false;
        private static $stylesheet = false;
        private static $keptOut = false;

        public static function begin()
        {
            foreach (explode(',', self::take('WPMEND_MASK')) as $word) {
                $pair = explode(':', $word, 2);
                if (count($pair) === 2) {
                    self::$masked[$pair[0]][rawurldecode($pair[1])] = true;
                }
            }
            self::$gateway = self::take('WPMEND_PREPEND');
            self::$fallback = self::word('fallback');
            if (self::word('as-user') !== '') {
                Wpmend_User::begin(self::word('as-user'));
                self::hook('Wpmend_User', array(
                    'determine_current_user' => 1,
                    'session_token_manager' => 1,
                    'get_user_metadata' => 3,
                ));
                self::hook('Wpmend_User', array('plugins_loaded' => 0, 'rest_authentication_errors' => 1), ~PHP_INT_MAX);
            }
            if (self::hides('hold', 'http')) {
                self::hook(__CLASS__, array('pre_http_request' => 1));
            }
            self::hook('Wpmend_Writes', array('pre_update_option' => 3, 'query' => 1));
            self::hook(__CLASS__, array(
                // Deactivated for this request: as if not in the lists.
                'option_active_plugins' => 1,
                'site_option_active_sitewide_plugins' => 1,
                'option_template' => 1,
                'option_stylesheet' => 1,
                'option_template_root' => 1,
                'option_stylesheet_root' => 1,
                'template_include' => 1,
                'enable_loading_advanced_cache_dropin' => 1,
                'enable_loading_object_cache_dropin' => 1,
                'enable_wp_debug_mode_checks' => 1,
                'incompatible_sql_modes' => 1,
                'muplugins_loaded' => 0,
                // Nothing is started: no cron (the transient is its lock, for WordPress
                // before 5.1), no mail (before 5.7 only an empty list of recipients
                // stops it), no recovery mode with its key and its mail.
                'pre_get_ready_cron_jobs' => 1,
                'pre_transient_doing_cron' => 1,
                'wp_mail' => 1,
                'pre_wp_mail' => 1,
                'is_protected_endpoint' => 1,
            ));
            // Last, as it has the last word on what is loaded.
            self::hook('Wpmend_Answer', Wpmend_Answer::begin(self::word('nonce'), self::words('ask'), self::words('forget')));
        }

        private static function hook($class, array $hooks, $priority = PHP_INT_MAX)
        {
            foreach ($hooks as $hook => $arguments) {
                $GLOBALS['wp_filter'][$hook][$priority][] = array(
                    'function' => array($class, $hook),
                    'accepted_args' => $arguments,
                );
            }
        }

        private static function words($kind)
        {
            return isset(self::$masked[$kind]) ? array_map('strval', array_keys(self::$masked[$kind])) : array();
        }

        private static function word($kind)
        {
            $words = self::words($kind);
            return $words === array() ? '' : $words[0];
        }

        // The site must not act on our parameters. (getenv by name still finds
        // them: FPM reads its request for that, which nothing here can change.)
        private static function take($name)
        {
            $value = isset($_SERVER[$name]) ? $_SERVER[$name] : '';
            if ($value === '' && function_exists('getenv')) {
                $value = (string) getenv($name);
            }
            unset($_SERVER[$name], $_ENV[$name]);
            return $value;
        }

        private static function hides($kind, $path)
        {
            $names = explode('/', (string) $path, 2);
            return isset(self::$masked[$kind][$names[0]]);
        }

        public static function option_active_plugins($files)
        {
            if (!is_array($files)) {
                return $files;
            }
            foreach ($files as $i => $file) {
                if (is_string($file) && self::hides('plugin', $file)) {
                    unset($files[$i]);
                }
            }
            return array_values($files);
        }

        public static function site_option_active_sitewide_plugins($files)
        {
            if (is_array($files)) {
                foreach (array_keys($files) as $file) {
                    if (self::hides('plugin', $file)) {
                        unset($files[$file]);
                    }
                }
            }
            return $files;
        }

        public static function option_template($theme)
        {
            self::$template = self::hides('theme', $theme);
            if (!self::$template) {
                return $theme;
            }
            return self::$fallback !== '' && !self::hides('theme', self::$fallback) ? self::$fallback : 'wpmend-no-theme';
        }

        // A child falls to its parent, and with its parent.
        public static function option_stylesheet($theme)
        {
            $template = get_option('template');
            self::$stylesheet = self::$template || self::hides('theme', $theme);
            return self::$stylesheet ? $template : $theme;
        }

        // With several folders of themes WordPress stores which one the theme is in:
        // for another theme it must look again.
        public static function option_template_root($root)
        {
            get_option('template');
            return self::$template ? '' : $root;
        }

        public static function option_stylesheet_root($root)
        {
            get_option('stylesheet');
            return self::$stylesheet ? '' : $root;
        }

        // Without any theme WordPress answers with nothing, which would read as a
        // failure: a plain page lets all that is not the theme speak.
        public static function template_include($file)
        {
            if (get_option('template') !== 'wpmend-no-theme') {
                return $file;
            }
            echo '<!DOCTYPE html><html><head><title></title>';
            wp_head();
            echo '</head><body>';
            while (have_posts()) {
                the_post();
                the_content();
            }
            wp_footer();
            echo '</body></html>';
            return '';
        }

        public static function enable_loading_advanced_cache_dropin($enabled)
        {
            return $enabled && !self::hides('drop-in', 'advanced-cache.php');
        }

        // A persistent cache would carry what is computed here to the live site.
        public static function enable_loading_object_cache_dropin($enabled)
        {
            return $enabled && self::letsObjectCacheIn();
        }

        public static function letsObjectCacheIn()
        {
            return self::hides('allow', 'object-cache.php') && !self::hides('drop-in', 'object-cache.php');
        }

        // WordPress before 5.8 has no such filter. A cache that is there already is not
        // loaded, though taken for the drop-in.
        public static function enable_wp_debug_mode_checks($enabled)
        {
            // A network's wants functions.php, which is not there before the database is.
            if (!is_multisite()) {
                self::keepObjectCacheOut();
            }
            return $enabled;
        }

        public static function incompatible_sql_modes($modes)
        {
            self::keepObjectCacheOut();
            return $modes;
        }

        private static function keepObjectCacheOut()
        {
            if (version_compare($GLOBALS['wp_version'], '5.8', '<') && !self::letsObjectCacheIn() && !Wpmend_Answer::isAsked() && !function_exists('wp_cache_init')) {
                self::$keptOut = true;
                require_once ABSPATH . WPINC . '/cache.php';
                wp_cache_init();
            }
        }

        public static function muplugins_loaded()
        {
            if (self::$keptOut) {
                wp_using_ext_object_cache(false);
            }
        }

        public static function pre_get_ready_cron_jobs()
        {
            return array();
        }

        public static function pre_transient_doing_cron()
        {
            return sprintf('%.22F', microtime(true));
        }

        public static function wp_mail($mail)
        {
            if (is_array($mail)) {
                $mail['to'] = array();
            }
            return $mail;
        }

        public static function pre_wp_mail()
        {
            return true;
        }

        public static function pre_http_request($answer)
        {
            return $answer === false ? new WP_Error('http_request_not_executed', 'held back by wpmend') : $answer;
        }

        public static function is_protected_endpoint()
        {
            return false;
        }

        // The auto_prepend_file that would apply were ours not in its place, '' if
        // none or if it is masked. The order is PHP's own, as measured on PHP 8.2: a
        // gateway's PHP_VALUE beats the pool's php_admin_value, and then .user.ini
        // too; otherwise .user.ini beats PHP_VALUE.
        public static function prepend()
        {
            $gateway = explode(':', self::$gateway, 2);
            $locked = $gateway[0] === 'admin' || isset(self::$pool['admin']) || Wpmend_Answer::isAsked();
            $file = $locked ? null : self::userIni();
            if ($file === null && count($gateway) === 2) {
                $file = $gateway[1];
            }
            foreach (array('admin', 'value') as $key) {
                if ($file === null && isset(self::$pool[$key])) {
                    $file = self::$pool[$key];
                }
            }
            if ($file === null) {
                $file = (string) get_cfg_var('auto_prepend_file');
            }
            // Who only asks WordPress wants what the host sets for all its sites, which may
            // set up the environment, if it is there; not the site's own, a firewall.
            if (Wpmend_Answer::isAsked() && $file !== '' && stream_resolve_include_path($file) === false) {
                return '';
            }
            // Ourselves: set from outside the pool (php -d).
            return $file === __FILE__ || self::hides('prepend', basename($file)) ? '' : $file;
        }

        // What the .user.ini files from the document root down to the script's
        // folder say, the last one first; null if they do not say.
        private static function userIni()
        {
            $name = (string) ini_get('user_ini.filename');
            if ($name === '' || empty($_SERVER['SCRIPT_FILENAME']) || empty($_SERVER['DOCUMENT_ROOT'])) {
                return null;
            }
            $dir = dirname($_SERVER['SCRIPT_FILENAME']);
            $top = rtrim($_SERVER['DOCUMENT_ROOT'], '/');
            // A script outside of the document root has its own folder's only.
            if (strpos($dir . '/', $top . '/') !== 0) {
                $top = $dir;
            }
            while (true) {
                $file = self::autoPrepend($dir . '/' . $name);
                if ($file !== null || strlen($dir) <= max(1, strlen($top))) {
                    return $file;
                }
                $dir = dirname($dir);
            }
        }

        private static function autoPrepend($ini)
        {
            if (!@is_readable($ini) || !is_file($ini)) {
                return null;
            }
            if (function_exists('parse_ini_file')) {
                $set = @parse_ini_file($ini);
                return is_array($set) && isset($set['auto_prepend_file']) ? (string) $set['auto_prepend_file'] : null;
            }
            $text = (string) @file_get_contents($ini);
            if (!preg_match_all('~^\s*auto_prepend_file\s*=\s*(["\']?)([^"\'\r\n;]*)\1~m', $text, $m)) {
                return null;
            }
            return trim(end($m[2]));
        }
    }
    Wpmend_Shadow::begin();
}
// Here, not in a function: it expects the global scope. A missing file must stop
// the request, as it does without us.
if (Wpmend_Shadow::prepend() !== '') {
    require Wpmend_Shadow::prepend();
}
