package diagnose

import "slices"

// Common reports whether a cause lies outside of any one site, so that others next door
// fail of it at the same moment: in the gateway, the way to the pool, the pool, the host
// or the database server.
func Common(cause string) bool {
	return slices.Contains([]string{GatewayDown, GatewayConfig, GatewayExhausted, Firewall, SocketPermission, SocketMissing, StaleSocket, ClientDisallowed,
		FPMDown, FPMConfig, FPMOOMKilled, FPMStartLimit, PoolExhausted, WorkersStuck, OPcachePoisoned,
		Overload, TrafficSpike, MemoryExhausted, DiskFull, FileDescriptors, DBDown, DBConnections, DBDiskFull}, cause)
}
