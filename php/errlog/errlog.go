// Package errlog reads what PHP and PHP-FPM write down: FPM's own log, its slow log, PHP's error log, and the error
// text that a worker sends to its web server. It also opens such files and takes the part of them that is new.
//
// It knows the formats of PHP 5.4 to 8.5 (php-src main/main.c, Zend/zend_exceptions.c, sapi/fpm/fpm/zlog.c,
// fpm_children.c, fpm_request.c and fpm_php_trace.c). It refuses to know what a record proves. All of this text can
// be forged: PHP code chooses its messages, newlines included, and logs lie in folders that a customer owns. The
// parsers give it structure, never credence.
//
// Main invariant: any bytes are taken without failing and with bounded memory. What is no record is passed over, a
// line of any length keeps its first 64 KiB, and a record cut off by rotation gives what is left of it.
//
// A record that spans lines ends where the next one begins. So two logs, each of whole lines and beginning with a
// record, read one after the other give the records that they give apart.
package errlog

// maxRecord is how many bytes of one record are kept, joined lines included. PHP's own limit is log_errors_max_len,
// FPM's is log_limit, each 1024 by default.
const maxRecord = 64 << 10

// Frame is one call of a stack. File is empty and Line 0 where the caller is PHP itself ("[internal function]") and
// for "{main}". Func has no arguments: they can hold secrets.
type Frame struct {
	Func, File string
	Line       int
}
