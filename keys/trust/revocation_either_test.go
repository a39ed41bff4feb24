package trust

import (
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

type always Revocation

func (s always) Status(*gm.Certificate, *gm.Certificate, time.Time) Revocation { return Revocation(s) }

func TestOfSeveralSourcesOneIsEnoughToRevokeAndSilenceIsNeverGood(t *testing.T) {
	revoked, good, silent := always{State: IsRevoked, Reason: 1}, always{State: NotRevoked}, always{State: CannotAnswer, Detail: "why"}
	for _, c := range []struct {
		sources []RevocationSource
		want    RevocationState
	}{
		{[]RevocationSource{good, revoked}, IsRevoked}, {[]RevocationSource{revoked, silent}, IsRevoked}, {[]RevocationSource{silent, nil, good}, NotRevoked},
		{[]RevocationSource{good, silent}, NotRevoked}, {[]RevocationSource{silent, silent}, CannotAnswer}, {[]RevocationSource{nil, silent}, CannotAnswer},
	} {
		if r := Either(c.sources...).Status(nil, nil, time.Time{}); r.State != c.want || r.State == CannotAnswer && r.Detail == "" {
			t.Errorf("%v: %+v", c.sources, r)
		}
	}
	if Either(nil, nil) != nil {
		t.Error("a source out of none")
	}
}
