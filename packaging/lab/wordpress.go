package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func domain(i int) string {
	if i == 0 {
		return "shop.lab.test"
	}
	return fmt.Sprintf("shop%d.lab.test", i+1)
}

func tablePrefix(i int) string {
	if i == 0 {
		return "wp_"
	}
	return fmt.Sprintf("wp%d_", i+1)
}

// planSite says where everything of site i will be.
func (l *Lab) planSite(i int) Site {
	s := Site{Domain: domain(i), TablePrefix: tablePrefix(i), Layout: l.o.layout(i), Network: l.o.network(i)}
	s.Pool = strings.TrimSuffix(s.Domain, ".lab.test")
	s.place(filepath.Join(l.Dir, "www", s.Domain), l.o.Subfolder)
	s.Socket = filepath.Join(l.Dir, "run", s.Pool+".sock")
	if l.o.TCP {
		s.Socket = fmt.Sprintf("%s:%d", l.Address, firstPoolPort+i)
	}
	return s
}

// copyWordPress lays out a document root from Debian's package. What only PHP of
// wp-includes and the browser read is linked, as Debian's own layout does; the
// PHP of wp-admin is copied, since it finds WordPress by its own real path.
func copyWordPress(ctx context.Context, root string) error {
	content := filepath.Join(root, "wp-content")
	for _, d := range []string{filepath.Join(root, "wp-admin"), filepath.Join(content, "plugins"),
		filepath.Join(content, "themes"), filepath.Join(content, "uploads")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(wordpressDir + "/*.php")
	if err != nil {
		return err
	}
	for _, file := range files {
		// Debian's wp-config.php looks for a host-wide config of its own in /etc/wordpress.
		if filepath.Base(file) == "wp-config.php" {
			continue
		}
		if err := copyTree(ctx, file, root); err != nil {
			return err
		}
	}
	if err := os.Symlink(wordpressDir+"/wp-includes", filepath.Join(root, "wp-includes")); err != nil {
		return err
	}
	entries, err := os.ReadDir(wordpressDir + "/wp-admin")
	if err != nil {
		return err
	}
	for _, e := range entries {
		from, to := filepath.Join(wordpressDir, "wp-admin", e.Name()), filepath.Join(root, "wp-admin", e.Name())
		switch e.Name() {
		case "css", "images", "js":
			err = os.Symlink(from, to)
		default:
			err = copyTree(ctx, from, to)
		}
		if err != nil {
			return err
		}
	}
	for _, theme := range []string{"twentytwentythree", "twentytwentytwo"} {
		if err := copyTree(ctx, filepath.Join(wordpressDir, "wp-content/themes", theme), filepath.Join(content, "themes")); err != nil {
			return err
		}
	}
	const silence = "<?php\n// Silence is golden.\n"
	for _, d := range []string{"", "plugins", "themes"} {
		if err := os.WriteFile(filepath.Join(content, d, "index.php"), []byte(silence), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// layOutSite makes a site's files, owned by the pool's user.
func (l *Lab) layOutSite(ctx context.Context, s Site, template string) error {
	if err := l.layOut(ctx, s, template); err != nil {
		return fmt.Errorf("cannot lay out %s: %w", s.Domain, err)
	}
	if err := l.writeComponents(s); err != nil {
		return fmt.Errorf("cannot make the components of %s: %w", s.Domain, err)
	}
	if err := ownTree(s.base, l.uid, l.gid); err != nil {
		return fmt.Errorf("cannot give %s to its user: %w", s.Domain, err)
	}
	// Installed a month ago, so that what a fault changes is the only fresh file.
	old := time.Now().Add(-30 * 24 * time.Hour).Truncate(time.Second)
	for _, dir := range []string{"plugins", "mu-plugins", "themes/" + childTheme} {
		err := filepath.WalkDir(filepath.Join(s.Content, dir), func(path string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist), err == nil && e.Type()&fs.ModeSymlink != 0:
				return nil
			case err != nil:
				return err
			}
			return os.Chtimes(path, old, old)
		})
		if err != nil {
			return fmt.Errorf("cannot date the components of %s: %w", s.Domain, err)
		}
	}
	return nil
}

// wpConfig is a site's wp-config.php, written as WordPress' own sample is.
func wpConfig(s Site, socket, labDir string) string {
	return `<?php
/**
 * WordPress of the lab ` + labDir + `
 */
define( 'DB_NAME', '` + dbName + `' );
define( 'DB_USER', '` + dbUser + `' );
define( 'DB_PASSWORD', '` + sqlText(dbPassword) + `' ); // PHP's single quotes escape as SQL's do
define( 'DB_HOST', 'localhost:` + socket + `' );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'DB_COLLATE', '' );

define( 'AUTH_KEY', 'lab 1' );
define( 'SECURE_AUTH_KEY', 'lab 2' );
define( 'LOGGED_IN_KEY', 'lab 3' );
define( 'NONCE_KEY', 'lab 4' );
define( 'AUTH_SALT', 'lab 5' );
define( 'SECURE_AUTH_SALT', 'lab 6' );
define( 'LOGGED_IN_SALT', 'lab 7' );
define( 'NONCE_SALT', 'lab 8' );

$table_prefix = '` + s.TablePrefix + `';

define( 'WP_DEBUG', false );

// The domain resolves nowhere, so WordPress could not call itself for its cron,
// and nothing of a lab may reach the network.
define( 'DISABLE_WP_CRON', true );
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
define( 'AUTOMATIC_UPDATER_DISABLED', true );

if ( ! defined( 'ABSPATH' ) ) {
	define( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
`
}

// fillSites makes every site's tables from those of the template and writes the
// options that differ from lab to lab.
func (l *Lab) fillSites(ctx context.Context) error {
	first := tablePrefix(0)
	tables, err := l.tables(ctx, first)
	if err != nil {
		return err
	}
	for i, s := range l.sites {
		var statements []string
		if i > 0 {
			for _, table := range tables {
				copied := s.TablePrefix + strings.TrimPrefix(table, first)
				statements = append(statements,
					fmt.Sprintf("CREATE TABLE `%s` LIKE `%s`", copied, table),
					fmt.Sprintf("INSERT INTO `%s` SELECT * FROM `%s`", copied, table))
			}
			// WordPress names these after the prefix; without them nobody has a role.
			statements = append(statements,
				fmt.Sprintf("UPDATE `%[1]soptions` SET option_name = '%[1]suser_roles' WHERE option_name = '%[2]suser_roles'", s.TablePrefix, first),
				fmt.Sprintf("UPDATE `%[1]susermeta` SET meta_key = CONCAT('%[1]s', SUBSTRING(meta_key, %[3]d)) WHERE LEFT(meta_key, %[4]d) = '%[2]s'",
					s.TablePrefix, first, len(first)+1, len(first)))
		}
		for _, q := range statements {
			if _, err := l.db.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("cannot make the tables of %s: %w", s.Domain, err)
			}
		}
		options := map[string]string{"home": s.URL, "siteurl": s.coreURL, "active_plugins": serialised(l.o.active(s))}
		if l.o.ChildTheme {
			options["stylesheet"] = childTheme
		}
		for name, value := range options {
			q := fmt.Sprintf("UPDATE `%soptions` SET option_value = ? WHERE option_name = ?", s.TablePrefix)
			if _, err := l.db.ExecContext(ctx, q, value, name); err != nil {
				return fmt.Errorf("cannot set option %s of %s: %w", name, s.Domain, err)
			}
		}
		if s.Network != "" {
			if err := l.fillNetwork(ctx, s, tables); err != nil {
				return err
			}
		}
	}
	return nil
}
