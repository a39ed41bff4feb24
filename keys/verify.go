package keys

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/sealgate/sealgate/internal/gm"
)

// VerifyResults verifies the signatures of a batch that one version has just
// made: those of out at the given indices, over the requests of rs. A result
// whose signature does not verify becomes ErrFault and loses it. The work is
// spread over the CPUs.
func VerifyResults(v *gm.Verifier, rs []Request, out []Result, indices []int) {
	parts := max(1, min(runtime.GOMAXPROCS(0), len(indices)/verifyPart))
	size := (len(indices) + parts - 1) / parts
	var wg sync.WaitGroup
	for from := size; from < len(indices); from += size {
		part := indices[from:min(from+size, len(indices))]
		wg.Go(func() { verifyResults(v, rs, out, part) })
	}
	verifyResults(v, rs, out, indices[:min(size, len(indices))])
	wg.Wait()
}

// verifyPart is the smallest part of a batch that gets a CPU of its own:
// signatures are the cheaper to verify the more of them are together.
const verifyPart = 64

func verifyResults(v *gm.Verifier, rs []Request, out []Result, indices []int) {
	messages, sigs, hints := make([][]byte, len(indices)), make([][]byte, len(indices)), make([]gm.Hint, len(indices))
	for j, i := range indices {
		// An item that has no message was refused long before; without one
		// no signature verifies.
		messages[j], _ = rs[i].Type.Message(rs[i].Item)
		sigs[j], hints[j] = out[i].Signature.Value, out[i].Signature.Hint
	}
	for j, err := range v.VerifyBatch(messages, sigs, hints) {
		if err != nil {
			out[indices[j]] = Result{Err: fmt.Errorf("%w: %w", ErrFault, err)}
		}
	}
}
