package audit

import (
	"context"
	"strings"
	"testing"
)

type panickingSigner struct{}

func (panickingSigner) SignCheckpoint(context.Context, []byte) ([]byte, error) {
	panic("secret 220102199003070013")
}

func TestSignerThatPanicsIsASignerThatIsAway(t *testing.T) {
	c := testConfig(t, t.TempDir()+"/ledger", newSigner(t))
	c.Signer = panickingSigner{}
	l, err := Open(c)
	must(t, err)
	if _, err := l.Append(context.Background(), testRecord(1)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the signer's error", func() bool { return l.Unsigned() != nil })
	if _, err := l.Append(context.Background(), testRecord(2)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "panic") || strings.Contains(err.Error(), "2201") {
		t.Errorf("Close: %v", err)
	}
	if r, err := Verify(c.Dir, VerifyOptions{}); err != nil || !r.OK || r.Size != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}
