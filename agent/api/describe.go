package api

import "github.com/danielgtaylor/huma/v2"

// describe gives the fields of the agent's reports, which know nothing of this document,
// their meaning.
func describe(name string, s *huma.Schema) {
	for field, p := range s.Properties {
		if p.Description == "" {
			p.Description = meanings()[name+"."+field]
		}
	}
}

func meanings() map[string]string {
	return map[string]string{
		"SiteRef.id": "Stable for a root folder: twelve hex digits.",
	}
}
