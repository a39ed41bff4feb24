package audit

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// rewritten is m with every outcome changed and everything but the signatures
// made good, the records spread over a day, and the checkpoints replaced by what
// sign makes of the true root behind each batch (nil: none).
func rewritten(t *testing.T, m image, sign func(Checkpoint) *SignedCheckpoint) image {
	t.Helper()
	f := takeApart(t, m)
	tree := newTree()
	at := time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)
	for b := range f.batches {
		f.batches[b].signed = nil
		if sign != nil && tree.End() > 0 {
			c := Checkpoint{Log: f.log, Size: tree.End(), Time: at}
			copy(c.Root[:], rootOf(tree))
			f.batches[b].signed = sign(c).Marshal()
		}
		for i, text := range f.batches[b].records {
			r, err := ParseRecord(text)
			must(t, err)
			r.Outcome, r.Time = Failed, at
			at = at.Add(24 * time.Minute)
			text, err = r.Canonical()
			must(t, err)
			f.batches[b].records[i] = text
			must(t, tree.Append(hashLeaf(append([]byte{leafPrefix}, text...)), nil))
		}
	}
	return f.put(t)
}

// Whoever can write to the folder must not get the key's signature over a
// history of his own by letting the process start once: what he leaves behind
// then would verify.
func TestOpenSignsNoHistoryWhoseCheckpointsWereTakenAway(t *testing.T) {
	c, m, _ := tamperLedger(t)
	rewritten(t, m, nil).write(t, c.Dir)
	if l, err := Open(c); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "checkpoints were removed") {
		t.Fatalf("Open: %v, %v", l, err)
	}
}

func TestOpenSignsNoHistoryThatAnotherKeySigned(t *testing.T) {
	c, m, _ := tamperLedger(t)
	other := newSigner(t)
	rewritten(t, m, func(p Checkpoint) *SignedCheckpoint {
		s, err := signCheckpoint(context.Background(), other, other.key.Public(), p)
		must(t, err)
		return s
	}).write(t, c.Dir)
	if l, err := Open(c); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "not trusted") {
		t.Fatalf("Open: %v, %v", l, err)
	}
	// The same after the operator has said that it was his key before.
	c.FormerKeys = []*gm.PublicKey{other.key.Public()}
	l, err := Open(c)
	must(t, err)
	must(t, l.Close())
}

// A process that was killed, and is started hours later, notes the torn end
// before its first checkpoint. Should it be killed again just then, nobody has
// removed anything.
func TestCrashRightAfterALateRecoveryIsNoTampering(t *testing.T) {
	c, m, _ := tamperLedger(t)
	names := m.names()
	last := names[len(names)-1]
	f, err := parseFrame(m[last])
	must(t, err)
	// The last segment up to its header, a frame of records that no checkpoint
	// covers, and a part of a frame: what a kill leaves.
	var frames [][]byte
	for off := 0; off < len(m[last]); off += f.size {
		f, err = parseFrame(m[last][off:])
		must(t, err)
		frames = append(frames, m[last][off:off+f.size])
	}
	end := len(frames) - 1
	for end > 1 && frames[end-1][19] == 0 { // frames without records
		end--
	}
	var data []byte
	for _, fr := range frames[:end] {
		data = append(data, fr...)
	}
	data = append(append(data, frames[end][:9]...), make([]byte, 4096)...)
	m[last] = data
	m.write(t, c.Dir)
	s := newSigner(t)
	s.key = c.Signer.(*keySigner).key
	s.breakWith(errors.New("signer is away"))
	c.Signer, c.Now = s, func() time.Time { return time.Now().Add(5 * time.Hour) }
	l, err := Open(c)
	must(t, err)
	copied := readImage(t, c.Dir)
	_ = l.Close() // the signer is away
	copied.write(t, c.Dir)
	r, err := Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}})
	if err != nil || !r.OK || r.Size < r.Signed+2 {
		t.Fatalf("Verify: %+v, %v", r, err)
	}
	s.breakWith(nil)
	l, err = Open(c)
	must(t, err)
	must(t, l.Close())
}

func TestVerifyDoesNotWaitForAPipeInASegmentsPlace(t *testing.T) {
	c, m, _ := tamperLedger(t)
	name := filepath.Join(c.Dir, m.names()[1])
	must(t, os.Remove(name))
	must(t, syscall.Mkfifo(name, 0o600))
	if r, err := Verify(c.Dir, VerifyOptions{}); err != nil || r.OK {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestReportSaysNoSignatureWasCheckedWhenThereWasNone(t *testing.T) {
	c, m, _ := tamperLedger(t)
	f := takeApart(t, m)
	for b := range f.batches {
		f.batches[b].signed = nil
	}
	f.put(t).write(t, c.Dir)
	r, err := Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}})
	must(t, err)
	if !r.OK || r.Signed != 0 || r.SignaturesChecked {
		t.Errorf("a young ledger without checkpoints: %+v", r)
	}
}
