package diagnose

import (
	"cmp"
	"slices"
)

// explains says which causes another one brings along, the deeper one first: FPM that does not run makes connects fail,
// a full disk takes the database down. What is brought along by a cause that is all but certain is kept, and ranked
// behind it: it may still be true by itself, and its remedy is tried when the deeper one's has not helped.
var explains = map[string][]string{
	GatewayConfig:      {GatewayDown},
	UpstreamUnresolved: {GatewayConfig, GatewayDown, ComponentFault},
	FileDescriptors:    {GatewayExhausted, ComponentFault, WorkerCrash},
	GatewayDown:        {GatewayTimeout, ComponentFault},
	GatewayExhausted:   {GatewayTimeout, ComponentFault},

	Firewall:         {GatewayDown, StaleSocket, WrongSocket, PoolExhausted, GatewayTimeout, ComponentFault},
	AccessDenied:     {SocketPermission, DBDown, ComponentFault},
	SocketPermission: brokenConnection,
	SocketMissing:    brokenConnection,
	StaleSocket:      brokenConnection,
	WrongSocket:      brokenConnection,
	WrongProtocol:    {InvalidHeader, WorkerCrash, GatewayTimeout, OPcachePoisoned, ComponentFault},
	ClientDisallowed: brokenConnection,

	FPMConfig:     append([]string{FPMStartLimit, FPMDown}, deadPool...),
	FPMOOMKilled:  append([]string{FPMDown, MemoryExhausted}, deadPool...),
	FPMStartLimit: append([]string{FPMDown}, deadPool...),
	FPMDown:       deadPool,

	PoolExhausted:   {GatewayTimeout, OPcachePoisoned, ComponentFault},
	WorkersStuck:    {PoolExhausted, GatewayTimeout, OPcachePoisoned, ComponentFault},
	WorkerCrash:     {ComponentFault},
	OPcachePoisoned: {WorkerCrash, CodeUnparsable, ComponentFault},

	ExecutionTimeout: {ComponentFault, WorkerCrash},
	TerminateTimeout: {GatewayTimeout, WorkerCrash, ComponentFault},
	GatewayTimeout:   {ComponentFault},

	ResponseHeaderTooBig: {ComponentFault},
	InvalidHeader:        {ComponentFault},
	HtaccessBroken:       {ComponentFault},

	TrafficSpike:    append([]string{Overload, DBConnections, GatewayExhausted}, tooMuchWork...),
	Overload:        append([]string{DBDown}, tooMuchWork...),
	MemoryExhausted: append([]string{Overload, FPMDown, DBDown, ObjectCacheDown}, tooMuchWork...),
	PHPMemoryLimit:  {ComponentFault},
	DiskFull: {GatewayConfig, GatewayDown, FPMConfig, FPMDown, DBDiskFull, DBDown, DBTableCrashed, UpdateBroken, CoreDamaged, ConfigBroken, CodeUnparsable,
		ObjectCacheDown, WorkerCrash, ComponentFault},

	DBDiskFull:     append([]string{DBDown, DBTableCrashed}, waitingForData...),
	DBDown:         waitingForData,
	DBConnections:  waitingForData,
	DBCredentials:  waitingForData,
	DBTableCrashed: waitingForData,

	Maintenance:     {UpdateBroken, ComponentFault},
	UpdateBroken:    {CoreDamaged, ConfigBroken, CodeUnparsable, ThemeMissing, WorkerCrash, OPcachePoisoned, ComponentFault},
	CoreDamaged:     {CodeUnparsable, WorkerCrash, ComponentFault},
	ConfigBroken:    {DBCredentials, CodeUnparsable, CoreDamaged, ComponentFault},
	CodeUnparsable:  {ComponentFault},
	PrependMissing:  {ComponentFault},
	ThemeMissing:    {ComponentFault},
	ObjectCacheDown: waitingForCache,
}

// What several causes bring along.
var (
	brokenConnection = []string{PoolExhausted, WorkerCrash, GatewayTimeout, OPcachePoisoned, ComponentFault}
	deadPool         = []string{SocketMissing, StaleSocket, SocketPermission, WrongSocket, PoolExhausted, WorkersStuck, WorkerCrash, TerminateTimeout, GatewayTimeout, OPcachePoisoned, ComponentFault}
	tooMuchWork      = []string{PoolExhausted, WorkersStuck, WorkerCrash, ExecutionTimeout, TerminateTimeout, GatewayTimeout, OPcachePoisoned, ComponentFault}
	waitingForData   = []string{PoolExhausted, WorkersStuck, ExecutionTimeout, TerminateTimeout, GatewayTimeout, ThemeMissing, OPcachePoisoned, ComponentFault}
	waitingForCache  = append([]string{DBDown}, waitingForData...)
)

const (
	// sure is the confidence from which on a cause explains others.
	sure = 0.7
	// secondary is what being explained leaves of a confidence.
	secondary = 0.8
)

// rank orders causes: what is proven first, the outermost layer first among these; then by confidence. What a surer,
// deeper one brings along comes behind it.
func rank(found []Cause) []Cause {
	raw := make([]float64, len(found))
	for i, c := range found {
		raw[i] = min(max(c.Confidence, 0), 1)
	}
	settled := make([]bool, len(found))
	var settle func(i int)
	settle = func(i int) {
		if settled[i] {
			return
		}
		settled[i] = true
		found[i].Confidence = raw[i]
		for j, deeper := range found {
			if j != i && raw[j] >= sure && slices.Contains(explains[deeper.Cause], found[i].Cause) {
				settle(j)
				found[i].Confidence = min(found[i].Confidence, raw[i]*secondary, found[j].Confidence*secondary)
			}
		}
	}
	for i := range found {
		settle(i)
	}
	layer := func(c Cause) int {
		return slices.IndexFunc(list[:], func(l struct{ name, meaning string }) bool { return l.name == c.Cause })
	}
	slices.SortStableFunc(found, func(a, b Cause) int {
		if a.Confidence >= proven && b.Confidence >= proven {
			return layer(a) - layer(b)
		}
		return cmp.Compare(b.Confidence, a.Confidence)
	})
	for i := 1; i < len(found); i++ {
		found[i].Confidence = min(found[i].Confidence, found[i-1].Confidence)
	}
	return found
}

// unrest are the causes under which a search would convict by chance, and switching off would hurt for nothing.
var unrest = map[string]string{
	GatewayExhausted: "the gateway itself has no room for requests",
	PoolExhausted:    "all workers are busy with requests that go on: whatever is asked now fails by chance",
	Overload:         "the host is overloaded: whatever is asked now may fail by chance",
	TrafficSpike:     "far more visitors come than usual: whatever is asked now may fail by chance",
	MemoryExhausted:  "memory has run out: processes are ended by chance",
	DiskFull:         "a disk is full: code fails that is well elsewhere, and nothing can be recorded safely",
	FileDescriptors:  "no more files can be opened: requests fail by chance",
	DBDown:           "the database does not answer: all code that needs it fails",
	DBConnections:    "the database takes no more connections: requests fail by chance",
	DBCredentials:    "the database does not let WordPress in: all code that needs it fails",
	DBTableCrashed:   "tables of the database are damaged: code fails that is well",
	DBDiskFull:       "the database has no room on its disk: code fails that is well",
	Maintenance:      "the site is in maintenance mode: somebody may be at work on it",
	UpdateBroken:     "an update is under way, or broke off: the code is not whole",
}

// Calm says whether components may be searched and switched off. If not, by is the cause that forbids it, and why says
// so in words; why is "" where nothing does. What another cause brings along forbids nothing by itself: a pool that is
// full of requests which stand still in a plugin is no reason to spare it.
func Calm(causes []Cause) (by Cause, why string) {
	for i, c := range causes {
		brought := slices.ContainsFunc(causes[:i], func(d Cause) bool { return d.Confidence >= sure && slices.Contains(explains[d.Cause], c.Cause) })
		if c.Confidence < textOnly || brought || c.Cause == PoolExhausted && c.Confidence < sure {
			continue
		}
		if reason := unrest[c.Cause]; reason != "" {
			return c, reason
		}
	}
	return Cause{}, ""
}
