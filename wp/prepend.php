<?php
/*
 * The masking prepend of wpmend. It runs as the site's user, before WordPress,
 * in a private copy of the site's pool only, and makes that copy answer as if
 * some components were switched off, without writing anything anywhere.
 *
 * PHP 5.6 to 8.4. No constants (Bedrock's Config::define throws if one exists), no
 * output, no global variable but $wp_filter, which WordPress honours
 * (WP_Hook::build_preinitialized_hooks, since 4.7).
 *
 * Why writes are refused the way they are. With components masked, what the
 * others save is wrong for the live site: rewrite rules without a neighbour's
 * post types, a list of plugins without the masked ones. So nothing is stored:
 *  - Options keep their old value (pre_update_option): no cache takes a new one.
 *  - Every other write through wpdb is exchanged, by its "query" filter, for a
 *    SELECT that changes nothing and succeeds. An INSERT counts one row, so that
 *    code which gives up after a failed insert goes on to where it breaks on the
 *    live site; but one of a post, comment, term or user fails, since WordPress
 *    loads it at once and breaks if it is not there. UPDATE and DELETE count no
 *    row: loops that delete until nothing is left must end. Transactions and
 *    locks are left out as well: a request that hangs would make the live site
 *    wait.
 *  - What goes round wpdb on the same connection meets a read-only session and
 *    gets an error. Temporary tables work.
 * A transaction that is rolled back would be truer to the site, but keeps row
 * locks as long as the request hangs. Temporary copies of the tables would cost
 * as much as the tables are large. Connections that a plugin opens by itself
 * are out of reach.
 */
if (!class_exists('Wpmend_Shadow', false)) {
    final class Wpmend_Shadow
    {
        private static $pool = array(/*POOL*/);
        private static $gateway = '';
        private static $masked = array();
        private static $fallback = '';
        private static $template = false;
        private static $session = null;
        private static $temporary = array();

        public static function begin()
        {
            foreach (explode(',', self::take('WPMEND_MASK')) as $word) {
                $pair = explode(':', $word, 2);
                if (count($pair) === 2) {
                    self::$masked[$pair[0]][rawurldecode($pair[1])] = true;
                }
            }
            self::$gateway = self::take('WPMEND_PREPEND');
            if (isset(self::$masked['fallback'])) {
                $names = array_keys(self::$masked['fallback']);
                self::$fallback = (string) $names[0];
            }
            foreach (array(
                // Deactivated for this request: as if not in the lists.
                'option_active_plugins' => 1,
                'site_option_active_sitewide_plugins' => 1,
                'option_template' => 1,
                'option_stylesheet' => 1,
                'template_include' => 1,
                'enable_loading_advanced_cache_dropin' => 1,
                'enable_loading_object_cache_dropin' => 1,
                // Nothing is stored.
                'pre_update_option' => 3,
                'query' => 1,
                // Nothing is started: no cron (the transient is its lock, for WordPress
                // before 5.1), no mail (before 5.7 only an empty list of recipients
                // stops it), no recovery mode with its key and its mail.
                'pre_get_ready_cron_jobs' => 1,
                'pre_transient_doing_cron' => 1,
                'wp_mail' => 1,
                'pre_wp_mail' => 1,
                'is_protected_endpoint' => 1,
            ) as $hook => $arguments) {
                $GLOBALS['wp_filter'][$hook][PHP_INT_MAX][] = array(
                    'function' => array('Wpmend_Shadow', $hook),
                    'accepted_args' => $arguments,
                );
            }
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
            return self::$template || self::hides('theme', $theme) ? $template : $theme;
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

        private static function letsObjectCacheIn()
        {
            return self::hides('allow', 'object-cache.php') && !self::hides('drop-in', 'object-cache.php');
        }

        public static function pre_update_option($value, $option, $old)
        {
            return $old;
        }

        public static function query($sql)
        {
            self::makeReadOnly();
            // Comments that MySQL executes (/*! and /*M!) are not skipped.
            if (!preg_match('~^(?:\s|/\*(?!M?!).*?\*/|--\s[^\n]*\n|#[^\n]*\n|\()*+([a-z]+)~is', (string) $sql, $m)) {
                return $sql === '' || $sql === null ? $sql : 'SELECT 1 LIMIT 0';
            }
            switch (strtoupper($m[1])) {
                case 'SELECT':
                case 'WITH':
                    return preg_replace('~\s(?:FOR\s+(?:UPDATE|SHARE)|LOCK\s+IN\s+SHARE\s+MODE)\b[\w\s`.,]*+;?\s*$~i', '', $sql);
                case 'SHOW':
                case 'DESCRIBE':
                case 'DESC':
                case 'EXPLAIN':
                case 'USE':
                case 'VALUES':
                case 'TABLE':
                case 'DO':
                    return $sql;
                case 'SET':
                    return preg_match('~transaction|autocommit|read_only|global|persist~i', $sql) ? 'SELECT 1 LIMIT 0' : $sql;
                case 'CREATE':
                case 'DROP':
                    if (!preg_match('~^\s*(?:CREATE|DROP)\s+TEMPORARY\s+TABLE\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?`?(\w+)~i', $sql, $m)) {
                        return 'SELECT 1 LIMIT 0';
                    }
                    self::$temporary[$m[1]] = true;
                    // Only this one statement may write: code that goes round wpdb may be next.
                    self::run('SET SESSION TRANSACTION READ WRITE');
                    $done = self::run($sql);
                    self::run('SET SESSION TRANSACTION READ ONLY');
                    return $done ? 'SELECT 1' : $sql;
                case 'INSERT':
                case 'REPLACE':
                    return self::insert($sql);
            }
            return 'SELECT 1 LIMIT 0';
        }

        private static function insert($sql)
        {
            $table = preg_match('~(?:INSERT|REPLACE)\s+(?:(?:LOW_PRIORITY|DELAYED|HIGH_PRIORITY|IGNORE|INTO)\s+)*+`?(\w+)~i', $sql, $m) ? $m[1] : '';
            if (isset(self::$temporary[$table])) {
                return $sql;
            }
            foreach (array('posts', 'comments', 'terms', 'term_taxonomy', 'users', 'links') as $name) {
                if (isset($GLOBALS['wpdb']->$name) && $GLOBALS['wpdb']->$name === $table) {
                    return ''; // wpdb answers false
                }
            }
            // An object cache that was let in must not be told of success.
            return self::letsObjectCacheIn() ? 'SELECT 1 LIMIT 0' : 'SELECT 1';
        }

        private static function makeReadOnly()
        {
            $wpdb = isset($GLOBALS['wpdb']) ? $GLOBALS['wpdb'] : null;
            $session = is_object($wpdb) && isset($wpdb->dbh) ? $wpdb->dbh : null;
            if ($session instanceof mysqli && $session !== self::$session) {
                self::$session = $session;
                self::run('SET SESSION TRANSACTION READ ONLY');
            }
        }

        // Behind wpdb's back, so that it counts and logs nothing. Where a proxy does
        // not know the statement, the filter alone must do.
        private static function run($sql)
        {
            try {
                return self::$session instanceof mysqli && @mysqli_query(self::$session, $sql);
            } catch (Exception $e) {
                return false;
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
            $locked = $gateway[0] === 'admin' || isset(self::$pool['admin']);
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
