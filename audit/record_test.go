package audit

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

func fullRecord() Record {
	r := testRecord(1)
	r.Seq, r.Time, r.Node = 42, time.Date(2027, 3, 4, 5, 6, 7, 80, time.FixedZone("CST", 8*3600)), "gw1"
	body := gm.SM3([]byte("body"))
	r.BodySM3 = body[:]
	r.Subject = []string{NewSubjectIndex([]byte("k")).Token("mobile", "13800000000")}
	r.SubjectMore = N(0)
	r.Counts = []Count{{"SG-AUTHN-TIME", 3}, {"SG-HTTP-LINE", 1}}
	r.Object.ID = `a"b\c<d>&e` + "\u2028省"
	r.Key = KeyUse{Name: "seal-rs", Software: true, Version: N(2)}
	return r
}

func TestCanonicalRecordIsThisText(t *testing.T) {
	r := fullRecord()
	got, err := r.Canonical()
	must(t, err)
	want := `{"actor":{"department":"rs","id":"rs-benefit","kind":"system"},"body_sm3":"` + base64Std(r.BodySM3) + `","bytes":321,"code":"SG-OK",` +
		`"counts":{"SG-AUTHN-TIME":3,"SG-HTTP-LINE":1},"decision":{"cached":true,"id":"d-1","revision":"r1"},` +
		`"fields":{"dropped":3,"masked":["data.idCard"],"shown":["data.name"]},` +
		`"five":{"biz":"B1","item":"11220000013544541J3000117002011","operator":"op1","org":"11220000013544541J","purpose":"benefit"},` +
		`"key":{"name":"seal-rs","software":true,"version":2},` +
		`"ms":7,"node":"gw1","object":{"id":"a\"b\\c<d>&e` + "\u2028省" + `","kind":"interface"},"outcome":"ok","request_id":"req-000001","rows":1,"seq":42,` +
		`"subject":["` + r.Subject[0] + `"],"subject_more":0,"time":"2027-03-03T21:06:07.000000080Z","type":"call.outcome","upstream":{"ms":5,"status":200},"v":1}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	back, err := ParseRecord(got)
	must(t, err)
	again, err := back.Canonical()
	must(t, err)
	if !bytes.Equal(again, got) {
		t.Errorf("again %s", again)
	}
}

func TestAbsentValuesAreLeftOut(t *testing.T) {
	r := Record{Time: time.Unix(0, 0), Node: "n", Type: "admin.x"}
	got, err := r.Canonical()
	must(t, err)
	if want := `{"node":"n","seq":0,"time":"1970-01-01T00:00:00.000000000Z","type":"admin.x","v":1}`; string(got) != want {
		t.Errorf("got %s", got)
	}
}

func TestRecordInAnyOtherSpellingIsRefused(t *testing.T) {
	r := fullRecord()
	good, err := r.Canonical()
	must(t, err)
	replace := func(old, new string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			t.Fatalf("the record has no %s", old)
		}
		return bytes.Replace(good, []byte(old), []byte(new), 1)
	}
	cases := map[string][]byte{
		"empty":                 nil,
		"white space":           replace(`,"seq"`, `, "seq"`),
		"bytes behind":          append(bytes.Clone(good), '\n'),
		"unknown member":        replace(`"ms":7`, `"ms":7,"mz":1`),
		"repeated member":       replace(`"ms":7`, `"ms":7,"ms":7`),
		"members out of order":  replace(`"bytes":321,"code":"SG-OK"`, `"code":"SG-OK","bytes":321`),
		"null":                  replace(`"ms":7`, `"ms":null`),
		"float":                 replace(`"ms":7`, `"ms":7.0`),
		"exponent":              replace(`"ms":7`, `"ms":7e0`),
		"leading zero":          replace(`"ms":7`, `"ms":07`),
		"negative":              replace(`"ms":7`, `"ms":-7`),
		"2^53":                  replace(`"ms":7`, `"ms":9007199254740992`),
		"many digits":           replace(`"ms":7`, `"ms":99999999999999999999`),
		"number as string":      replace(`"ms":7`, `"ms":"7"`),
		"escaped letter":        replace(`benefit`, `\u0062enefit`),
		"escaped slash":         replace(`benefit`, `bene\/fit`),
		"HTML escape":           replace(`<d>`, `\u003cd>`),
		"control character":     replace(`benefit`, "bene\nfit"),
		"not UTF-8":             replace(`benefit`, "bene\xfffit"),
		"surrogate":             replace(`benefit`, "bene\xed\xa0\x80fit"),
		"empty string":          replace(`"SG-OK"`, `""`),
		"empty object":          replace(`"upstream":{"ms":5,"status":200}`, `"upstream":{}`),
		"empty array":           replace(`"masked":["data.idCard"]`, `"masked":[]`),
		"three fraction digits": replace(`07.000000080Z`, `07.000Z`),
		"offset":                replace(`07.000000080Z`, `07.000000080+00:00`),
		"second 60":             replace(`:07.`, `:60.`),
		"day that is none":      replace(`2027-03-03`, `2027-02-30`),
		"other version":         replace(`"v":1`, `"v":2`),
		"no version":            replace(`,"v":1`, ``),
		"no type":               replace(`"type":"call.outcome",`, ``),
		"unknown type":          replace(`call.outcome`, `call.other`),
		"unknown outcome":       replace(`"outcome":"ok"`, `"outcome":"okay"`),
		"unknown actor":         replace(`"kind":"system"`, `"kind":"robot"`),
		"counts out of order":   replace(`"SG-AUTHN-TIME":3,"SG-HTTP-LINE":1`, `"SG-HTTP-LINE":1,"SG-AUTHN-TIME":3`),
		"digest of 31 bytes":    replace(base64Std(r.BodySM3), base64Std(r.BodySM3[1:])),
		"digest without pad":    replace(base64Std(r.BodySM3), strings.TrimRight(base64Std(r.BodySM3), "=")),
		"cached false alone":    replace(`{"cached":true,"id":"d-1","revision":"r1"}`, `{"cached":false}`),
		"cut":                   good[:len(good)-1],
		"array":                 []byte(`[]`),
	}
	for name, text := range cases {
		if _, err := ParseRecord(text); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRecordThatBreaksALimitIsRefusedAndNothingIsWritten(t *testing.T) {
	c, _ := fill(t, 0, nil)
	l, err := Open(c)
	must(t, err)
	long := strings.Repeat("x", 513)
	bad := map[string]func(*Record){
		"type":           func(r *Record) { r.Type = "call.x" },
		"no request":     func(r *Record) { r.RequestID = "" },
		"no outcome":     func(r *Record) { r.Outcome = "" },
		"code":           func(r *Record) { r.Code = "sg-ok" },
		"actor":          func(r *Record) { r.Actor.ID = "" },
		"object":         func(r *Record) { r.Object.Kind = "" },
		"purpose":        func(r *Record) { r.Five.Purpose = long },
		"control":        func(r *Record) { r.Five.Biz = "a\x00b" },
		"encoding":       func(r *Record) { r.Five.Biz = "\xff" },
		"negative":       func(r *Record) { r.Ms = N(-1) },
		"too large":      func(r *Record) { r.Bytes = N(1 << 53) },
		"digest":         func(r *Record) { r.BodySM3 = []byte{1} },
		"subject":        func(r *Record) { r.Subject = []string{"220102199003070013"} },
		"subjects":       func(r *Record) { r.Subject = make([]string, MaxSubjects+1) },
		"paths":          func(r *Record) { r.Fields.Shown = make([]string, maxPaths+1) },
		"path":           func(r *Record) { r.Fields.Masked = []string{""} },
		"counts":         func(r *Record) { r.Counts = []Count{{"B", 1}, {"A", 1}} },
		"negative count": func(r *Record) { r.Counts = []Count{{"B", -1}} },
		"whole": func(r *Record) {
			for i := range 1000 {
				r.Fields.Shown = append(r.Fields.Shown, strings.Repeat("p", 300)+fmt.Sprint(i))
			}
		},
	}
	for name, change := range bad {
		r := testRecord(1)
		change(&r)
		_, err := l.Append(t.Context(), r)
		if !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "220102199003070013") {
			t.Errorf("%s: the error shows the value", name)
		}
	}
	must(t, l.Close())
	verifyOK(t, c, 0)
}

func TestLargestRecordIsAccepted(t *testing.T) {
	c, _ := fill(t, 0, nil)
	l, err := Open(c)
	must(t, err)
	r := testRecord(1)
	x := NewSubjectIndex([]byte("k"))
	for i := range MaxSubjects {
		r.Subject = append(r.Subject, x.Token("mobile", fmt.Sprint(i)))
	}
	for i := range 400 {
		r.Fields.Shown = append(r.Fields.Shown, strings.Repeat("p", 500)+fmt.Sprint(i))
	}
	for range 3 {
		if _, err := l.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	must(t, l.Close())
	verifyOK(t, c, 3)
}

func TestTypesAreThoseOfTheContract(t *testing.T) {
	for _, good := range []Type{CallIntent, CallOutcome, SealIntent, SealOutcome, AdminRefused, AdminRecovered, "grant.approve", "key.rotate-1", "stop.all", "policy.activate"} {
		if err := good.Check(); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []Type{"", "call", "call.", "call.x", "grant", "grant.", "grant.A", "grant.a b", "grant.1", "other.x", Type("key." + strings.Repeat("a", 49))} {
		if bad.Check() == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	r := fullRecord()
	full, err := r.Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte(`{"node":"n","seq":0,"time":"1970-01-01T00:00:00.000000000Z","type":"admin.x","v":1}`))
	f.Add([]byte(`{"counts":{"A":1},"node":"n","seq":0,"time":"1970-01-01T00:00:00.000000000Z","type":"stop.x","v":1}`))
	f.Add([]byte(`{"actor":{"id":"\\\"","kind":"person"},`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRecord(data)
		if err != nil {
			return
		}
		again, err := r.Canonical()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%s became %s, %v", data, again, err)
		}
	})
}
