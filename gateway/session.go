package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/problem"
)

// sessionType is the record of a session key that was issued.
const sessionType audit.Type = "admin.session"

// session issues a session key. The key leaves only encrypted to the system's
// registered SM2 key, and only after its issue is on record.
func (c *call) session() error {
	c.rec.Object = audit.Object{Kind: "session", ID: string(c.caller.System.ID)}
	if c.cfg.Sessions == nil || c.r.Method != http.MethodPost {
		return problem.Coded("SG-ROUTE-NOT-FOUND")
	}
	if len(httpserve.Body(c.r)) > 0 || c.query != "" {
		return problem.Coded("SG-HTTP-BODY")
	}
	s, err := c.cfg.Sessions.Issue(c.caller, c.begun)
	if err != nil {
		return err
	}
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	r := c.rec
	r.Type, r.Outcome = sessionType, audit.OK
	r.Object.ID = string(c.caller.System.ID) + "#" + s.KeyID
	if _, err := c.cfg.Ledger.Append(c.r.Context(), r); err != nil {
		return auditError(err)
	}
	c.recorded = true
	c.metrics.count("session")
	h := c.w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	// The client may be gone; the key is of no use to anybody else.
	_, _ = c.w.Write(body)
	return nil
}
