package wp

import (
	"slices"
	"testing"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	c := Config{Constants: map[string]Value{}}
	for name, text := range map[string]string{"DB_PASSWORD": "one", "AUTH_KEY": "two", "NONCE_SALT": "three", "WP_MAIL_SMTP_PASS": "four",
		"WP_CACHE_KEY_SALT": "five", "STRIPE_SECRET_KEY": "six", "DB_NAME": "shop", "WP_DEBUG": "1", "PASSAGE": "no", "AUTH_COOKIE": ""} {
		c.Constants[name] = Value{Text: text, Known: true}
	}
	c.Constants["LOGGED_IN_KEY"] = Value{Why: "computed"}
	if got, want := c.Secrets(), []string{"five", "four", "one", "six", "three", "two"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
