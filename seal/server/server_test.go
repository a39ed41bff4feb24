package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/seal"
)

var (
	_ Verifier = (*seal.Verifier)(nil)
	_ Ledger   = (*audit.Ledger)(nil)
)

const (
	officeToken  = "0123456789abcdef0123456789abcdef"
	limitedToken = "fedcba9876543210fedcba9876543210"
	tokenFile    = "# tokens\n\noffice " + officeToken + "\nlimited " + limitedToken + " other-seal,third\n"
	sealNo       = "22010000000001"
)

// start serves the API as it is served in earnest and returns its address.
func start(t *testing.T, f *fakes, change func(*Config)) string {
	t.Helper()
	tokens, err := ParseTokens([]byte(tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Sealer: f, Seals: f, Verifier: f, Uses: f, Ledger: f, Tokens: tokens, Now: func() time.Time { return f.now },
		OnRefuse: func(code string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.refused = append(f.refused, code)
		},
	}
	if change != nil {
		change(&cfg)
	}
	api, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := httpserve.New(httpserve.Config{BodyBytes: 1 << 20}, api)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) problem(t *testing.T) problem.Problem {
	t.Helper()
	var p problem.Problem
	if err := json.Unmarshal(a.body, &p); err != nil || a.header.Get("Content-Type") != problem.ContentType {
		t.Fatalf("no problem document: %d %q", a.status, a.body)
	}
	return p
}

func call(t *testing.T, method, url string, body []byte, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, data}
}

const sealQuery = "/api/v1/seal?seal=%E5%85%AC%E7%AB%A0&page=1&at=138,241.5"

func sealIt(t *testing.T, base string, body string, header ...string) answer {
	t.Helper()
	header = append([]string{"Authorization", "Bearer " + officeToken, "Content-Type", "application/ofd"}, header...)
	return call(t, "POST", base+sealQuery, []byte(body), header...)
}

func TestVerifyingIsOpenAndAnswersWithTheReport(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	a := call(t, "POST", base+"/api/v1/verify?name=..%2F%E8%AE%B8%E5%8F%AF%E8%AF%81.ofd&strict=true&at=2027-01-02T03:04:05%2B08:00", []byte("%PDF"), "Content-Type", "application/pdf")
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	var report seal.Report
	if err := json.Unmarshal(a.body, &report); err != nil {
		t.Fatal(err)
	}
	if report.File != "许可证.ofd" || report.Indication != seal.Invalid || report.Uncovered[0] != "2027-01-01T19:04:05Z" || report.Uncovered[1] != "%PDF" {
		t.Errorf("%+v", report)
	}
	form := "--b\r\nContent-Disposition: form-data; name=document; filename=\"a\u202eb.ofd\"\r\nContent-Type: application/octet-stream\r\n\r\nx\r\n--b--\r\n"
	a = call(t, "POST", base+"/api/v1/verify", []byte(form), "Content-Type", "multipart/form-data; boundary=b")
	if err := json.Unmarshal(a.body, &report); err != nil || report.File != "document" || report.Indication != seal.Valid || report.Uncovered[0] != f.now.Format(time.RFC3339) {
		t.Errorf("%s", a.body)
	}
	for _, query := range []string{"?strict=yes", "?at=yesterday", "?trust=all"} {
		if a := call(t, "POST", base+"/api/v1/verify"+query, []byte("x"), "Content-Type", "application/ofd"); a.status != 422 {
			t.Errorf("%s: %d", query, a.status)
		}
	}
	if len(f.records) != 0 {
		t.Error("a public verification was recorded")
	}
}

func TestBusyServerTurnsAwayInsteadOfQueueingWithoutEnd(t *testing.T) {
	f := newFakes()
	f.slow = make(chan struct{})
	base := start(t, f, func(c *Config) { c.Sealings, c.Wait = 1, 20*time.Millisecond })
	done := make(chan answer)
	go func() { done <- sealIt(t, base, "document") }()
	for !strings.Contains(f.happened(), "apply") {
		time.Sleep(time.Millisecond)
	}
	a := sealIt(t, base, "document")
	if p := a.problem(t); a.status != 503 || p.Code != "SG-STOP-OVERLOAD" {
		t.Errorf("%d %s", a.status, p.Code)
	}
	if a := call(t, "POST", base+"/api/v1/verify", []byte("x"), "Content-Type", "application/ofd"); a.status != 200 {
		t.Errorf("verification waits for sealing: %d", a.status)
	}
	close(f.slow)
	if first := <-done; first.status != 200 {
		t.Errorf("%d", first.status)
	}
}

func TestHealthSaysThatTheProcessAnswers(t *testing.T) {
	base := start(t, newFakes(), nil)
	if a := call(t, "GET", base+"/api/v1/health", nil); a.status != 200 || string(a.body) != "{\"status\":\"ok\"}\n" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestServerWithoutAllItsPartsIsNotMade(t *testing.T) {
	if _, err := New(Config{}); err == nil {
		t.Error("made")
	}
}
