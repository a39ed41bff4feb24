package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
)

var errNoAuthority = errors.New("no timestamp authority is configured")

func refuseTimestamp(cause error) *Error {
	return refuse(CodeSealTimestamp, cause, "必须加盖时间戳，但无法取得有效的时间戳，未输出任何文件", "a timestamp is required and no valid one can be had; nothing was written")
}

// timestamp has the signature stamped. It returns a verified token, or none and
// why; an error when a token is required or ctx has ended.
func (p *Prepared) timestamp(ctx context.Context) (token []byte, missing, err error) {
	s := p.sealer
	if s.timestamps == nil {
		if s.required {
			return nil, nil, refuseTimestamp(errNoAuthority)
		}
		return nil, nil, nil
	}
	answer, cause := s.timestamps.Stamp(ctx, bytes.Clone(p.sig))
	if cause == nil {
		token, cause = s.verifier.acceptToken(answer, p.sig, p.binding.At)
	}
	switch {
	case cause == nil:
		return token, nil, nil
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case s.required:
		return nil, nil, refuseTimestamp(cause)
	}
	return nil, cause, nil
}

// acceptToken verifies a token before it is written: over the signature value
// itself, from an authority that is trusted now, at about the time at. It
// returns the token alone when a whole response was handed over.
func (v *Verifier) acceptToken(answer, sigValue []byte, at time.Time) ([]byte, error) {
	verdict := v.anchors.CheckTimestamp(answer, [][]byte{sigValue}, at)
	if verdict.Outcome != trust.Trusted {
		return nil, fmt.Errorf("timestamp %v: %s", verdict.Problems[0].Reason, verdict.Problems[0].Detail)
	}
	if d := verdict.Time.Sub(at); d > clockSkew || d < -clockSkew {
		return nil, fmt.Errorf("timestamp of %s, now %s", stamp(verdict.Time), stamp(at))
	}
	parsed, err := gm.ParseTimestampToken(answer)
	if err != nil {
		return nil, err
	}
	return parsed.Signed.Raw, nil
}
