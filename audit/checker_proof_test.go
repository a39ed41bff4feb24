package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/sealgate/sealgate/internal/gm"
)

// checkInclusion is the algorithm of RFC 9162 section 2.1.3.2.
func checkInclusion(proof []byte, pub *gm.PublicKey) error {
	var p struct {
		Checkpoint signedCheckpoint
		Hashes     [][]byte
		Index      int
		Record     json.RawMessage
	}
	if err := json.Unmarshal(proof, &p); err != nil {
		return err
	}
	c, err := p.Checkpoint.open(pub)
	fn, sn, r := p.Index, c.Size-1, hash([]byte{0}, p.Record)
	for _, h := range p.Hashes {
		if sn == 0 {
			return fmt.Errorf("too many hashes")
		}
		if fn&1 == 1 || fn == sn {
			for r = hash([]byte{1}, h, r); fn&1 == 0 && fn != 0; fn, sn = fn>>1, sn>>1 {
			}
		} else {
			r = hash([]byte{1}, r, h)
		}
		fn, sn = fn>>1, sn>>1
	}
	if err != nil || p.Index >= c.Size || sn != 0 || !bytes.Equal(r, c.Root) {
		return fmt.Errorf("the record is not proved: %v", err)
	}
	return nil
}

// checkConsistency is the algorithm of RFC 9162 section 2.1.4.2.
func checkConsistency(proof []byte, pub *gm.PublicKey) error {
	var p struct {
		From, To signedCheckpoint
		Hashes   [][]byte
	}
	if err := json.Unmarshal(proof, &p); err != nil {
		return err
	}
	from, err1 := p.From.open(pub)
	to, err2 := p.To.open(pub)
	if err1 != nil || err2 != nil || from.Log != to.Log {
		return fmt.Errorf("checkpoints: %v, %v", err1, err2)
	}
	if from.Size == 0 || from.Size == to.Size {
		if len(p.Hashes) > 0 || from.Size == to.Size && !bytes.Equal(from.Root, to.Root) {
			return fmt.Errorf("nothing is proved")
		}
		return nil
	}
	path := p.Hashes
	if from.Size&(from.Size-1) == 0 {
		path = append([][]byte{from.Root}, path...)
	}
	fn, sn := from.Size-1, to.Size-1
	for ; fn&1 == 1; fn, sn = fn>>1, sn>>1 {
	}
	if len(path) == 0 {
		return fmt.Errorf("no hashes")
	}
	fr, sr := path[0], path[0]
	for _, h := range path[1:] {
		if sn == 0 {
			return fmt.Errorf("too many hashes")
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = hash([]byte{1}, h, fr), hash([]byte{1}, h, sr)
			for ; fn&1 == 0 && fn != 0; fn, sn = fn>>1, sn>>1 {
			}
		} else {
			sr = hash([]byte{1}, sr, h)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 || !bytes.Equal(fr, from.Root) || !bytes.Equal(sr, to.Root) {
		return fmt.Errorf("the later tree does not continue the earlier one")
	}
	return nil
}
