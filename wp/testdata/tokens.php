<?php
// Splits each base64 line of stdin with PHP's own scanner and prints, as JSON,
// [kind, start, end, line] in the terms of lex.go.
const HTML = 0, OPEN = 1, OPEN_ECHO = 2, CLOSE = 4, COMMENT = 5, SINGLE = 6, DOUBLE = 7, HEREDOC = 8, NOWDOC = 9,
	COMPUTED = 10, NUMBER = 11, NAME = 12, VARIABLE = 13, OP = 14;

function split(string $src): array {
	$out = [];
	$tokens = token_get_all($src);
	$pos = 0;
	$line = 1;
	$n = count($tokens);
	$text = fn($i) => is_array($tokens[$i]) ? $tokens[$i][1] : $tokens[$i];
	$id = fn($i) => is_array($tokens[$i]) ? $tokens[$i][0] : null;
	// end of the string that token $i opens
	$string_end = function ($i) use (&$string_end, $tokens, $n, $text, $id) {
		$close = $id($i) === T_START_HEREDOC ? null : substr($text($i), -1);
		for ($i++; $i < $n; $i++) {
			if ($close === null ? $id($i) === T_END_HEREDOC : ($id($i) === null && $text($i) === $close)) {
				return $i;
			}
			if ($id($i) === T_CURLY_OPEN || $id($i) === T_DOLLAR_OPEN_CURLY_BRACES) {
				for ($depth = 1, $i++; $i < $n && $depth > 0; $i++) {
					$t = $text($i);
					if ($id($i) === T_START_HEREDOC || ($id($i) === null && in_array($t, ['"', 'b"', 'B"', '`'], true))) {
						$i = $string_end($i);
					} elseif ($t === '{' || $id($i) === T_CURLY_OPEN) {
						$depth++;
					} elseif ($t === '}') {
						$depth--;
					}
				}
				$i--;
			}
		}
		return $n - 1;
	};
	$emit = function ($kind, $t) use (&$out, &$pos, &$line) {
		$out[] = [$kind, $pos, $pos + strlen($t), $line];
		$pos += strlen($t);
		$line += preg_match_all('/\r\n|\r|\n/', $t);
	};
	$space = function ($t) use (&$pos, &$line) {
		$pos += strlen($t);
		$line += preg_match_all('/\r\n|\r|\n/', $t);
	};
	for ($i = 0; $i < $n; $i++) {
		$t = $text($i);
		$k = $id($i);
		if ($k === T_START_HEREDOC || ($k === null && in_array($t, ['"', 'b"', 'B"', '`'], true))) {
			$end = $string_end($i);
			$plain = true;
			for ($j = $i + 1; $j < $end; $j++) {
				$plain = $plain && $id($j) === T_ENCAPSED_AND_WHITESPACE;
			}
			$whole = '';
			for ($j = $i; $j <= $end; $j++) {
				$whole .= $text($j);
			}
			$kind = COMPUTED;
			if ($k === T_START_HEREDOC && str_contains($t, "'")) {
				$kind = NOWDOC;
			} elseif ($k === T_START_HEREDOC && $plain) {
				$kind = HEREDOC;
			}
			$emit($kind, $whole);
			$i = $end;
			continue;
		}
		switch ($k) {
			case T_WHITESPACE: $space($t); break;
			case T_INLINE_HTML: $emit(HTML, $t); break;
			case T_OPEN_TAG: $emit(OPEN, $t); break;
			case T_OPEN_TAG_WITH_ECHO: $emit(OPEN_ECHO, $t); break;
			case T_CLOSE_TAG: $emit(CLOSE, $t); break;
			case T_COMMENT: case T_DOC_COMMENT: $emit(COMMENT, $t); break;
			case T_CONSTANT_ENCAPSED_STRING: $emit(ltrim($t, 'bB')[0] === "'" ? SINGLE : DOUBLE, $t); break;
			case T_LNUMBER: case T_DNUMBER: $emit(NUMBER, $t); break;
			case T_VARIABLE: $emit(VARIABLE, $t); break;
			case T_INT_CAST: case T_DOUBLE_CAST: case T_STRING_CAST: case T_ARRAY_CAST: case T_OBJECT_CAST: case T_BOOL_CAST: case T_UNSET_CAST: case T_YIELD_FROM:
				foreach (preg_split('/([\s()])/', $t, -1, PREG_SPLIT_DELIM_CAPTURE | PREG_SPLIT_NO_EMPTY) as $part) {
					trim($part) === '' ? $space($part) : $emit(preg_match("/^[a-z]/i", $part) ? NAME : OP, $part);
				}
				break;
			default: $emit(preg_match('/^\\\\?[a-zA-Z_\x80-\xff]/', $t) ? NAME : OP, $t);
		}
	}
	return $out;
}

while (($line = fgets(STDIN)) !== false) {
	echo json_encode(split(base64_decode(trim($line)))), "\n";
}
