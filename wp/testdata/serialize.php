<?php
// Prints base64 of serialised values, made up from the seed in stdin, one a line.
mt_srand((int) trim(fgets(STDIN)));
enum Suit: string { case Hearts = 'h'; }
class Plain { public $a; protected $b = 1; private $c = [2]; }
class Own { public $d = "x\0y}"; function __serialize(): array { return ['k' => $this->d, 3 => null]; } }

function text() {
	$s = '';
	for ($i = mt_rand(0, 12); $i > 0; $i--) {
		$s .= mt_rand(0, 3) ? chr(mt_rand(0, 255)) : ['é', '";', '{', '}', 's:1:"', '😀'][mt_rand(0, 5)];
	}
	return $s;
}

function value($depth) {
	switch (mt_rand(0, $depth > 4 ? 6 : 12)) {
		case 0: return null;
		case 1: return (bool) mt_rand(0, 1);
		case 2: return mt_rand(-1000000, 1000000);
		case 3: return [PHP_INT_MIN, PHP_INT_MAX, 0][mt_rand(0, 2)];
		case 4: return [1.5, -0.0, 1e300, 5e-324, INF, -INF, NAN, 0.1, 100000000000000000000.0][mt_rand(0, 8)];
		case 5: case 6: return text();
		case 7: return Suit::Hearts;
		case 8: $o = new Plain; $o->a = value($depth + 1); return $o;
		case 9: return new Own;
		case 10: $x = value($depth + 1); return [&$x, &$x];
		case 11: $o = new Plain; return [$o, $o, new ArrayObject([1, text()])];
	}
	$a = [];
	for ($i = mt_rand(0, 6); $i > 0; $i--) {
		$a[mt_rand(0, 1) ? text() : mt_rand(-5, 50)] = value($depth + 1);
	}
	return $a;
}

for ($i = 0; $i < 3000; $i++) {
	echo base64_encode(serialize(value(0))), "\n";
}
