package server

import (
	"bytes"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
)

func TestRequestsThatAreNotUnderstoodAreRefused(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	form := func(parts ...string) string {
		return "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	}
	const (
		ofd      = "application/ofd"
		multi    = "multipart/form-data; boundary=b"
		document = "Content-Disposition: form-data; name=document; filename=a.ofd\r\nContent-Type: application/ofd\r\n\r\ndocument"
		request  = "Content-Disposition: form-data; name=request\r\nContent-Type: application/json\r\n\r\n"
		good     = `{"seal":"s","page":1,"at":[1,2]}`
	)
	for name, c := range map[string]struct {
		query, media, body string
		status             int
		code               string
	}{
		"no type":              {"?seal=s&page=1&at=1,2", "", "x", 415, "SG-HTTP-CONTENT-TYPE"},
		"json":                 {"?seal=s&page=1&at=1,2", "application/json", "{}", 415, "SG-HTTP-CONTENT-TYPE"},
		"bytes":                {"?seal=s&page=1&at=1,2", "application/octet-stream", "x", 415, "SG-HTTP-CONTENT-TYPE"},
		"type with parameter":  {"?seal=s&page=1&at=1,2", ofd + "; charset=utf-8", "x", 415, "SG-HTTP-CONTENT-TYPE"},
		"form of a browser":    {"?seal=s&page=1&at=1,2", "application/x-www-form-urlencoded", "x=1", 415, "SG-HTTP-CONTENT-TYPE"},
		"empty":                {"?seal=s&page=1&at=1,2", ofd, "", 422, "SG-SEAL-REQUEST"},
		"too large":            {"?seal=s&page=1&at=1,2", ofd, strings.Repeat("x", 1<<20+1), 413, "SG-HTTP-BODY-TOO-LARGE"},
		"no parameters":        {"", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"no seal":              {"?page=1&at=1,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"seal with slash":      {"?seal=..%2Fa&page=1&at=1,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"page zero":            {"?seal=s&page=0&at=1,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"page plus":            {"?seal=s&page=%2B1&at=1,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"page huge":            {"?seal=s&page=999999999999&at=1,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"position negative":    {"?seal=s&page=1&at=-1,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"position NaN":         {"?seal=s&page=1&at=NaN,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"position of one":      {"?seal=s&page=1&at=1", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"position exponent":    {"?seal=s&page=1&at=1e2,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"unknown parameter":    {"?seal=s&page=1&at=1,2&force=1", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"parameter twice":      {"?seal=s&page=1&at=1,2&page=2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"seal not UTF-8":       {"?seal=%FF&page=1&at=1,2", ofd, "x", 422, "SG-SEAL-REQUEST"},
		"form without file":    {"", multi, form(request + good), 422, "SG-SEAL-REQUEST"},
		"form without request": {"", multi, form(document), 422, "SG-SEAL-REQUEST"},
		"two documents":        {"", multi, form(request+good, document, document), 422, "SG-SEAL-REQUEST"},
		"two requests":         {"", multi, form(request+good, request+good, document), 422, "SG-SEAL-REQUEST"},
		"unknown part":         {"", multi, form(document, "Content-Disposition: form-data; name=x\r\nContent-Type: text/plain\r\n\r\n1"), 422, "SG-SEAL-REQUEST"},
		"both ways":            {"?seal=s", multi, form(request+good, document), 422, "SG-SEAL-REQUEST"},
		"form cut short":       {"", multi, "--b\r\n" + request + good, 422, "SG-SEAL-REQUEST"},
		"no form":              {"", multi, "x", 422, "SG-SEAL-REQUEST"},
		"unknown member":       {"", multi, form(request+`{"seal":"s","page":1,"at":[1,2],"force":true}`, document), 422, "SG-SEAL-REQUEST"},
		"member twice":         {"", multi, form(request+`{"seal":"s","seal":"t","page":1,"at":[1,2]}`, document), 422, "SG-SEAL-REQUEST"},
		"member missing":       {"", multi, form(request+`{"seal":"s","page":1}`, document), 422, "SG-SEAL-REQUEST"},
		"three coordinates":    {"", multi, form(request+`{"seal":"s","page":1,"at":[1,2,3]}`, document), 422, "SG-SEAL-REQUEST"},
		"long request":         {"", multi, form(request+`{"seal":"`+strings.Repeat("s", 5000)+`","page":1,"at":[1,2]}`, document), 422, "SG-SEAL-REQUEST"},
	} {
		header := []string{"Authorization", "Bearer " + officeToken}
		if c.media != "" {
			header = append(header, "Content-Type", c.media)
		}
		a := call(t, "POST", base+"/api/v1/seal"+c.query, []byte(c.body), header...)
		if p := a.problem(t); a.status != c.status || p.Code != c.code {
			t.Errorf("%s: %d %s (%s), want %d %s", name, a.status, p.Code, p.Detail, c.status, c.code)
		}
	}
	for name, header := range map[string][]string{
		"compressed":  {"Content-Encoding", "gzip"},
		"short key":   {"Idempotency-Key", "1"},
		"strange key": {"Idempotency-Key", "with space"},
	} {
		if a := sealIt(t, base, "document", header...); a.status != 415 && a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if f.happened() != "" {
		t.Errorf("something was done: %q", f.happened())
	}
	for name, at := range map[string][2]string{
		"other method": {"GET", "/api/v1/seal"}, "other path": {"POST", "/api/v1/seals/x"}, "root": {"GET", "/"},
	} {
		if a := call(t, at[0], base+at[1], nil); a.status != 404 || a.problem(t).Code != "SG-ROUTE-NOT-FOUND" {
			t.Errorf("%s: %d", name, a.status)
		}
	}
}

func FuzzFormOfASealing(f *testing.F) {
	f.Add("--b\r\nContent-Disposition: form-data; name=request\r\nContent-Type: application/json\r\n\r\n"+
		`{"seal":"s","page":1,"at":[1.5,2]}`+"\r\n--b\r\nContent-Disposition: form-data; name=document\r\n"+
		"Content-Type: application/ofd\r\n\r\nx\r\n--b--\r\n", "", "b")
	f.Add("x", "seal=s&page=1&at=1,2", "b")
	f.Fuzz(func(t *testing.T, form, query, boundary string) {
		b, err := readForm([]byte(form), boundary, true, []string{typeOFD})
		if err != nil {
			return
		}
		if len(b.document) == 0 || !bytes.Contains([]byte(form), b.document) {
			t.Fatal("a document that is not in the form")
		}
		r := httptest.NewRequest("POST", "/api/v1/seal", nil)
		r.URL.RawQuery = query
		p, err := placementOf(r, b)
		if err != nil {
			return
		}
		// What was accepted from a form is accepted from a query, and is the same
		// to three decimals.
		number := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }
		r.URL.RawQuery = "seal=" + p.seal + "&page=" + strconv.Itoa(p.page) + "&at=" + number(p.x) + "," + number(p.y)
		q, err := placementOf(r, body{})
		if err != nil || q.seal != p.seal || q.page != p.page || number(q.x) != number(p.x) || number(q.y) != number(p.y) {
			t.Fatalf("%+v became %+v, %v", p, q, err)
		}
	})
}
