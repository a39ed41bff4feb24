package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// recorder keeps every storage step, so that a test can build what a power loss
// at any moment may have left.
type recorder struct {
	mu    sync.Mutex
	steps []storageStep
}

func (r *recorder) step(s storageStep, do func() error) error {
	if err := quick(s, do); err != nil {
		return err
	}
	s.data = append([]byte(nil), s.data...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
	return nil
}

func (r *recorder) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.steps)
}

// powerLoss is the disk of a machine that dies: of each file it keeps what was
// synced, and of later steps an arbitrary part, in any order, by sectors.
type powerLoss struct {
	rnd   *rand.Rand
	files map[string]*losableFile // by name, as a running process sees them
	names map[string]*losableFile // as the folder on the disk has them
}

type losableFile struct {
	synced  []byte
	pending []storageStep
}

const sector = 512

func (f *losableFile) apply(s storageStep, rnd *rand.Rand) {
	switch s.op {
	case "truncate":
		if int(s.off) < len(f.synced) {
			f.synced = f.synced[:s.off]
		}
	case "preallocate":
		f.grow(int(s.off + s.n))
	case "write":
		for i := 0; i < len(s.data); {
			// A sector is written whole or not at all.
			n := min(sector-(int(s.off)+i)%sector, len(s.data)-i)
			if rnd == nil || rnd.IntN(2) == 0 {
				f.grow(int(s.off) + i + n)
				copy(f.synced[int(s.off)+i:], s.data[i:i+n])
			}
			i += n
		}
	}
}

func (f *losableFile) grow(n int) {
	if n > len(f.synced) {
		f.synced = append(f.synced, make([]byte, n-len(f.synced))...)
	}
}

func (p *powerLoss) play(s storageStep) {
	switch s.op {
	case "create":
		p.files[s.name] = &losableFile{}
	case "rename":
		p.files[s.to] = p.files[s.name]
		delete(p.files, s.name)
	case "remove":
		delete(p.files, s.name)
	case "syncdir":
		p.names = maps.Clone(p.files)
	case "datasync":
		f := p.files[s.name]
		for _, q := range f.pending {
			f.apply(q, nil)
		}
		f.pending = nil
	default:
		f := p.files[s.name]
		f.pending = append(f.pending, s)
	}
}

// write puts what is left into dir.
func (p *powerLoss) write(t *testing.T, dir string) {
	names := p.names
	if p.rnd.IntN(2) == 0 { // the folder reached the disk by itself
		names = p.files
	}
	must(t, os.MkdirAll(dir, 0o700))
	for name, f := range names {
		left := &losableFile{synced: append([]byte(nil), f.synced...)}
		for _, s := range f.pending {
			if s.op == "write" || p.rnd.IntN(2) == 0 {
				left.apply(s, p.rnd)
			}
		}
		must(t, os.WriteFile(filepath.Join(dir, name), left.synced, 0o600))
	}
}

// history is one run of a ledger under a recorder.
type history struct {
	recorder
	acknowledged []event // seq and request of each acknowledged record
	signed       []event
}

type event struct {
	steps      int // storage steps that had been done
	seq        uint64
	request    string
	checkpoint *SignedCheckpoint
}

// SignCheckpoint notes what was signed when: it is out of our hands then.
type recordingSigner struct {
	*keySigner
	h *history
}

func (s recordingSigner) SignCheckpoint(ctx context.Context, text []byte) ([]byte, error) {
	sig, err := s.keySigner.SignCheckpoint(ctx, text)
	if err != nil {
		return nil, err
	}
	c, err := ParseCheckpoint(text)
	if err != nil {
		return nil, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.signed = append(s.h.signed, event{
		steps: len(s.h.steps), checkpoint: &SignedCheckpoint{Checkpoint: c, Key: s.key.Public().Fingerprint(), Sig: sig},
	})
	return sig, nil
}

// record runs a ledger with several appenders, twice.
func recordHistory(t *testing.T, s *keySigner) (*history, Config) {
	h := new(history)
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	c.SegmentSize, c.CheckpointEvery, c.Signer = 22<<10, time.Millisecond, recordingSigner{s, h}
	for run := range 2 {
		l, err := open(c, h.step)
		must(t, err)
		var wg sync.WaitGroup
		for a := range 5 {
			wg.Go(func() {
				for i := range 8 {
					r := testRecord(run*1000 + a*100 + i)
					receipt, err := l.Append(context.Background(), r)
					if err != nil {
						t.Error(err)
						return
					}
					n := h.len()
					h.mu.Lock()
					h.acknowledged = append(h.acknowledged, event{steps: n, seq: receipt.Seq, request: r.RequestID})
					h.mu.Unlock()
				}
			})
		}
		wg.Wait()
		must(t, l.Close())
	}
	return h, c
}

func TestPowerLossAtAnyMomentKeepsAcknowledgedRecordsAndSignedTrees(t *testing.T) {
	s := newSigner(t)
	h, c := recordHistory(t, s)
	rnd := rand.New(rand.NewPCG(1, 2))
	torn := 0
	tries := 2
	if testing.Short() {
		tries = 1
	}
	for cut := 0; cut <= len(h.steps); cut++ {
		for range tries {
			torn += h.loseAt(t, c, cut, rnd)
		}
	}
	if torn == 0 {
		t.Error("no crash left a torn frame: the test does not test")
	}
}

func (h *history) loseAt(t *testing.T, c Config, cut int, rnd *rand.Rand) (torn int) {
	t.Helper()
	p := &powerLoss{rnd: rnd, files: map[string]*losableFile{}, names: map[string]*losableFile{}}
	for _, s := range h.steps[:cut] {
		p.play(s)
	}
	c.Dir = filepath.Join(t.TempDir(), "after")
	p.write(t, c.Dir)
	acknowledged := make(map[uint64]string)
	for _, e := range h.acknowledged {
		if e.steps <= cut {
			acknowledged[e.seq] = e.request
		}
	}
	names, err := (&disk{dir: c.Dir}).segments()
	must(t, err)
	options := VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}}
	if len(names) > 0 {
		// An auditor who looks before the process starts again sees no damage.
		r, err := Verify(c.Dir, options)
		if err != nil || !r.OK {
			t.Fatalf("cut %d: before recovery: %+v, %v", cut, r, err)
		}
		torn = min(r.Torn, 1)
	}
	l, err := open(c, quick)
	if err != nil {
		t.Fatalf("cut %d: open: %v", cut, err)
	}
	if _, err := l.Append(context.Background(), testRecord(0)); err != nil {
		t.Fatalf("cut %d: append: %v", cut, err)
	}
	must(t, l.Close())
	size := checkAcknowledged(t, c.Dir, acknowledged)
	for _, e := range h.signed {
		if e.steps <= cut {
			options.Checkpoint = e.checkpoint
		}
	}
	r, err := Verify(c.Dir, options)
	if err != nil || !r.OK || r.Size != uint64(size) || r.Torn != 0 {
		t.Fatalf("cut %d: after recovery: %+v, %v", cut, r, err)
	}
	noted := 0
	for _, err := range Query(c.Dir, Filter{Type: string(AdminRecovered)}) {
		must(t, err)
		noted++
	}
	if torn > noted {
		t.Fatalf("cut %d: a torn frame was discarded and not noted", cut)
	}
	return torn
}

func TestLedgerCutAtAnyByteOpensWithAPrefix(t *testing.T) {
	s := newSigner(t)
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	l, err := Open(c)
	must(t, err)
	for i := range 12 {
		_, err := l.Append(context.Background(), testRecord(i))
		must(t, err)
	}
	name := segmentName(0)
	whole, err := (&disk{dir: c.Dir}).read(name) // as a kill now would leave it
	must(t, err)
	must(t, l.Close())
	used := len(strings.TrimRight(string(whole), "\x00"))
	header, err := parseFrame(whole)
	must(t, err)
	c.Dir = filepath.Join(t.TempDir(), "cut")
	must(t, os.Mkdir(c.Dir, 0o700))
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 150 {
		cut := header.size + rnd.IntN(used-header.size)
		left := append([]byte(nil), whole...)
		clear(left[cut:])
		must(t, os.WriteFile(filepath.Join(c.Dir, name), left, 0o600))
		l, err := open(c, quick)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		must(t, l.Close())
		i := 0
		for e, err := range Query(c.Dir, Filter{}) {
			must(t, err)
			if e.Type == AdminRecovered {
				break
			}
			if e.RequestID != testRecord(i).RequestID {
				t.Fatalf("cut at %d: record %d is %s", cut, i, e.Raw)
			}
			i++
		}
		if r, err := Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}}); err != nil || !r.OK {
			t.Fatalf("cut at %d: %+v, %v", cut, r, err)
		}
	}
}

// TestChildThatAppendsUntilKilled is no test of its own: the test below runs it
// in another process.
func TestChildThatAppendsUntilKilled(t *testing.T) {
	dir := os.Getenv("AUDIT_TEST_CHILD")
	if dir == "" {
		t.Skip("runs only as the child of TestKilledProcessLosesNothingAcknowledged")
	}
	c := childConfig(t, dir)
	l, err := Open(c)
	must(t, err)
	for a := range 8 {
		go func() {
			for i := 0; ; i++ {
				r := testRecord(a*100_000 + i)
				receipt, err := l.Append(context.Background(), r)
				if err != nil {
					return
				}
				fmt.Printf("ack %d %s\n", receipt.Seq, r.RequestID)
			}
		}()
	}
	select {}
}

func childConfig(t *testing.T, dir string) Config {
	d := make([]byte, 32)
	d[31] = 7 // parent and child have one key
	key, err := gm.NewPrivateKey(d)
	must(t, err)
	c := testConfig(t, dir, &keySigner{key: key})
	c.SegmentSize = 256 << 10
	return c
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	dir := filepath.Join(t.TempDir(), "ledger")
	acknowledged := make(map[uint64]string)
	for range rounds {
		cmd := exec.Command(os.Args[0], "-test.run=^TestChildThatAppendsUntilKilled$")
		cmd.Env = append(os.Environ(), "AUDIT_TEST_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		lines := bufio.NewScanner(out)
		target := 1 + rand.IntN(400)
		for n := 0; lines.Scan(); {
			f := strings.Fields(lines.Text())
			if len(f) != 3 || f[0] != "ack" {
				continue
			}
			seq, err := strconv.ParseUint(f[1], 10, 64)
			must(t, err)
			acknowledged[seq] = f[2]
			if n++; n == target {
				must(t, cmd.Process.Kill())
			}
		}
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) {
			t.Fatalf("child ended with %v", err)
		}
	}
	c := childConfig(t, dir)
	r, err := Verify(dir, VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}})
	if err != nil || !r.OK {
		t.Fatalf("%+v, %v", r, err)
	}
	appendTo(t, c, 0, 1)
	size := checkAcknowledged(t, dir, acknowledged)
	verifyOK(t, c, size)
	t.Logf("%d kills, %d records acknowledged, %d in the ledger", rounds, len(acknowledged), size)
}
