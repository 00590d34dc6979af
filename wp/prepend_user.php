<?php
/*
 * A request as a user of the site, without a password: cookies are minted in
 * the request itself, for a session that is known to this request alone.
 * Nothing is stored and no cookie is sent, so they are worth nothing elsewhere:
 * since WordPress 4.0 a cookie needs a stored session.
 *
 * PHP 5.6 to 8.4.
 */
if (!class_exists('Wpmend_User', false)) {
    final class Wpmend_User
    {
        // What page caches look for long before WordPress knows its cookies' names
        // (COOKIEHASH comes from the database).
        const SIGN = 'wordpress_logged_in_wpmend';

        private static $login = '';
        private static $id = 0;
        private static $sessions = array();

        public static function begin($login)
        {
            self::$login = $login;
            $_COOKIE[self::SIGN] = 'wpmend';
        }

        // Before any plugin's own: pluggable.php is loaded just before it.
        public static function plugins_loaded()
        {
            unset($_COOKIE[self::SIGN]);
            $user = get_user_by('login', self::$login);
            if (!$user) {
                Wpmend_Answer::say('no such user');
                exit;
            }
            self::$id = (int) $user->ID;
            $token = wp_generate_password(43, false, false);
            $end = time() + 3600;
            // As WP_Session_Tokens::hash_token does.
            $verifier = function_exists('hash') ? hash('sha256', $token) : sha1($token);
            self::$sessions = array($verifier => array('expiration' => $end, 'login' => time()));
            foreach (array('auth' => 'AUTH_COOKIE', 'secure_auth' => 'SECURE_AUTH_COOKIE', 'logged_in' => 'LOGGED_IN_COOKIE') as $scheme => $name) {
                if (defined($name)) {
                    $_COOKIE[constant($name)] = wp_generate_auth_cookie(self::$id, $end, $scheme, $token);
                }
            }
        }

        public static function determine_current_user($id)
        {
            return self::$id > 0 ? self::$id : $id;
        }

        // A plugin's own sessions could not know ours.
        public static function session_token_manager($class)
        {
            return 'WP_User_Meta_Session_Tokens';
        }

        public static function get_user_metadata($value, $id, $key)
        {
            return $key === 'session_tokens' && self::$id > 0 && (int) $id === self::$id ? array(self::$sessions) : $value;
        }

        // Otherwise REST wants the nonce of a page that this request has not seen,
        // and makes it nobody's.
        public static function rest_authentication_errors($result)
        {
            return $result === null && self::$id > 0 ? true : $result;
        }
    }
}
