//go:build !amd64

package crash

func legacy(int) string { return "" }
