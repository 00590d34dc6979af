// Package panel knows the hosting control panels: whose account and contact a domain
// is, and how each wants a pool's limits to be set, since it writes the pools' files
// itself and would overwrite a change. It speaks to a panel by its documented commands
// and files alone, and describes a change of limits rather than making it: the journal
// does that, with its undo.
//
// It refuses to believe a panel's exit code (cPanel and CyberPanel say 0 on failure)
// and whatever others than root, or the panel's own user, could have put there. What a
// panel says of its customers is their text: names that are no names are left out, and
// that is said.
//
// What is known of each panel is from its documentation or its source (field notes, 5);
// packaging/panels/README.md says what of it was tried, and on what.
package panel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wpmend/php/ini"
)

// Panel is the control panel of this host.
type Panel struct {
	Name  string `json:"panel"` // as its folder in packaging/panels: "hestia"
	Title string `json:"title"` // "HestiaCP"
	// Tried says that its way to set limits was seen to work with the panel's own code, not only with its documented
	// formats: only then wpmend takes it without being told to by a person.
	Tried bool `json:"tried"`

	with adapter
}

// Site is a domain as the panel has it.
type Site struct {
	Domain    string   `json:"domain"`
	Aliases   []string `json:"aliases"`
	Account   string   `json:"account"`
	Contact   string   `json:"contact"`   // the account's e-mail address, "" if the panel has none
	Root      string   `json:"root"`      // its document root, "" if the panel does not say
	Suspended bool     `json:"suspended"` // it or its account
}

// List is what a panel says of its domains.
type List struct {
	Sites []Site   `json:"sites"`
	Notes []string `json:"notes"` // what was left out, and why
}

// Pool is a PHP-FPM pool whose file a panel writes.
type Pool struct {
	File string `json:"file"`
	Name string `json:"name"` // "[name]" in it
	User string `json:"user"` // of its workers
}

// Plan is a change of a pool's limits in the panel's own way: one file, and what makes the panel write the pool's file
// anew by it. PHP-FPM is not told by it.
type Plan struct {
	Panel string `json:"panel"`
	File  string `json:"file"`
	New   bool   `json:"new"` // there is no such file yet
	Was   string `json:"was"`
	Text  string `json:"becomes"`
	// Apply follows the file's change, Undo its taking back.
	Apply Act    `json:"apply"`
	Undo  Act    `json:"undo"`
	What  string `json:"what"` // for people
}

// Act is something that a panel is asked to do, as plain data that the journal keeps.
type Act struct {
	Panel  string `json:"panel"`
	Do     string `json:"do"`
	User   string `json:"user,omitempty"`
	Domain string `json:"domain,omitempty"`
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	// Yields: what somebody else has chosen meanwhile is left as it is.
	Yields bool `json:"yields,omitempty"`
}

// Error says why a panel's way cannot be gone, and what a person does.
type Error struct {
	Panel  string
	Reason string
	Remedy string
}

func (e *Error) Error() string { return e.Panel + ": " + e.Reason }

// adapter is what each panel brings.
type adapter interface {
	here(h host) bool
	sites(ctx context.Context, h host) (List, error)
	plan(ctx context.Context, h host, p Pool, set []ini.Setting) (Plan, error)
	do(ctx context.Context, h host, a Act) error
	// byHand are the shell commands for an act.
	byHand(a Act) []string
	hooks() Hooks
}

func panels() []Panel {
	return []Panel{
		{"hestia", "HestiaCP", true, hestia{}},
		{"cpanel", "cPanel & WHM", false, cpanel{}},
		{"plesk", "Plesk", false, plesk{}},
		{"directadmin", "DirectAdmin", false, directadmin{}},
		{"cyberpanel", "CyberPanel", false, cyberpanel{}},
	}
}

// Detect says which panel is installed, by files that only root or the panel could have put there.
func Detect() (Panel, bool) { return detect(host{}) }

func detect(h host) (Panel, bool) {
	for _, p := range panels() {
		if p.with.here(h) {
			return p, true
		}
	}
	return Panel{}, false
}

// Named is the panel of a name, whether it is installed or not.
func Named(name string) (Panel, error) {
	var names []string
	for _, p := range panels() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Panel{}, fmt.Errorf("no panel is called %q: there are %s", name, strings.Join(names, ", "))
}

// Sites asks the panel for its domains, in the order of their names.
func (p Panel) Sites(ctx context.Context) (List, error) { return p.sites(ctx, host{}) }

func (p Panel) sites(ctx context.Context, h host) (List, error) {
	l, err := p.with.sites(ctx, h)
	if err != nil {
		return List{}, fmt.Errorf("%s: %w", p.Title, err)
	}
	l = valid(l)
	slices.SortFunc(l.Sites, func(a, b Site) int { return strings.Compare(a.Domain, b.Domain) })
	return l, nil
}

// Plan says how the panel would be given settings of a pool, by FPM's names for them. It changes nothing. An *Error
// says why that cannot be.
func (p Panel) Plan(ctx context.Context, pool Pool, set []ini.Setting) (Plan, error) {
	return p.plan(ctx, host{}, pool, set)
}

func (p Panel) plan(ctx context.Context, h host, pool Pool, set []ini.Setting) (Plan, error) {
	for _, s := range set {
		if !plain(s.Name) || !plain(s.Value) || s.Value == "" {
			return Plan{}, &Error{p.Title, fmt.Sprintf("%q = %q is no setting that could be written into its files", s.Name, s.Value), "give a plain amount"}
		}
	}
	if !isUser(pool.User) {
		return Plan{}, &Error{p.Title, fmt.Sprintf("pool %q runs as %q, which is no account of the panel's", pool.Name, pool.User), "set it in the panel by hand"}
	}
	plan, err := p.with.plan(ctx, h, pool, set)
	if err != nil {
		return Plan{}, err
	}
	plan.Panel, plan.Apply.Panel, plan.Undo.Panel = p.Name, p.Name, p.Name
	return plan, nil
}

// Do asks the panel to carry out an act; it may be called again. An *Error says that nothing was begun.
func Do(ctx context.Context, a Act) error {
	turn, err := takeTurn(ctx, turnFile)
	if err != nil {
		return &Error{a.Panel, err.Error(), "see what it is busy with, then try again"}
	}
	return errors.Join(do(ctx, host{turn: turn}, a), turn.Close())
}

func do(ctx context.Context, h host, a Act) error {
	p, err := Named(a.Panel)
	if err != nil {
		return err
	}
	if a.User != "" && !isUser(a.User) || a.Domain != "" && !isDomain(a.Domain) {
		return fmt.Errorf("%s: the record names the account %q and the domain %q, which cannot be", p.Title, a.User, a.Domain)
	}
	if err := p.with.do(ctx, h, a); err != nil {
		return fmt.Errorf("%s: %w", p.Title, err)
	}
	return nil
}

// ByHand gives shell commands for an act.
func ByHand(a Act) []string {
	p, err := Named(a.Panel)
	if err != nil {
		return nil
	}
	return p.with.byHand(a)
}
