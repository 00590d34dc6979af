package wp

import (
	"bytes"
	_ "embed"
	"strings"
)

// The parts of the prepend, each a file of PHP by itself.
var (
	//go:embed prepend_user.php
	prependUser []byte
	//go:embed prepend_answer.php
	prependAnswer []byte
	//go:embed prepend_writes.php
	prependWrites []byte
	//go:embed prepend.php
	prependMask []byte
)

// prependPHP is the prepend as one file, which is all that a pool can be given.
func prependPHP() []byte {
	all := []byte("<?php\n")
	for _, part := range [][]byte{prependUser, prependAnswer, prependWrites, prependMask} {
		all = append(all, bytes.TrimPrefix(part, []byte("<?php\n"))...)
	}
	return all
}

// GatewayPrependParam is the FastCGI parameter that tells the prepend which
// auto_prepend_file the gateway's own parameters ask for.
const GatewayPrependParam = "WPMEND_PREPEND"

// Prepend is the PHP file that a shadow runs before WordPress: it hides what
// the request's [MaskParam] names and keeps the request from writing to the
// database. Original is the live pool's php_value[auto_prepend_file], "" if the
// pool has none: our file takes its place and loads, afterwards, what would have
// applied. A pool that sets it to nothing gives "none".
//
// It must be set by php_admin_value, and the pool's own be left out: as a
// php_value a .user.ini would replace it, of two php_admin_value the first would
// win, and nothing would be masked.
func Prepend(original string) []byte {
	if original == "" {
		return prependPHP()
	}
	return prepend("value", original)
}

// PrependAdmin is [Prepend] for a pool that sets php_admin_value, "" included: no
// .user.ini is asked then.
func PrependAdmin(original string) []byte { return prepend("admin", original) }

func prepend(key, original string) []byte {
	// PHP's ini scanner reads these words, unquoted, as the empty string.
	switch strings.ToLower(original) {
	case "none", "off", "no", "false", "null":
		original = ""
	}
	quoted := "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(original) + "'"
	return bytes.Replace(prependPHP(), []byte("/*POOL*/"), []byte("'"+key+"' => "+quoted), 1)
}

// TakeGatewayPrepend moves an auto_prepend_file out of the PHP_VALUE and
// PHP_ADMIN_VALUE that a gateway sends, into a parameter that the prepend reads:
// these two beat the pool's php_admin_value, and would replace our file.
func TakeGatewayPrepend(params map[string]string) {
	for _, from := range []struct{ param, key string }{{"PHP_VALUE", "value"}, {"PHP_ADMIN_VALUE", "admin"}} {
		lines := strings.Split(params[from.param], "\n")
		kept := lines[:0]
		for _, line := range lines {
			key, value, _ := strings.Cut(line, "=")
			if strings.TrimSpace(key) != "auto_prepend_file" {
				kept = append(kept, line)
				continue
			}
			value = strings.Trim(strings.TrimSpace(value), `"'`)
			params[GatewayPrependParam] = from.key + ":" + value
		}
		if len(kept) < len(lines) {
			params[from.param] = strings.Join(kept, "\n")
		}
	}
}
