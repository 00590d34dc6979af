<?php
/*
 * How a shadow's requests are kept from writing to the database, and why. With
 * components masked, what the others save is wrong for the live site: rewrite
 * rules without a neighbour's post types, a list of plugins without the masked
 * ones. So nothing is stored:
 *  - Options keep their old value (pre_update_option): no cache takes a new one.
 *  - Every other write through wpdb is exchanged, by its "query" filter, for a
 *    SELECT that changes nothing and succeeds. An INSERT counts one row, so that
 *    code which gives up after a failed insert goes on to where it breaks on the
 *    live site; but one of a post, comment, term, user or blog fails, since
 *    WordPress loads it at once and breaks if it is not there. UPDATE and DELETE
 *    count no row: loops that delete until nothing is left must end. Transactions
 *    and locks are left out as well: a request that hangs would make the live
 *    site wait.
 *  - What goes round wpdb on the same connection meets a read-only session and
 *    gets an error. Temporary tables work.
 * A transaction that is rolled back would be truer to the site, but keeps row
 * locks as long as the request hangs. Temporary copies of the tables would cost
 * as much as the tables are large. Connections that a plugin opens by itself
 * are out of reach.
 *
 * PHP 5.6 to 8.4.
 */
if (!class_exists('Wpmend_Writes', false)) {
    final class Wpmend_Writes
    {
        private static $session = null;
        private static $temporary = array();

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
            foreach (array('posts', 'comments', 'terms', 'term_taxonomy', 'users', 'links', 'blogs') as $name) {
                if (isset($GLOBALS['wpdb']->$name) && $GLOBALS['wpdb']->$name === $table) {
                    return ''; // wpdb answers false
                }
            }
            // An object cache that was let in must not be told of success.
            return Wpmend_Shadow::letsObjectCacheIn() ? 'SELECT 1 LIMIT 0' : 'SELECT 1';
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
    }
}
