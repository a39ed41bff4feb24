package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
)

type ownKey struct{ *gm.PrivateKey }

func (k ownKey) SignCheckpoint(_ context.Context, text []byte) ([]byte, error) {
	if _, err := audit.ParseCheckpoint(text); err != nil {
		return nil, err
	}
	return k.Sign(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// realLedger writes a ledger of 50 records in several runs and segments. It
// returns checkpoints as a witness kept them.
func realLedger(t *testing.T) (dir string, pub *gm.PublicKey, kept []*audit.SignedCheckpoint) {
	key, err := gm.GenerateKey()
	must(t, err)
	dir = filepath.Join(t.TempDir(), "ledger")
	for run := range 5 {
		l, err := audit.Open(audit.Config{
			Dir: dir, Log: "checked", Node: "n", Signer: ownKey{key}, PublicKey: key.Public(),
			SegmentSize: 8 << 10, CheckpointEvery: 5 * time.Millisecond,
		})
		must(t, err)
		for i := range 10 {
			_, err := l.Append(context.Background(), audit.Record{
				Type: audit.CallIntent, RequestID: fmt.Sprintf("%d-%d", run, i), Outcome: audit.Allowed,
				Actor: audit.Actor{Kind: "system", ID: `名"字\<`}, Rows: audit.N(int64(i)),
			})
			must(t, err)
		}
		must(t, l.Close())
		head, err := audit.ReadHead(dir)
		must(t, err)
		kept = append(kept, head.Signed)
	}
	return dir, key.Public(), kept
}

func TestSecondCheckerWrittenFromTheDocumentAgrees(t *testing.T) {
	dir, pub, kept := realLedger(t)
	n, err := checkLedger(dir, pub)
	if err != nil || n != 50 {
		t.Fatalf("%d records, %v", n, err)
	}
	for i := range uint64(50) {
		p, err := audit.Prove(dir, i)
		must(t, err)
		must(t, checkInclusion(p.Marshal(), pub))
		bad := bytes.Replace(p.Marshal(), []byte(`"outcome":"allowed"`), []byte(`"outcome":"denied"`), 1)
		if checkInclusion(bad, pub) == nil {
			t.Errorf("a changed record %d was proved", i)
		}
	}
	for i, from := range kept {
		p, err := audit.ProveConsistency(dir, from)
		must(t, err)
		must(t, checkConsistency(p.Marshal(), pub))
		p.Hashes = append(p.Hashes, make([]byte, 32))
		if i < len(kept)-1 && checkConsistency(p.Marshal(), pub) == nil {
			t.Error("a padded proof was taken")
		}
	}
	other, err := gm.GenerateKey()
	must(t, err)
	if _, err := checkLedger(dir, other.Public()); err == nil {
		t.Error("the ledger checks under another key")
	}
	// Both checkers find each of many flipped bits.
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	must(t, err)
	rnd := rand.New(rand.NewPCG(9, 9))
	for range 300 {
		name := names[rnd.IntN(len(names))]
		good, err := os.ReadFile(name)
		must(t, err)
		bad := bytes.Clone(good)
		bad[rnd.IntN(len(bad))] ^= 1 << rnd.IntN(8)
		must(t, os.WriteFile(name, bad, 0o600))
		_, second := checkLedger(dir, pub)
		first, err := audit.Verify(dir, audit.VerifyOptions{PublicKeys: []*gm.PublicKey{pub}})
		must(t, err)
		if second == nil || first.OK {
			t.Fatalf("a flipped bit: the document's checker says %v, audit says %+v", second, first)
		}
		must(t, os.WriteFile(name, good, 0o600))
	}
}

func TestSecondCheckerFitsOnFourPages(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "audit", "checker_test.go"))
	must(t, err)
	if n := strings.Count(string(text), "\n"); n > 200 {
		t.Errorf("the checker has %d lines; a format that needs more than 200 is too complicated", n)
	}
}

func Example() {
	key, _ := gm.GenerateKey()
	dir, _ := os.MkdirTemp("", "ledger")
	defer os.RemoveAll(dir)

	ledger, err := audit.Open(audit.Config{
		Dir: filepath.Join(dir, "ledger"), Log: "jl-gateway-1", Node: "gw1", Signer: ownKey{key}, PublicKey: key.Public(),
	})
	if err != nil {
		panic(err)
	}
	receipt, err := ledger.Append(context.Background(), audit.Record{
		Type: audit.CallIntent, RequestID: "r1", Outcome: audit.Allowed,
		Actor: audit.Actor{Kind: "system", ID: "rs-benefit"}, Object: audit.Object{Kind: "interface", ID: "pop.person.query"},
	})
	fmt.Println(receipt.Seq, err)
	fmt.Println(ledger.Close())

	report, err := audit.Verify(filepath.Join(dir, "ledger"), audit.VerifyOptions{PublicKeys: []*gm.PublicKey{key.Public()}})
	fmt.Println(report.OK, report.Size, report.Signed, err)
	// Output:
	// 0 <nil>
	// <nil>
	// true 1 1 <nil>
}
