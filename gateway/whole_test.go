package gateway

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/identity"
)

// note answers with one granted field of n bytes.
func note(n int) func(http.ResponseWriter, *http.Request) {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"code":0,"data":{"note":"`+strings.Repeat("x", n)+`"}}`)
	}
}

func TestAnswerOfAnySizeIsWholeOnlyWhenItsOutcomeIsRecorded(t *testing.T) {
	for _, o := range []worldOptions{{}, {http2: true}} {
		w := newWorld(t, o)
		for _, n := range []int{0, 1000, 2100, 5000, 30000, 65000, 300000} {
			w.up.answer = note(n)
			w.ledger.failWith(nil)
			if a := w.call("GET", "/pop/v1/persons", ""); a.readErr != nil || a.status != 200 || len(a.body) != n+29 {
				t.Errorf("%d bytes, recorded: %d %v, %d bytes", n, a.status, a.readErr, len(a.body))
			}
			w.ledger.failWith(func(r audit.Record) error {
				if r.Type == audit.CallOutcome {
					return audit.ErrStore
				}
				return nil
			})
			if a := w.call("GET", "/pop/v1/persons", ""); a.readErr == nil && a.status != 401 { // net/http's client may send a GET again, which is a replay
				t.Errorf("%d bytes look whole without an outcome record: %d", n, a.status)
			}
		}
		for name, method := range map[string]string{"204": "GET", "HEAD": "HEAD"} {
			w.up.answer = nil
			if name == "204" {
				w.up.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(204) }
			}
			if a := w.call(method, "/pop/v1/persons", ""); a.readErr == nil && a.status != 401 {
				t.Errorf("%s looks whole without an outcome record: %d", name, a.status)
			}
		}
	}
}

func TestRecordedLengthAndDigestAreThoseOfTheWholeAnswer(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.up.answer = note(5000)
	a := w.call("GET", "/pop/v1/persons", "")
	recs := w.records(a.header.Get("X-SG-Request-Id"))
	if n, _ := recs[1].Bytes.Value(); n != int64(len(a.body)) {
		t.Errorf("%d bytes recorded, %d sent", n, len(a.body))
	}
}

func TestRevokedGrantEndsARunningAnswer(t *testing.T) {
	for name, change := range map[string][2]string{
		"grant":  {"{id: g-pop, ", "{id: g-pop, status: revoked, "},
		"system": {"{id: a, department: rs,", "{id: a, department: rs, status: suspended,"},
		"other":  {"{id: g-old, ", "{id: g-old, status: revoked, "}, // another's grant: goes on
	} {
		w := newWorld(t, worldOptions{})
		begun, changed := make(chan struct{}), make(chan struct{})
		w.up.answer = func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			row := strings.Repeat(`{"note":"0123456789012345678901234567890123456789"},`, 4000)
			_, _ = io.WriteString(rw, `{"code":0,"data":{"list":[`+row)
			_ = http.NewResponseController(rw).Flush()
			close(begun)
			<-changed
			_, _ = io.WriteString(rw, row+`{"note":"last"}]}}`)
		}
		go func() {
			<-begun
			time.Sleep(50 * time.Millisecond) // the first part is on its way
			w.holder.Replace(w.load(strings.Replace(w.text, change[0], change[1], 1)))
			close(changed)
		}()
		a := w.call("GET", "/pop/v1/persons", "")
		if name == "other" {
			if a.readErr != nil {
				t.Errorf("%s: %v", name, a.readErr)
			}
			continue
		}
		if a.status != 200 || a.readErr == nil || strings.Contains(string(a.body), "last") {
			t.Errorf("%s: the answer went on: %d %v", name, a.status, a.readErr)
		}
		var recs []audit.Entry
		w.eventually("the outcome is recorded", func() bool { recs = w.records(a.header.Get("X-SG-Request-Id")); return len(recs) == 2 })
		if recs[1].Outcome != audit.Aborted || recs[1].Code != "SG-AUTHZ-GRANT-STATUS" {
			t.Errorf("%s: record %s", name, recs[1].Raw)
		}
	}
}

// fixedUpstream answers each connection with fixed bytes after one request.
func fixedUpstream(t *testing.T, answer string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, answer)
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func TestWhatNetHTTPQuotesOfAnUpstreamIsNotLogged(t *testing.T) {
	w := newWorld(t, worldOptions{})
	const canary = "220102199003070013"
	for name, answer := range map[string]string{
		"trailer":      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{\"code\":0}\r\n0\r\n" + canary + "\r\n\r\n",
		"chunk size":   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + canary + "x\r\n",
		"status line":  "HTTP/1.1 " + canary + "\r\n\r\n",
		"version":      canary + " 200 OK\r\n\r\n",
		"header":       "HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n",
		"length":       "HTTP/1.1 200 OK\r\nContent-Length: " + canary + "x\r\n\r\n",
		"coding":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + canary + "\r\n\r\n",
		"content type": "HTTP/1.1 200 OK\r\nContent-Type: text/" + canary + "\r\nContent-Length: 2\r\n\r\n{}",
		"redirect":     "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/" + canary + "\r\nContent-Length: 0\r\n\r\n",
	} {
		w.holder.Replace(w.load(strings.Replace(w.text, "url: "+w.hostile.URL, "url: "+fixedUpstream(t, answer), 1)))
		a := w.call("GET", "/hostile/x", "")
		if a.status != 502 || strings.Contains(fmt.Sprint(a.header, string(a.body)), canary) {
			t.Errorf("%s: %d %v %s", name, a.status, a.readErr, a.body)
		}
		if strings.Contains(w.logs.String(), canary) {
			t.Fatalf("%s: the log holds the upstream's bytes: %s", name, w.logs.String())
		}
	}
}

func TestPostWithoutABodyIsForwardedWithoutOne(t *testing.T) {
	w := newWorld(t, worldOptions{})
	if a := w.call("POST", "/corp/v1/query", ""); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if seen := w.up.take(); len(seen) != 1 || seen[0].header.Get("Transfer-Encoding") != "" || seen[0].body != "" {
		t.Errorf("the upstream saw %+v", seen)
	}
}

func TestOneOfManyParallelCallsWithTheSameNoncePasses(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 256
	signed := w.request("GET", "/pop/v1/persons", "", w.credential(), five)
	var mu sync.Mutex
	status := map[int]int{}
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			a := w.do(signed.Clone(t.Context()))
			mu.Lock()
			defer mu.Unlock()
			status[a.status]++
		})
	}
	wg.Wait()
	if status[200] != 1 || status[401] != 199 {
		t.Errorf("answers by status: %v", status)
	}
	if seen := w.up.take(); len(seen) != 1 {
		t.Errorf("the upstream saw %d requests", len(seen))
	}
}

func TestEveryCallHasOneOutcomeWheneverItsClientLeaves(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.up.answer = func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"code":0,"data":{"list":[`)
		for range 20 {
			_, _ = io.WriteString(rw, strings.Repeat(`{"note":"0123456789012345678901234567890123456789"},`, 300))
			_ = http.NewResponseController(rw).Flush()
			time.Sleep(time.Millisecond)
		}
		_, _ = io.WriteString(rw, `{"note":"x"}]}}`)
	}
	addr := strings.TrimPrefix(w.url, "http://")
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			var text strings.Builder
			req := w.request("GET", "/pop/v1/persons", "", w.credential(), five)
			_ = req.Write(&text)
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.(*net.TCPConn).SetLinger(0) // a reset
			_, _ = io.WriteString(c, text.String())
			time.Sleep(time.Duration(i) * time.Millisecond / 2)
			_ = c.Close()
		})
	}
	wg.Wait()
	w.eventually("every intent has its outcome", func() bool {
		intents, outcomes := map[string]int{}, map[string]int{}
		for _, e := range w.all() {
			switch e.Type {
			case audit.CallIntent:
				intents[e.RequestID]++
			case audit.CallOutcome:
				outcomes[e.RequestID]++
			}
		}
		for id, n := range outcomes {
			if n != 1 || intents[id] > 1 {
				t.Fatalf("%s: %d intents, %d outcomes", id, intents[id], n)
			}
		}
		for id := range intents {
			if outcomes[id] == 0 {
				return false
			}
		}
		return len(intents) > 0
	})
}

// forms are the disguises in which a value could stand somewhere.
func forms(v string) []string {
	var escaped strings.Builder
	for _, r := range v {
		fmt.Fprintf(&escaped, "\\u%04x", r)
	}
	return []string{v, hex.EncodeToString([]byte(v)), base64.StdEncoding.EncodeToString([]byte(v)), base64.RawURLEncoding.EncodeToString([]byte(v)),
		url.QueryEscape(v), identity.EncodeElement(v), escaped.String()}
}

func TestWhatACallerSendsIsInNoLogAndNoProblemDocument(t *testing.T) {
	w := newWorld(t, worldOptions{})
	canaries := []string{"220102199003070013", "13900001234", "6222021000000000009", "CANARY-token-91", "<script>alert(7)</script>", "canary@example.cn"}
	var texts []string
	collect := func(a answer) { texts = append(texts, fmt.Sprint(a.header)+string(a.body)) }
	for _, c := range canaries {
		e := identity.EncodeElement(c)
		for _, path := range []string{"/pop/v1/persons?id=" + e, "/nothing/" + e, "/pop/v1/persons/" + e + "/detail", "/hostile/" + e, "/dead?x=" + e, "/.sealgate/session?" + e, "/corp/v1/query?" + e} {
			for _, method := range []string{"GET", "POST", "PUT"} {
				body := ""
				if method != "GET" {
					body = `{"id":"` + c + `"}`
				}
				for _, five := range []identity.Elements{five, {Purpose: c, Item: c, Biz: c, Org: c, Operator: c}, {Purpose: five.Purpose, Item: c, Biz: c, Org: org, Operator: c}, {Purpose: c, Item: item, Biz: c, Org: org, Operator: c}} {
					req, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
					if err != nil {
						continue
					}
					if identity.Sign(req, []byte(body), w.credential(), five, time.Now()) == nil {
						collect(w.do(req))
					}
				}
			}
		}
		// Strangers: malformed, unknown, wrong.
		for _, name := range []string{"X-SG-App", "X-SG-Time", "X-SG-Nonce", "X-SG-Digest", "X-SG-Sign", "X-SG-Item", "X-SG-Client-Addr", "X-SG-Client-Cert", "Content-Type", "Authorization", "Cookie", "Expect", "Upgrade", "Connection", "X_" + "Canary"} {
			req := w.request("GET", "/pop/v1/persons", "", w.credential(), five)
			req.Header.Set(name, e)
			collect(w.do(req))
		}
	}
	logs := w.logs.String()
	for _, c := range canaries {
		for _, form := range forms(c) {
			if i := strings.Index(logs, form); i >= 0 {
				t.Errorf("the log holds %q: %s", form, logs[max(0, i-200):min(len(logs), i+40)])
			}
			if i := slices.IndexFunc(texts, func(s string) bool { return strings.Contains(s, form) }); i >= 0 {
				t.Errorf("an answer holds %q: %s", form, texts[i])
			}
		}
	}
	// The ledger holds the five elements as they were sent, and nothing else of a request.
	for _, e := range w.all() {
		var m map[string]any
		if err := json.Unmarshal(e.Raw, &m); err != nil {
			t.Fatal(err)
		}
		delete(m, "five")
		for _, c := range canaries {
			if strings.Contains(fmt.Sprint(m), c) {
				t.Errorf("the ledger holds %q: %s", c, e.Raw)
			}
		}
	}
	metrics := httptest.NewRecorder()
	NewAdmin(w.gw).ServeHTTP(metrics, httptest.NewRequest("GET", "/metrics", nil))
	if lines := strings.Count(metrics.Body.String(), "\n"); lines > 60 {
		t.Errorf("%d lines of metrics", lines)
	}
	t.Logf("%d answers, %d bytes of log", len(texts), len(logs))
}
