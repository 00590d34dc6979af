<?php
// A persistent object cache for tests: each value is a file in the folder that
// the pool names.
class WP_Object_Cache {
	private $dir;
	private $blog = 1;
	private $global = array();
	private $passing = array();
	private $seen = array();

	public function __construct() {
		$this->dir = getenv('WPTEST_OUT') . '/cache';
		@mkdir($this->dir);
		touch(getenv('WPTEST_OUT') . '/object-cache');
	}
	private function file($key, $group) {
		$group = $group === '' ? 'default' : $group;
		return rawurlencode((isset($this->global[$group]) ? '' : $this->blog . ':') . $group . ':' . $key);
	}
	public function share($groups) { $this->global += array_flip((array) $groups); }
	public function pass($groups) { $this->passing += array_flip((array) $groups); }
	public function blog($id) { $this->blog = (int) $id; }
	public function get($key, $group, $force, &$found) {
		$file = $this->file($key, $group);
		if ($force || !array_key_exists($file, $this->seen)) {
			$stored = @file_get_contents($this->dir . '/' . $file);
			if ($stored === false) {
				$found = false;
				return false;
			}
			$this->seen[$file] = unserialize($stored);
		}
		$found = true;
		return is_object($this->seen[$file]) ? clone $this->seen[$file] : $this->seen[$file];
	}
	public function set($key, $value, $group) {
		$file = $this->file($key, $group);
		$this->seen[$file] = is_object($value) ? clone $value : $value;
		if (!isset($this->passing[$group])) {
			file_put_contents($this->dir . '/' . $file, serialize($value));
		}
		return true;
	}
	public function delete($key, $group) {
		$file = $this->file($key, $group);
		unset($this->seen[$file]);
		return @unlink($this->dir . '/' . $file);
	}
}
function wp_cache_init() { $GLOBALS['wp_object_cache'] = new WP_Object_Cache(); }
function wp_cache_get($key, $group = '', $force = false, &$found = null) { return $GLOBALS['wp_object_cache']->get($key, $group, $force, $found); }
function wp_cache_set($key, $value, $group = '', $expire = 0) { return $GLOBALS['wp_object_cache']->set($key, $value, $group); }
function wp_cache_add($key, $value, $group = '', $expire = 0) {
	wp_cache_get($key, $group, false, $found);
	return !$found && wp_cache_set($key, $value, $group);
}
function wp_cache_replace($key, $value, $group = '', $expire = 0) {
	wp_cache_get($key, $group, false, $found);
	return $found && wp_cache_set($key, $value, $group);
}
function wp_cache_incr($key, $by = 1, $group = '') {
	$value = max(0, (int) wp_cache_get($key, $group) + $by);
	wp_cache_set($key, $value, $group);
	return $value;
}
function wp_cache_decr($key, $by = 1, $group = '') { return wp_cache_incr($key, -$by, $group); }
function wp_cache_delete($key, $group = '') { return $GLOBALS['wp_object_cache']->delete($key, $group); }
function wp_cache_flush() { return true; }
function wp_cache_close() { return true; }
function wp_cache_switch_to_blog($id) { $GLOBALS['wp_object_cache']->blog($id); }
function wp_cache_add_global_groups($groups) { $GLOBALS['wp_object_cache']->share($groups); }
function wp_cache_add_non_persistent_groups($groups) { $GLOBALS['wp_object_cache']->pass($groups); }
