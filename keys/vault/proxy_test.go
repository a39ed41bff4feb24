package vault_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// chaosProxy stands between client and server on TCP. It reads whole requests
// and answers, so that it can cut a connection exactly after Vault has done
// its work and before the client knows.
type chaosProxy struct {
	t      *testing.T
	addr   string
	target string

	mu    sync.Mutex
	part  string
	count int // answers to requests whose path contains part, still to be lost
	lost  [][]byte
}

func newChaosProxy(t *testing.T, target string) *chaosProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &chaosProxy{t: t, addr: "http://" + l.Addr().String(), target: strings.TrimPrefix(target, "http://")}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	}()
	return p
}

func (p *chaosProxy) swallow(part string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.part, p.count, p.lost = part, n, nil
}

func (p *chaosProxy) swallowed() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func (p *chaosProxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	in, out := bufio.NewReader(client), bufio.NewReader(server)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if err := req.Write(server); err != nil {
			return
		}
		resp, err := http.ReadResponse(out, req)
		if err != nil {
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		p.mu.Lock()
		lose := p.count > 0 && strings.Contains(req.URL.Path, p.part)
		if lose {
			p.count--
			p.lost = append(p.lost, body)
		}
		p.mu.Unlock()
		if lose {
			return
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		if err := resp.Write(client); err != nil {
			return
		}
	}
}

// signatureIn returns the one signature of an answer.
func signatureIn(t *testing.T, body []byte) []byte {
	t.Helper()
	var answer struct {
		Data struct {
			Signatures []string `json:"signatures"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	sigs, err := wire.Unpack(answer.Data.Signatures, keys.MaxBatch, 72)
	if err != nil || len(sigs) != 1 {
		t.Fatalf("%d signatures, %v", len(sigs), err)
	}
	return sigs[0]
}
