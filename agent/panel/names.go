package panel

import (
	"fmt"
	"net/mail"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	// no panel takes more than 32 characters, the kernel's tools neither (useradd(8))
	userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$`)
	// RFC 1035 with the underscore that hosts use all the same; a name in another script comes as its ASCII form
	domainName = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)+$`)
	plainText  = regexp.MustCompile(`^[A-Za-z0-9._\[\] -]+$`)
)

func isUser(name string) bool { return userName.MatchString(name) && !strings.Contains(name, "..") }

func isDomain(name string) bool { return len(name) <= 253 && domainName.MatchString(name) }

// plain says that a text means nothing to a file format, a template or a shell.
func plain(text string) bool { return len(text) <= 200 && plainText.MatchString(text) }

// contact is an e-mail address alone, "" for anything else.
func contact(text string) string {
	text = strings.TrimSpace(text)
	a, err := mail.ParseAddress(text)
	if err != nil || a.Name != "" || a.Address != text || len(text) > 254 {
		return ""
	}
	return text
}

// valid leaves out of a panel's answer what cannot be a domain of an account: the text is a customer's.
func valid(l List) List {
	out := List{Sites: []Site{}, Notes: append([]string{}, l.Notes...)}
	left := 0
	for _, s := range l.Sites {
		s.Domain = strings.ToLower(strings.TrimSuffix(s.Domain, "."))
		switch {
		case !isDomain(s.Domain) || !isUser(s.Account) || s.Account == "root":
			left++
			if left <= 5 {
				out.Notes = append(out.Notes, fmt.Sprintf("left out: the domain %q of the account %q, since these are no names", cut(s.Domain), cut(s.Account)))
			}
			continue
		case len(out.Sites) == maxSites:
			out.Notes = append(out.Notes, fmt.Sprintf("only the first %d domains are listed", maxSites))
			return out
		}
		aliases := []string{}
		for _, a := range s.Aliases {
			if a = strings.ToLower(strings.TrimSpace(a)); isDomain(strings.TrimPrefix(a, "*.")) {
				aliases = append(aliases, a)
			}
		}
		s.Aliases, s.Contact = aliases, contact(s.Contact)
		if !filepath.IsAbs(s.Root) || strings.ContainsAny(s.Root, "\x00\n\r") {
			s.Root = ""
		} else {
			s.Root = filepath.Clean(s.Root)
		}
		out.Sites = append(out.Sites, s)
	}
	if left > 5 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d domains were left out in all", left))
	}
	return out
}

func cut(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}
