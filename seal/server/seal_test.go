package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/problem"
)

func TestSealingRecordsIntentBeforeAndOutcomeAfterTheKeyIsUsed(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	a := sealIt(t, base, "document")
	if a.status != 200 || string(a.body) != "sealed by 公章1: document" || a.header.Get("Content-Type") != "application/ofd" {
		t.Fatalf("%d %q", a.status, a.body)
	}
	want := "begin prepare seal.intent=allowed apply seal.outcome=ok finish"
	if got := f.happened(); got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	intent, outcome := f.records[0], f.records[1]
	before, after := gm.SM3([]byte("document")), gm.SM3(a.body)
	if !bytes.Equal(intent.BodySM3, before[:]) || !bytes.Equal(outcome.BodySM3, after[:]) {
		t.Error("the records do not hold the digests of the document before and after")
	}
	id := a.header.Get("X-SG-Request-Id")
	if len(id) != 32 || intent.RequestID != id || outcome.RequestID != id || a.header.Get("X-SG-Use-Id") != id {
		t.Errorf("request id %q, records %q %q", id, intent.RequestID, outcome.RequestID)
	}
	if intent.Actor != (audit.Actor{Kind: "system", ID: "office"}) || intent.Object != (audit.Object{Kind: "seal", ID: sealNo}) {
		t.Errorf("intent %+v", intent)
	}
	for _, u := range f.uses {
		if u.Finished == nil || u.Finished.Document != nil || u.DocumentSM3 != before || u.Finished.ResultSM3 != after {
			t.Errorf("use without key: %+v", u)
		}
	}
}

func TestFormAndRawBodySealTheSame(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part := func(disposition, media, content string) {
		p, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {disposition}, "Content-Type": {media}})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(p, content)
	}
	part(`form-data; name="request"`, "application/json", `{"seal":"公章","page":1,"at":[138,241.5]}`)
	part(`form-data; name="document"; filename="a.ofd"`, "application/octet-stream", "document")
	w.Close()
	a := call(t, "POST", base+"/api/v1/seal", form.Bytes(), "Authorization", "Bearer "+officeToken,
		"Content-Type", w.FormDataContentType(), "Idempotency-Key", "case-0001")
	if a.status != 200 || string(a.body) != "sealed by 公章1: document" {
		t.Fatalf("%d %q", a.status, a.body)
	}
	b := sealIt(t, base, "document", "Idempotency-Key", `"case-0001"`)
	if b.status != 200 || !bytes.Equal(a.body, b.body) || b.header.Get("X-SG-Repeated") != "true" {
		t.Errorf("the raw form of the same request: %d %q", b.status, b.body)
	}
}

func TestSameKeyAndDocumentGiveTheSameResultWithoutASecondSeal(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	first := sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	f.now = f.now.Add(time.Hour)
	again := sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	if again.status != 200 || !bytes.Equal(first.body, again.body) || f.applied != 1 {
		t.Fatalf("%d %q, sealed %d times", again.status, again.body, f.applied)
	}
	if again.header.Get("X-SG-Use-Id") != first.header.Get("X-SG-Use-Id") {
		t.Error("the repetition names another use")
	}
	if !strings.HasSuffix(f.happened(), "finish begin admin.seal-repeated=ok") {
		t.Errorf("events %q", f.happened())
	}
}

func TestSameKeyWithAnotherRequestIsRefused(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	for name, a := range map[string]answer{
		"document": sealIt(t, base, "another", "Idempotency-Key", "case-0001"),
		"position": call(t, "POST", base+"/api/v1/seal?seal=%E5%85%AC%E7%AB%A0&page=2&at=138,241.5", []byte("document"),
			"Authorization", "Bearer "+officeToken, "Content-Type", "application/ofd", "Idempotency-Key", "case-0001"),
		"seal": call(t, "POST", base+"/api/v1/seal?seal=third&page=1&at=138,241.5", []byte("document"),
			"Authorization", "Bearer "+officeToken, "Content-Type", "application/ofd", "Idempotency-Key", "case-0001"),
	} {
		if p := a.problem(t); a.status != 409 || p.Code != "SG-SEAL-IDEMPOTENCY" {
			t.Errorf("another %s: %d %s", name, a.status, p.Code)
		}
	}
	if f.applied != 1 {
		t.Errorf("sealed %d times", f.applied)
	}
	if last := f.records[len(f.records)-1]; last.Outcome != audit.Denied || last.Code != "SG-SEAL-IDEMPOTENCY" {
		t.Errorf("refusal recorded as %+v", last)
	}
}

func TestKeysOfDifferentCallersDoNotMeet(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	const url = "/api/v1/seal?seal=third&page=1&at=1,2"
	for i, token := range []string{officeToken, limitedToken} {
		a := call(t, "POST", base+url, []byte{byte('a' + i)}, "Authorization", "Bearer "+token, "Content-Type", "application/ofd", "Idempotency-Key", "case-0001")
		if a.status != 200 {
			t.Errorf("caller %d: %d %s", i, a.status, a.body)
		}
	}
}

func TestSecondRequestWithTheKeyWaitsForTheFirst(t *testing.T) {
	f := newFakes()
	f.slow = make(chan struct{})
	base := start(t, f, nil)
	done := make(chan answer)
	go func() { done <- sealIt(t, base, "document", "Idempotency-Key", "case-0001") }()
	for !strings.Contains(f.happened(), "apply") {
		time.Sleep(time.Millisecond)
	}
	a := sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	if p := a.problem(t); a.status != 409 || p.Code != "SG-SEAL-BUSY" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s, Retry-After %q", a.status, p.Code, a.header.Get("Retry-After"))
	}
	close(f.slow)
	if first := <-done; first.status != 200 {
		t.Errorf("the first: %d %s", first.status, first.body)
	}
	if a = sealIt(t, base, "document", "Idempotency-Key", "case-0001"); a.status != 200 {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
}

func TestClaimOfADeadProcessIsTakenOver(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	f.uses["office/case-0001"] = &Use{ID: "dead", Caller: "office", Key: "case-0001", Begun: f.now.Add(-time.Hour)}
	if a := sealIt(t, base, "document", "Idempotency-Key", "case-0001"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRecordsOfASealingNameItsKeyAndThatItIsASoftwareKey(t *testing.T) {
	f := newFakes()
	var named int
	f.ledger = func(r audit.Record) error {
		if r.Key == (audit.KeyUse{Name: "permit-seal", Software: true, Version: audit.N(1)}) {
			named++
		}
		return nil
	}
	base := start(t, f, nil)
	if a := sealIt(t, base, "document"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if named != 2 {
		t.Errorf("%d records name the key, want intent and outcome", named)
	}
}

func TestNothingIsSealedWithoutARecordOfTheIntent(t *testing.T) {
	f := newFakes()
	f.ledger = func(r audit.Record) error {
		if r.Type == audit.SealIntent {
			return audit.ErrFull
		}
		return nil
	}
	base := start(t, f, nil)
	a := sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	if p := a.problem(t); a.status != 503 || p.Code != "SG-AUDIT-FULL" {
		t.Errorf("%d %s", a.status, p.Code)
	}
	if strings.Contains(f.happened(), "apply") || len(f.uses) != 0 {
		t.Errorf("events %q, claims left %d", f.happened(), len(f.uses))
	}
}

func TestNoDocumentLeavesWithoutARecordOfTheOutcome(t *testing.T) {
	f := newFakes()
	f.ledger = func(r audit.Record) error {
		if r.Type == audit.SealOutcome {
			return errors.New("disk on fire")
		}
		return nil
	}
	base := start(t, f, nil)
	a := sealIt(t, base, "document")
	if p := a.problem(t); a.status != 503 || p.Code != "SG-AUDIT-UNAVAILABLE" || bytes.Contains(a.body, []byte("fire")) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if len(f.uses) != 0 {
		t.Error("the claim was left behind")
	}
}

func TestNoDocumentLeavesWhenTheUseCannotBeStored(t *testing.T) {
	f := newFakes()
	f.finishErr = ErrUseLost
	base := start(t, f, nil)
	a := sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	if p := a.problem(t); a.status != 503 || p.Code != "SG-STOP-STATE" {
		t.Errorf("%d %s", a.status, p.Code)
	}
	if last := f.records[len(f.records)-1]; last.Outcome != audit.Aborted {
		t.Errorf("last record %+v", last)
	}

	f = newFakes()
	f.beginErr = errors.New("database is locked")
	base = start(t, f, nil)
	if a = sealIt(t, base, "document"); a.status != 503 || strings.Contains(f.happened(), "prepare") {
		t.Errorf("%d, events %q", a.status, f.happened())
	}
}

func TestStoredResultThatWasChangedIsNotHandedOut(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	f.uses["office/case-0001"].Finished.Document[0] ^= 1
	if a := sealIt(t, base, "document", "Idempotency-Key", "case-0001"); a.status != 503 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRefusedAndFailedSealingsAreRecordedAndFreeTheKey(t *testing.T) {
	for name, c := range map[string]struct {
		prepare, apply error
		status         int
		code           string
		outcome        audit.Outcome
	}{
		"locked document": {prepare: problem.Coded("SG-SEAL-LOCKED"), status: 409, code: "SG-SEAL-LOCKED", outcome: audit.Denied},
		"unknown error":   {prepare: errors.New("secret detail"), status: 500, code: "SG-INTERNAL", outcome: audit.Denied},
		"keys away":       {apply: problem.Coded("SG-KEY-UNAVAILABLE"), status: 503, code: "SG-KEY-UNAVAILABLE", outcome: audit.Failed},
	} {
		f := newFakes()
		f.prepare, f.apply = c.prepare, c.apply
		base := start(t, f, nil)
		a := sealIt(t, base, "document", "Idempotency-Key", "case-0001")
		if p := a.problem(t); a.status != c.status || p.Code != c.code || bytes.Contains(a.body, []byte("secret")) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if last := f.records[len(f.records)-1]; last.Type != audit.SealOutcome || last.Outcome != c.outcome || last.Code != c.code {
			t.Errorf("%s: recorded %+v", name, last)
		}
		f.prepare, f.apply = nil, nil
		if a = sealIt(t, base, "document", "Idempotency-Key", "case-0001"); a.status != 200 {
			t.Errorf("%s: second attempt with the key: %d %s", name, a.status, a.body)
		}
	}
}

func TestSealingThatOutlivesItsDeadlineIsRecordedAsFailed(t *testing.T) {
	f := newFakes()
	f.slow = make(chan struct{})
	base := start(t, f, func(c *Config) { c.Deadline = 50 * time.Millisecond })
	a := sealIt(t, base, "document")
	if a.status != 500 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if last := f.records[len(f.records)-1]; last.Outcome != audit.Failed || len(f.uses) != 0 {
		t.Errorf("recorded %+v, claims left %d", last, len(f.uses))
	}
}

func TestSealingNeedsAValidToken(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	for name, headers := range map[string][]string{
		"none":         {},
		"wrong":        {"Authorization", "Bearer " + strings.Repeat("x", 32)},
		"prefix":       {"Authorization", "Bearer " + officeToken[:31]},
		"longer":       {"Authorization", "Bearer " + officeToken + "0"},
		"other scheme": {"Authorization", "Basic " + officeToken},
		"empty":        {"Authorization", "Bearer "},
		"two tokens":   {"Authorization", "Bearer " + officeToken + ", Bearer " + officeToken},
	} {
		headers = append(headers, "Content-Type", "application/ofd")
		a := call(t, "POST", base+sealQuery, []byte("document"), headers...)
		if p := a.problem(t); a.status != 401 || p.Code != "SG-AUTHN-TOKEN" || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: %d %s %q", name, a.status, p.Code, a.header.Get("WWW-Authenticate"))
		}
		if a := call(t, "GET", base+"/api/v1/seals", nil, headers[:len(headers)-2]...); a.status != 401 {
			t.Errorf("%s: list %d", name, a.status)
		}
	}
	if f.happened() != "" || len(f.refused) != 14 {
		t.Errorf("events %q, refusals %v", f.happened(), f.refused)
	}
}

func TestTokenSealsOnlyWithItsSeals(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	a := call(t, "POST", base+sealQuery, []byte("document"), "Authorization", "Bearer "+limitedToken, "Content-Type", "application/ofd")
	if p := a.problem(t); a.status != 403 || p.Code != "SG-AUTHZ-SEAL" {
		t.Errorf("%d %s", a.status, p.Code)
	}
	if got := f.happened(); got != "begin seal.outcome=denied drop" {
		t.Errorf("events %q", got)
	}
	a = call(t, "GET", base+"/api/v1/seals", nil, "Authorization", "Bearer "+limitedToken)
	var list struct{ Seals []Seal }
	if err := json.Unmarshal(a.body, &list); err != nil || len(list.Seals) != 1 || list.Seals[0].Name != "other-seal" {
		t.Errorf("%s", a.body)
	}
}

func TestPanicIsRecordedAsTheOutcomeAndFreesTheKey(t *testing.T) {
	for where, outcome := range map[string]audit.Outcome{"prepare": audit.Denied, "apply": audit.Failed, "finish": audit.Aborted} {
		f := newFakes()
		f.panics = where
		base := start(t, f, nil)
		a := sealIt(t, base, "document", "Idempotency-Key", "case-0001")
		if p := a.problem(t); a.status != 500 || p.Code != problem.Internal || strings.Contains(string(a.body), "secret") {
			t.Errorf("%s: %d %s", where, a.status, a.body)
		}
		if last := f.records[len(f.records)-1]; last.Type != audit.SealOutcome || last.Outcome != outcome || last.Code != problem.Internal {
			t.Errorf("%s: recorded as %+v", where, last)
		}
		f.panics = ""
		if a := sealIt(t, base, "document", "Idempotency-Key", "case-0001"); a.status != 200 {
			t.Errorf("%s: the key is not free: %d %s", where, a.status, a.body)
		}
	}
}

func TestRepetitionThatIsRefusedIsRecorded(t *testing.T) {
	f := newFakes()
	base := start(t, f, nil)
	sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	f.uses["office/case-0001"].Finished.Document[0] ^= 1
	sealIt(t, base, "document", "Idempotency-Key", "case-0001")
	if last := f.records[len(f.records)-1]; last.Outcome != audit.Denied || last.Code != "SG-STOP-STATE" {
		t.Errorf("recorded as %+v", last)
	}
}
