package fcgi

import (
	"crypto/md5"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	stdlib "net/http/fcgi"
	"path/filepath"
	"strings"
	"testing"
)

// The standard library's responder joins PARAMS across records, which PHP does not, so it sees what the
// specification allows.
func TestStandardLibraryServer(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"unix", "tcp"} {
		addr := "127.83.67.2:0"
		if network == "unix" {
			addr = filepath.Join(t.TempDir(), "s")
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go stdlib.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			env := stdlib.ProcessEnv(r)
			w.Header().Add("Set-Cookie", "a=1")
			w.Header().Add("Set-Cookie", "b=2")
			w.Header().Set("X-Sum", fmt.Sprintf("%x", md5.Sum(body)))
			w.WriteHeader(418)
			fmt.Fprint(w, len(body), len(env["LONG"]), len(env[strings.Repeat("N", 200)]), strings.Repeat("z", 100_000))
		}))
		body := []byte(strings.Repeat("0123456789", 50_000))
		r, err := Do(soon(t), network, l.Addr().String(), Request{Body: body, Params: map[string]string{
			"REQUEST_METHOD": "POST", "REQUEST_URI": "/x", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "a",
			"LONG": strings.Repeat("v", 200_000), strings.Repeat("N", 200): strings.Repeat("w", 128),
		}}, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, r.Status, 418)
		equal(t, strings.Join(r.Header["Set-Cookie"], "|"), "a=1|b=2")
		equal(t, r.Header.Get("X-Sum"), fmt.Sprintf("%x", md5.Sum(body)))
		equal(t, string(r.Body), "500000 200000 128"+strings.Repeat("z", 100_000))
	}
}

// decodeParams reads a PARAMS stream as the specification says.
func decodeParams(b []byte) (map[string]string, bool) {
	length := func() (int, bool) {
		if len(b) == 0 {
			return 0, false
		}
		if b[0] < 128 {
			n := int(b[0])
			b = b[1:]
			return n, true
		}
		if len(b) < 4 {
			return 0, false
		}
		n := int(b[0]&0x7f)<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		b = b[4:]
		return n, true
	}
	params := map[string]string{}
	for len(b) > 0 {
		name, ok1 := length()
		value, ok2 := length()
		if !ok1 || !ok2 || name+value > len(b) {
			return nil, false
		}
		params[string(b[:name])] = string(b[name : name+value])
		b = b[name+value:]
	}
	return params, true
}

func TestParamsEndBetweenPairs(t *testing.T) {
	t.Parallel()
	for _, sizes := range [][]int{{}, {0}, {126, 127, 128, 129}, {65_524, 65_525, 65_526, 65_527}, {32_000, 32_000, 32_000, 1}, {70_000}, {1, 70_000, 1}, {200_000, 5}} {
		params := map[string]string{}
		for i, n := range sizes {
			params[fmt.Sprintf("P%d", i)] = strings.Repeat("v", n)
		}
		joined := map[string]string{}
		for _, part := range encodeParams(params) {
			pairs, ok := decodeParams(part)
			if !ok {
				t.Fatalf("%v: a part that does not end between pairs", sizes)
			}
			if len(pairs) > 1 && len(part) > maxContent {
				t.Errorf("%v: %d pairs in a part of %d bytes", sizes, len(pairs), len(part))
			}
			maps.Copy(joined, pairs)
		}
		if !maps.Equal(joined, params) {
			t.Errorf("%v: pairs were lost or changed", sizes)
		}
	}
}
