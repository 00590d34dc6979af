package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wpmend/packaging/lab"
)

// Told to end while it restarts PHP-FPM, which lets a running request finish first, the service goes on until FPM is up
// again: nobody else would start it.
func TestStopDuringRestart(t *testing.T) {
	t.Parallel()
	if !long {
		return // it takes as long as the request; php/fpm's TestRestartIsBroughtToItsEnd is the short one
	}
	s := newStage(t, lab.Options{}, `watch.every = "1s"`, "budget.requests = 100", `budget.patience = "0s"`)
	text, err := os.ReadFile(s.FPMConfig(0))
	s.must(err)
	s.write(s.FPMConfig(0), strings.Replace(string(text), "[global]", "[global]\nprocess_control_timeout = 60s", 1))
	s.must(s.RestartFPM())
	s.write(filepath.Join(s.Site(0).DocRoot, "slow.php"), "<?php touch( __DIR__ . '/busy' ); sleep( 25 ); echo 'done';")
	log, err := os.ReadFile(s.FPMLog(0))
	s.must(err)
	v := s.serve()
	was := s.FPMMaster()
	answer := make(chan string, 1)
	go func() {
		_, body, err := s.Get("/slow.php")
		if err != nil {
			body = err.Error()
		}
		answer <- body
	}()
	v.until("the slow request", 10*time.Second, func() bool { _, err := os.Stat(filepath.Join(s.Site(0).DocRoot, "busy")); return err == nil })
	s.must(os.Remove(s.Site(0).Socket)) // only a restart makes it anew
	v.until("the restart", 20*time.Second, func() bool {
		text, err := os.ReadFile(s.FPMLog(0))
		return err == nil && strings.Contains(string(text[len(log):]), "Finishing") // upon SIGQUIT
	})
	v.end(syscall.SIGTERM)
	if !s.healthy() || s.FPMMaster() == was {
		t.Errorf("PHP-FPM was %d and is %d, the site is healthy: %v", was, s.FPMMaster(), s.healthy())
	}
	if body := <-answer; body != "done" {
		t.Errorf("the running request got %q", body)
	}
}
