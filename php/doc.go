// Package php knows the notations that every part of PHP shares: sizes as php.ini writes them ("128M") and durations
// as FPM writes them ("5s", "2m"). It refuses to know files, processes and sites; those live in the packages below it.
// Its invariant: what it does not understand is an error that quotes the text, never a zero that means "no limit".
package php
