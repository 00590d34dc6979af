package lab

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// Load is a number of clients that ask for a page again and again.
type Load struct {
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu      sync.Mutex
	answers map[int]int
}

// Load has clients ask for a path of a site until Stop: each again as soon as it is
// answered, or a tenth of a second later where that was no whole page.
func (l *Lab) Load(site int, path string, clients int) *Load {
	ctx, stop := context.WithCancel(context.Background())
	load := &Load{stop: stop, answers: map[int]int{}}
	for range clients {
		load.clients.Go(func() {
			for ctx.Err() == nil {
				status := l.ask(ctx, l.sites[site].URL+path)
				if ctx.Err() != nil {
					return
				}
				load.mu.Lock()
				load.answers[status]++
				load.mu.Unlock()
				if status != http.StatusOK {
					select {
					case <-ctx.Done():
					case <-time.After(100 * time.Millisecond):
					}
				}
			}
		})
	}
	return load
}

// ask gives the status of an answer, 0 where there is none.
func (l *Lab) ask(ctx context.Context, url string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	res, err := l.client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0
	}
	return res.StatusCode
}

// Stop ends the clients and counts the answers that they had by status; 0 stands for none.
func (l *Load) Stop() map[int]int {
	l.stop()
	l.clients.Wait()
	return l.answers
}
