package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/problem"
)

// describe begins the records of an identified call.
func (c *call) describe() {
	e, sys := c.caller.Elements, c.caller.System
	c.rec.RequestID = c.id
	c.rec.Actor = audit.Actor{Kind: "system", ID: string(sys.ID), Department: string(sys.Department.ID)}
	c.rec.Five = audit.Five{Org: e.Org, Operator: e.Operator, Item: e.Item, Biz: e.Biz, Purpose: e.Purpose}
	c.rec.Object = audit.Object{Kind: "route", ID: "unknown"}
}

// intend makes the intent durable. Nothing is forwarded unless it returns nil.
func (c *call) intend(ctx context.Context) error {
	r := c.rec
	r.Type, r.Outcome = audit.CallIntent, audit.Allowed
	if _, err := c.cfg.Ledger.Append(ctx, r); err != nil {
		return auditError(err)
	}
	c.intended = true
	return nil
}

// record writes the outcome, once, also when the client has gone. An error is
// logged here and says that the answer must not stand.
func (c *call) record(outcome audit.Outcome, code string) error {
	if c.recorded {
		return nil
	}
	c.recorded = true
	if code == "" {
		c.metrics.count(string(outcome))
	} else {
		c.metrics.count(code)
	}
	r := c.rec
	r.Type, r.Outcome, r.Code = audit.CallOutcome, outcome, code
	r.Ms = audit.N(max(0, c.cfg.Now().Sub(c.begun).Milliseconds()))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), c.cfg.OutcomeWait)
	defer cancel()
	if _, err := c.cfg.Ledger.Append(ctx, r); err != nil {
		c.metrics.lost.Add(1)
		c.cfg.Log.ErrorContext(ctx, "outcome not recorded", "request_id", c.id, "error", err)
		return auditError(err)
	}
	return nil
}

func ms(from, to time.Time) audit.Number { return audit.N(max(0, to.Sub(from).Milliseconds())) }

// auditError gives a ledger's error a code when it brings none.
func auditError(err error) error {
	var coded interface{ Code() string }
	if errors.As(err, &coded) && problem.Known(coded.Code()) {
		return err
	}
	return fmt.Errorf("%w: %w", problem.Coded("SG-AUDIT-UNAVAILABLE"), err)
}
