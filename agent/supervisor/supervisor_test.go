package supervisor

import (
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// systemd hears what a service says, and nothing that it would take for something else.
func TestSupervisor(t *testing.T) {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", socket.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "30000000")
	t.Setenv("WATCHDOG_PID", "")
	heard := func() []string {
		t.Helper()
		var all []string
		for {
			if err := socket.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			text := make([]byte, 4096)
			n, err := socket.Read(text)
			if err != nil {
				return all
			}
			said, _, _ := strings.Cut(string(text[:n]), "USEC=") // the time
			all = append(all, said)
		}
	}
	s := New(slog.New(slog.DiscardHandler))
	if every := s.Every(); every != 10*time.Second {
		t.Errorf("alive every %s, want a third of 30 s", every)
	}
	for _, c := range []struct {
		say  func()
		want []string
	}{
		{func() { s.Reloading(); s.Reloaded() }, nil}, // not ready yet
		{s.Ready, []string{"READY=1"}},
		{func() { s.Reloading(); s.Reloaded() }, []string{"RELOADING=1\nMONOTONIC_", "READY=1"}},
		{s.Alive, []string{"WATCHDOG=1"}},
		{func() { s.Doing("watching"); s.Doing("watching") }, []string{"STATUS=watching"}},
		{func() { s.Notice("refused:\nREADY=1") }, []string{"STATUS=watching; refused: READY=1"}},
		{func() { s.Notice("") }, []string{"STATUS=watching"}},
		{s.Stopping, []string{"STOPPING=1"}},
	} {
		c.say()
		if got := heard(); !slices.Equal(got, c.want) {
			t.Errorf("systemd heard %q, want %q", got, c.want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", "")
	s.Alive()
	if got := heard(); got != nil {
		t.Errorf("without a supervisor %q was said", got)
	}
}
