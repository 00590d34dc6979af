package lab

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
)

// TestMain lets the test binary play the parts that tests need in a process of
// their own: one that holds a lab until it is killed, and one without root.
func TestMain(m *testing.M) {
	switch os.Getenv("LAB_TEST_PART") {
	case "hold":
		l, err := Up(context.Background(), Options{Plugins: 1})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(l.Dir)
		select {}
	case "nobody":
		if err := syscall.Setuid(65534); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		_, err := Up(context.Background(), Options{})
		fmt.Println(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}
