package gm

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

// The vectors have the form of Project Wycheproof, which has none for SM2.
// `go test ./internal/gm -run TestVectors -update` generates them again; the
// generator is vectorgen_test.go and is deterministic.

var update = flag.Bool("update", false, "write testdata again")

const vectorsPath = "testdata/sm2_vectors.json"

type vectorFile struct {
	Algorithm     string            `json:"algorithm"`
	NumberOfTests int               `json:"numberOfTests"`
	Header        []string          `json:"header"`
	Notes         map[string]string `json:"notes"`
	TestGroups    []vectorGroup     `json:"testGroups"`
}

type vectorGroup struct {
	Type      string       `json:"type"` // SM2Verify, SM2PublicKey or SM2Certificate
	PublicKey string       `json:"publicKey,omitempty"`
	PEM       string       `json:"publicKeyPem,omitempty"`
	ID        string       `json:"id,omitempty"`
	Tests     []vectorTest `json:"tests"`
}

type vectorTest struct {
	TcID    int      `json:"tcId"`
	Comment string   `json:"comment"`
	Flags   []string `json:"flags"`
	Msg     string   `json:"msg"`           // the message, or the DER to parse
	Sig     string   `json:"sig,omitempty"` // the signature
	Result  string   `json:"result"`        // valid or invalid
}

func readVectors(t testing.TB) vectorFile {
	t.Helper()
	data, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	var v vectorFile
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectorsFileIsUpToDate(t *testing.T) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(generateVectors(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsPath, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, buf.Bytes()) {
		t.Fatal("testdata/sm2_vectors.json differs from what the generator makes: run with -update and read the difference")
	}
}

func TestVectorsAreAtLeastSixHundredAndAllAsLabelled(t *testing.T) {
	v := readVectors(t)
	n := 0
	for _, g := range v.TestGroups {
		for _, c := range g.Tests {
			n++
			if got := judge(t, g, c); got != c.Result {
				t.Errorf("tc %d (%s): %s, labelled %s", c.TcID, c.Comment, got, c.Result)
			}
		}
	}
	if n < 600 || n != v.NumberOfTests {
		t.Fatalf("%d vectors, file says %d", n, v.NumberOfTests)
	}
}

// judge says what internal/gm makes of a vector.
func judge(t *testing.T, g vectorGroup, c vectorTest) string {
	t.Helper()
	verdict := func(err error) string {
		if err != nil {
			return "invalid"
		}
		return "valid"
	}
	msg := unhex(t, c.Msg)
	switch g.Type {
	case "SM2Verify":
		pub, err := NewPublicKey(unhex(t, g.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		return verdict(pub.Verify(msg, unhex(t, c.Sig)))
	case "SM2PublicKey":
		_, err := ParseSPKI(msg)
		return verdict(err)
	case "SM2Certificate":
		cert, err := ParseCertificate(msg)
		if err != nil {
			return verdict(err)
		}
		if cert.FormError != nil {
			return verdict(cert.FormError)
		}
		pub, err := NewPublicKey(unhex(t, g.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		return verdict(cert.CheckSignedBy(pub))
	}
	t.Fatalf("group type %q", g.Type)
	return ""
}
