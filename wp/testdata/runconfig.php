// Runs each site folder named in stdin the way wp-load.php would, once for each
// of the values of the environment variable W, each time in a process of its
// own, and prints what is defined when wp-settings.php is loaded or PHP ends.
$_h_out = [];
foreach (json_decode(stream_get_contents(STDIN)) as $_h_dir) {
	foreach ([null, '1', '0', 'a'] as $_h_w) {
		$_h_file = tempnam('/tmp', 'wpcfg');
		$_h_pid = pcntl_fork();
		if ($_h_pid > 0) {
			pcntl_waitpid($_h_pid, $_h_status);
			$_h_out[$_h_dir][] = json_decode(file_get_contents($_h_file));
			unlink($_h_file);
			continue;
		}
		error_reporting(0);
		ini_set('display_errors', '0');
		if ($_h_w !== null) {
			putenv("W=$_h_w");
			$_SERVER['W'] = $_h_w;
		}
		chdir($_h_dir);
		function _h_dump($fatal = 'ended without WordPress') {
			$e = error_get_last();
			if ($fatal !== '' && $e !== null && ($e['type'] & (E_ERROR | E_PARSE | E_COMPILE_ERROR))) {
				$fatal = $e['message'] . ' line ' . $e['line'];
			}
			$all = [];
			foreach (get_defined_constants(true)['user'] ?? [] as $k => $v) {
				$all[$k] = is_scalar($v) || $v === null ? base64_encode((string) $v) : null;
			}
			$p = $GLOBALS['table_prefix'] ?? null;
			$p = is_scalar($p) || array_key_exists('table_prefix', $GLOBALS) && $p === null ? base64_encode((string) $p) : null;
			file_put_contents($GLOBALS['_h_file'], json_encode(['fatal' => $fatal, 'constants' => $all, 'prefix' => $p]));
			posix_kill(getmypid(), SIGKILL);
		}
		set_error_handler(function ($n, $m) { if (str_starts_with($m, 'Undefined constant')) { throw new Error($m); } return true; });
		register_shutdown_function('_h_dump');
		define('ABSPATH', $_h_dir . '/');
		require $_h_dir . '/wp-config.php';
		_h_dump('');
	}
}
echo "\n", json_encode($_h_out);
