package policy

// Sharing says how far a failure reaches.
type Sharing struct {
	Common  bool // its cause lies outside of any one site: in the pool, the gateway, the host or the database server
	Search  bool // its remedy is a search for a component of this one site
	Others  int  // other sites of the pool that were asked
	Failing int  // of these
}

// Shared says whether a failure is the pool's, and so one incident of all its sites that
// fail. Two sites that fail at the same moment by their own code are two incidents.
func Shared(s Sharing) bool {
	return s.Common && !s.Search && s.Failing > 0 && s.Failing <= s.Others
}
