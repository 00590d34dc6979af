package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// freeAddress finds a loopback address on which nobody listens on the ports that
// a lab uses. Labs that start at the same moment choose among some 16 million,
// so a collision after the trial is as good as impossible; nginx would say so.
func freeAddress() (string, error) {
	var last error
	for range 20 {
		// 127.0.x.y is left alone: hosts use it (127.0.0.53, 127.0.1.1).
		addr := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		if last = tryAddress(addr); last == nil {
			return addr, nil
		}
	}
	if errors.Is(last, syscall.EADDRINUSE) {
		return "", fmt.Errorf("no loopback address with free ports 80, 443 and 9000: something on this machine listens there on all addresses; stop it for the while: %w", last)
	}
	return "", fmt.Errorf("cannot listen on a loopback address: %w", last)
}

func tryAddress(addr string) error {
	for _, port := range []int{80, 443, firstPoolPort} {
		ln, err := net.Listen("tcp", net.JoinHostPort(addr, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		ln.Close()
	}
	return nil
}
