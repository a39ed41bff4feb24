package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

func testCheckpoint() Checkpoint {
	return Checkpoint{Log: "jl-gateway-1", Size: 7, Root: gm.SM3([]byte("x")), Time: time.Date(2027, 1, 2, 3, 4, 5, 6, time.UTC)}
}

func TestCheckpointIsThisText(t *testing.T) {
	c := testCheckpoint()
	text, err := c.Canonical()
	must(t, err)
	want := `{"log":"jl-gateway-1","root":"` + base64Std(c.Root[:]) + `","size":7,"time":"2027-01-02T03:04:05.000000006Z","v":1}`
	if string(text) != want {
		t.Fatalf("got %s", text)
	}
	back, err := ParseCheckpoint(text)
	must(t, err)
	if back != c {
		t.Errorf("read back %+v", back)
	}
}

func TestEmptyTreeHasTheDigestOfNothing(t *testing.T) {
	if got := hex.EncodeToString(rootOf(newTree())); got != "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b" {
		t.Errorf("empty root %s", got)
	}
}

func TestCheckpointInAnyOtherSpellingIsRefused(t *testing.T) {
	c := testCheckpoint()
	good, err := c.Canonical()
	must(t, err)
	for name, r := range map[string][2]string{
		"space": {`,"size"`, `, "size"`}, "order": {`"log":"jl-gateway-1",`, ``}, "version": {`"v":1`, `"v":2`},
		"size": {`:7,`, `:07,`}, "root": {`=`, ``}, "time": {`.000000006Z`, `Z`}, "name": {`jl-g`, `jl g`}, "more": {`"v":1`, `"v":1,"w":1`},
		"empty name": {`jl-gateway-1`, ``}, "long name": {`jl`, strings.Repeat("j", 80)},
	} {
		text := bytes.Replace(good, []byte(r[0]), []byte(r[1]), 1)
		if _, err := ParseCheckpoint(text); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseCheckpoint(bytes.Repeat(good, 20)); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("long: %v", err)
	}
	r := fullRecord()
	record, err := r.Canonical()
	must(t, err)
	if _, err := ParseCheckpoint(record); err == nil {
		t.Error("a record passed for a checkpoint")
	}
}

func TestSignedCheckpointVerifiesOnlyAsItWasSigned(t *testing.T) {
	s, other := newSigner(t), newSigner(t)
	c, err := signCheckpoint(context.Background(), s, s.key.Public(), testCheckpoint())
	must(t, err)
	back, err := ParseSignedCheckpoint(c.Marshal())
	must(t, err)
	must(t, back.Verify(other.key.Public(), s.key.Public()))
	if err := back.Verify(other.key.Public()); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("under a foreign key: %v", err)
	}
	for name, change := range map[string]func(*SignedCheckpoint){
		"size": func(c *SignedCheckpoint) { c.Size++ },
		"root": func(c *SignedCheckpoint) { c.Root[0]++ },
		"log":  func(c *SignedCheckpoint) { c.Log += "x" },
		"time": func(c *SignedCheckpoint) { c.Time = c.Time.Add(1) },
		"key":  func(c *SignedCheckpoint) { c.Key = other.key.Public().Fingerprint() },
	} {
		bad := *back
		change(&bad)
		if err := bad.Verify(s.key.Public(), other.key.Public()); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

func TestSignerWithAnotherKeyIsFoundBeforeItsSignatureIsStored(t *testing.T) {
	s := newSigner(t)
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	c.PublicKey = newSigner(t).key.Public()
	l, err := Open(c)
	must(t, err)
	_, err = l.Append(context.Background(), testRecord(0))
	must(t, err)
	if err := l.Close(); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("close: %v", err)
	}
	head, err := ReadHead(c.Dir)
	must(t, err)
	if head.Signed != nil || head.Size != 1 {
		t.Errorf("head %+v", head)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestCheckpointFollowsTheRecordsAndNothingIsSignedInRest(t *testing.T) {
	c, s := fill(t, 0, nil)
	l, err := Open(c)
	must(t, err)
	defer l.Close()
	for i := range 3 {
		_, err = l.Append(context.Background(), testRecord(i))
		must(t, err)
		waitFor(t, "the checkpoint", func() bool { h := l.Head(); return h.Signed != nil && h.Signed.Size == h.Size })
	}
	s.mu.Lock()
	before := s.seen
	s.mu.Unlock()
	time.Sleep(20 * c.CheckpointEvery)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen != before {
		t.Errorf("%d signatures while nothing happened", s.seen-before)
	}
	if err := l.Err(); err != nil {
		t.Error(err)
	}
}

func TestLedgerGoesOnWithoutItsSignerForAnHourAndThenRefuses(t *testing.T) {
	s := newSigner(t)
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	var now atomic.Int64
	now.Store(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	c.Now = func() time.Time { return time.Unix(0, now.Load()) }
	l, err := Open(c)
	must(t, err)
	_, err = l.Append(context.Background(), testRecord(0))
	must(t, err)
	waitFor(t, "the checkpoint", func() bool { h := l.Head(); return h.Signed != nil && h.Signed.Size == 1 })
	s.breakWith(errors.New("vault is sealed"))
	_, err = l.Append(context.Background(), testRecord(1))
	must(t, err)
	waitFor(t, "the alarm", func() bool { return l.Unsigned() != nil })
	if err := l.Err(); err != nil {
		t.Errorf("too early: %v", err)
	}
	now.Add(int64(MaxUnsigned))
	_, err = l.Append(context.Background(), testRecord(2))
	must(t, err)
	now.Add(1)
	if _, err = l.Append(context.Background(), testRecord(3)); !errors.Is(err, ErrUnsigned) {
		t.Fatalf("append: %v", err)
	}
	if !errors.Is(l.Err(), ErrUnsigned) {
		t.Errorf("Err: %v", l.Err())
	}
	s.breakWith(nil)
	waitFor(t, "the checkpoint", func() bool { return l.Head().Signed.Size == 3 })
	_, err = l.Append(context.Background(), testRecord(3))
	must(t, err)
	must(t, l.Close())
	verifyOK(t, c, 4)
}

func TestUnsignedTailIsSignedAfterReopening(t *testing.T) {
	c, s := fill(t, 3, nil)
	s.breakWith(errors.New("away"))
	l, err := Open(c)
	must(t, err)
	_, err = l.Append(context.Background(), testRecord(3))
	must(t, err)
	if err := l.Close(); err == nil {
		t.Error("close says nothing about the missing checkpoint")
	}
	if r := verifyOK(t, c, 4); r.Signed != 3 {
		t.Errorf("signed %d", r.Signed)
	}
	s.breakWith(nil)
	appendTo(t, c, 4, 4)
	if r := verifyOK(t, c, 4); r.Signed != 4 {
		t.Errorf("signed %d", r.Signed)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	c := testCheckpoint()
	text, err := c.Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	signed := SignedCheckpoint{Checkpoint: c, Sig: []byte{0x30, 6, 2, 1, 1, 2, 1, 1}}
	f.Add(signed.Marshal())
	f.Add([]byte(fmt.Sprintf(`{"log":"a","root":"%s","size":9007199254740991,"time":"9999-12-31T23:59:59.999999999Z","v":1}`, base64Std(c.Root[:]))))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := ParseCheckpoint(data); err == nil {
			again, err := c.Canonical()
			if err != nil || !bytes.Equal(again, data) {
				t.Fatalf("%s became %s, %v", data, again, err)
			}
		}
		if s, err := ParseSignedCheckpoint(data); err == nil && !bytes.Equal(s.Marshal(), data) {
			t.Fatalf("%s became %s", data, s.Marshal())
		}
	})
}
