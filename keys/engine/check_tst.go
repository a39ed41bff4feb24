package engine

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// maxAccuracy is the worst accuracy that a timestamp may state.
const maxAccuracy = time.Minute

// checkTST checks a timestamp (RFC 3161 section 2.4, GM/T 0033): a canonical
// TSTInfo over an SM3 imprint, a time that is now, an allowed policy, a serial
// number, no extensions; and beside it exactly the signed attributes that name
// the TSTInfo's digest and this version's certificate. What was stamped is not
// known to anybody here: an imprint may be of anything.
func (e *Engine) checkTST(v *version, item []byte, now time.Time) error {
	bad := func(what string) error { return fmt.Errorf("%w: TSTInfo: %s", keys.ErrItem, what) }
	info, attrs, err := gm.SplitTSTItem(item)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	i, err := gm.ParseTSTInfo(info)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	if again, err := i.Marshal(); err != nil || !bytes.Equal(again, info) {
		return bad("not in canonical form")
	}
	switch {
	case !i.HashOID.Equal(gm.OIDSM3) || len(i.Imprint) != gm.DigestSize:
		return bad("the imprint is not SM3")
	case i.Serial.Sign() <= 0 || i.Serial.BitLen() > 159:
		return bad("serial number")
	case i.Extensions != nil:
		return bad("extensions")
	case i.Accuracy > maxAccuracy:
		return bad("accuracy")
	case len(e.config.TSTPolicies) > 0 && !slices.ContainsFunc(e.config.TSTPolicies, i.Policy.Equal):
		return bad("policy " + i.Policy.String() + " is not one of this engine's")
	}
	if err := gm.CheckTSTAttributes(info, attrs, v.Certificate); err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	if i.TSA != nil && !bytes.Equal(i.TSA, gm.DirectoryName(v.Certificate.RawSubject)) {
		return bad("tsa is not the certificate's subject")
	}
	return e.inWindow("genTime", i.Time, now)
}
