package api

import (
	"crypto/sha256"
	"net/http"
	"sync"
	"time"
)

const (
	keysFor    = 24 * time.Hour
	keysOwner  = 64
	keysAdmin  = 512
	mostKey    = 255
	mostKept   = 256 << 10 // of an answer, in bytes
	keysHeader = "Idempotency-Key"
)

// keyring remembers the answers to requests that carried an Idempotency-Key: who sends one
// again, since the answer was lost, gets the same answer and nothing is done twice. Only
// what was done is remembered; a request that failed may be tried again.
type keyring struct {
	mu    sync.Mutex
	known map[string][]*kept // by caller, oldest first
}

type kept struct {
	key     string
	request [sha256.Size]byte
	at      time.Time
	done    chan struct{} // closed when the answer is there, or when there will be none
	answer  *answer       // nil until then, and where the request failed
}

// validKey says whether a header can be a key: visible ASCII.
func validKey(key string) bool {
	for _, c := range []byte(key) {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return len(key) > 0 && len(key) <= mostKey
}

// once answers a request with a key: from memory, or by doing it.
func (k *keyring) once(c *caller, key string, r *http.Request, body []byte, do func() *answer) (*answer, *Problem) {
	if !validKey(key) {
		return nil, problem("idempotency-key", "the Idempotency-Key is not made of 1 to 255 visible ASCII characters", "send a new UUID for each thing to be done")
	}
	h := sha256.New()
	h.Write([]byte(r.Method + "\x00" + r.URL.RequestURI() + "\x00"))
	h.Write(body)
	var request [sha256.Size]byte
	h.Sum(request[:0])
	for {
		e, mine, refused := k.claim(c, key, request)
		if refused != nil {
			return nil, refused
		}
		if mine {
			return k.do(c, e, do), nil
		}
		select {
		case <-e.done:
		case <-r.Context().Done():
			return nil, problem("stopping", "it was broken off", "try again")
		}
		k.mu.Lock()
		a := e.answer
		k.mu.Unlock()
		if a != nil {
			return a, nil
		}
	}
}

// do does it and remembers the answer, if there is one worth it.
func (k *keyring) do(c *caller, e *kept, do func() *answer) (a *answer) {
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if a != nil && a.status >= 200 && a.status < 300 && a.body.Len() <= mostKept {
			e.answer = a
		} else {
			k.drop(c.key, e)
		}
		close(e.done)
	}()
	return do()
}

// claim finds the key, or takes it for the caller.
func (k *keyring) claim(c *caller, key string, request [sha256.Size]byte) (e *kept, mine bool, refused *Problem) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = map[string][]*kept{}
	}
	now := time.Now()
	for _, e := range k.known[c.key] {
		if e.key != key || now.Sub(e.at) > keysFor {
			continue
		}
		if e.request != request {
			return nil, false, problem("idempotency-key", "this Idempotency-Key came with another request before", "send a new one for each thing to be done")
		}
		return e, false, nil
	}
	most := keysOwner
	if c.role == Admin {
		most = keysAdmin
	}
	list := k.known[c.key]
	for len(list) > 0 && (len(list) >= most || now.Sub(list[0].at) > keysFor) {
		list = list[1:]
	}
	e = &kept{key: key, request: request, at: now, done: make(chan struct{})}
	k.known[c.key] = append(list, e)
	return e, true, nil
}

// drop forgets one; k.mu is held.
func (k *keyring) drop(caller string, gone *kept) {
	list := k.known[caller]
	for i, e := range list {
		if e == gone {
			k.known[caller] = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if len(k.known[caller]) == 0 {
		delete(k.known, caller)
	}
}
