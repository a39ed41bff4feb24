package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
)

// ledger proves the ledger complete, then edits one record of a copy.
func (t *Tour) ledger(ctx context.Context) error {
	text, err := os.ReadFile(t.Site.LedgerKey)
	if err != nil {
		return err
	}
	key, err := gm.ParsePublicKeyPEM(text)
	if err != nil {
		return err
	}
	dir := t.Site.Path("audit")
	options := audit.VerifyOptions{PublicKeys: []*gm.PublicKey{key}}
	report, err := t.covered(ctx, dir, options)
	if err != nil {
		return err
	}
	t.held(fmt.Sprintf("账本完整：%d 条记录，检查点签名已核对", report.Size), fmt.Sprintf("the ledger is complete: %d records, checkpoint signatures checked", report.Size))

	intents, outcomes := map[string]bool{}, map[string]bool{}
	var target audit.Entry
	for e, err := range audit.Query(dir, audit.Filter{}) {
		if err != nil {
			return err
		}
		switch e.Type {
		case audit.CallIntent:
			intents[e.RequestID] = true
			target = e
		case audit.CallOutcome:
			outcomes[e.RequestID] = true
		}
	}
	if len(outcomes) < t.calls {
		return fmt.Errorf("%d calls were made, %d outcomes are recorded", t.calls, len(outcomes))
	}
	for id := range intents {
		if !outcomes[id] {
			return fmt.Errorf("call %s has an intent and no outcome", id)
		}
	}
	t.held(fmt.Sprintf("%d 次调用都有结果记录，转发的都先有意图记录", t.calls), "every call has its outcome, every forwarded one its intent before")

	proof, err := audit.Prove(dir, target.Seq)
	if err != nil {
		return err
	}
	if err := proof.Verify(key); err != nil {
		return err
	}
	t.held(fmt.Sprintf("第 %d 条记录的存在证明成立", target.Seq), "an inclusion proof of one record holds")
	return t.edit(dir, options, target)
}

// covered verifies until every record is under a signed checkpoint.
func (t *Tour) covered(ctx context.Context, dir string, o audit.VerifyOptions) (audit.Report, error) {
	for {
		r, err := audit.Verify(dir, o)
		if err != nil || !r.OK {
			return r, fmt.Errorf("the ledger does not verify: %s %w", r.Why, err)
		}
		if r.Signed == r.Size && r.Size > 0 {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// edit changes one character of one record in a copy of the ledger's folder.
func (t *Tour) edit(dir string, o audit.VerifyOptions, target audit.Entry) error {
	copied, err := os.MkdirTemp("", "sealgate-tour-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(copied)
	found := false
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if at := bytes.Index(data, target.Raw); at >= 0 {
			data[at+bytes.Index(target.Raw, []byte(`"allowed"`))+1] = 'A'
			found = true
		}
		return os.WriteFile(filepath.Join(copied, d.Name()), data, 0o600)
	})
	if err != nil {
		return err
	}
	if !found {
		return errors.New("the record is not in the ledger's files as text")
	}
	r, err := audit.Verify(copied, o)
	if err != nil {
		return err
	}
	if r.OK || r.FirstBad != target.Seq {
		return fmt.Errorf("record %d was edited, verify says ok=%v first_bad=%d", target.Seq, r.OK, r.FirstBad)
	}
	t.held(fmt.Sprintf("磁盘上改动第 %d 条记录：被发现，并指出序号", r.FirstBad), fmt.Sprintf("record %d edited on disk: found, with its index", r.FirstBad))
	return nil
}
