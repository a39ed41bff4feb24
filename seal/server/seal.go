package server

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/problem"
)

// seal answers POST /api/v1/seal. The order is: who, what, a turn, the claim
// of the idempotency key, all checks, the intent, the key, the outcome, the
// result, the answer. Whatever fails before the outcome is recorded leaves
// nothing behind but its record, and frees the key.
func (s *Server) seal(w http.ResponseWriter, r *http.Request) error {
	u, err := s.admit(r)
	if err != nil {
		s.cfg.OnRefuse(errorCode(err))
		return err
	}
	release, err := s.turn(r.Context(), s.sealing)
	if err != nil {
		s.cfg.OnRefuse(errorCode(err))
		return err
	}
	defer release()

	// A sealing that has begun is finished also when the caller has gone, who
	// may come back with the same key; and it is recorded also when it took
	// longer than the deadline.
	keep, cancelKeep := context.WithTimeout(context.WithoutCancel(r.Context()), 2*s.cfg.Deadline)
	defer cancelKeep()
	ctx, cancel := context.WithTimeout(keep, s.cfg.Deadline)
	defer cancel()
	earlier, err := u.claim(ctx)
	if err != nil {
		return u.denied(keep, err)
	}
	if earlier != nil {
		return s.repeat(keep, w, u, earlier)
	}
	sealed, err := u.carryOut(ctx, keep)
	if err != nil {
		return err
	}
	sendDocument(w, u.request.ID, sealed)
	return nil
}

// admit finds out who asks for what. Nothing has been recorded when it refuses.
func (s *Server) admit(r *http.Request) (*use, error) {
	caller, err := s.cfg.Tokens.identify(r)
	if err != nil {
		return nil, err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return nil, err
	}
	b, err := readBody(r, true, typeOFD)
	if err != nil {
		return nil, err
	}
	where, err := placementOf(r, b)
	if err != nil {
		return nil, err
	}
	id := httpserve.RequestID(r.Context())
	if id == "" {
		return nil, errors.New("request without an id: the API is not behind httpserve")
	}
	return &use{
		server: s, caller: caller, key: key, begun: s.cfg.Now(),
		request: Request{
			ID: id, Caller: caller.name, Document: b.document,
			Seal: where.seal, Page: where.page, X: where.x, Y: where.y,
		},
	}, nil
}

// use is one sealing on its way.
type use struct {
	server  *Server
	caller  token
	key     string // the caller's idempotency key; "" when it sent none
	request Request
	begun   time.Time
	sealID  string       // once it is known
	keyUse  audit.KeyUse // likewise
}

// claim takes the idempotency key. It returns the earlier, finished use when
// this request was carried out before.
func (u *use) claim(ctx context.Context) (*Use, error) {
	key := u.key
	if key == "" {
		key = u.request.ID
	}
	record := Use{
		ID: u.request.ID, Caller: u.caller.name, Key: key, Seal: u.request.Seal, Begun: u.begun,
		DocumentSM3: gm.SM3(u.request.Document),
	}
	record.RequestSM3 = requestDigest(u.request, record.DocumentSM3)
	earlier, err := u.server.cfg.Uses.BeginUse(ctx, record, u.begun.Add(-3*u.server.cfg.Deadline))
	switch {
	case err != nil:
		return nil, uncertain("SG-STOP-STATE", err)
	case earlier == nil:
		return nil, nil
	case earlier.RequestSM3 != record.RequestSM3:
		return nil, problem.Coded("SG-SEAL-IDEMPOTENCY")
	case earlier.Finished == nil:
		return nil, problem.Coded("SG-SEAL-BUSY")
	}
	return earlier, nil
}

// requestDigest covers everything that decides the result: seal, page,
// position and document.
func requestDigest(r Request, document [gm.DigestSize]byte) [gm.DigestSize]byte {
	fixed := binary.BigEndian.AppendUint64(nil, uint64(r.Page))
	fixed = binary.BigEndian.AppendUint64(fixed, math.Float64bits(r.X+0)) // +0: no negative zero
	fixed = binary.BigEndian.AppendUint64(fixed, math.Float64bits(r.Y+0))
	return gm.SM3(document[:], fixed, []byte(r.Seal))
}

// carryOut seals under a claim. On error the claim is gone and the refusal or
// failure is recorded. The work ends with ctx, the records with keep.
func (u *use) carryOut(ctx, keep context.Context) (sealed []byte, err error) {
	s := u.server
	begun := audit.Denied // the outcome of a panic
	defer func() {
		v := recover()
		if v != nil {
			failed := u.record(audit.SealOutcome, begun)
			failed.Code = problem.Internal
			if appendErr := s.append(keep, failed); appendErr != nil {
				s.cfg.Log.ErrorContext(keep, "outcome not recorded", "request_id", u.request.ID, "error", appendErr)
			}
			defer panic(v) // httpserve answers and logs it
		}
		if err != nil || v != nil {
			// Should this fail too, the claim ends by itself as stale.
			if dropErr := s.cfg.Uses.DropUse(keep, u.request.ID); dropErr != nil {
				s.cfg.Log.WarnContext(keep, "seal use not dropped", "request_id", u.request.ID, "error", dropErr)
			}
		}
	}()
	if !u.caller.allows(u.request.Seal) {
		return nil, u.denied(keep, problem.Coded("SG-AUTHZ-SEAL"))
	}
	prepared, err := s.cfg.Sealer.Prepare(ctx, u.request)
	if err != nil {
		return nil, u.denied(keep, err)
	}
	u.sealID, u.keyUse = prepared.SealID(), prepared.Key()

	intent := u.record(audit.SealIntent, audit.Allowed)
	document := gm.SM3(u.request.Document)
	intent.BodySM3, intent.Bytes = document[:], audit.N(int64(len(u.request.Document)))
	if err := s.append(ctx, intent); err != nil {
		return nil, err
	}
	begun = audit.Failed
	if sealed, err = prepared.Apply(ctx); err != nil {
		failed := u.record(audit.SealOutcome, audit.Failed)
		failed.Code = errorCode(err)
		return nil, errors.Join(err, s.append(keep, failed))
	}
	result := UseResult{At: s.cfg.Now(), SealID: u.sealID, ResultSM3: gm.SM3(sealed)}
	if u.key != "" {
		result.Document = sealed
	}
	done := u.record(audit.SealOutcome, audit.OK)
	done.BodySM3, done.Bytes = result.ResultSM3[:], audit.N(int64(len(sealed)))
	if err := s.append(keep, done); err != nil {
		return nil, err
	}
	begun = audit.Aborted
	if err := s.cfg.Uses.FinishUse(keep, u.request.ID, result); err != nil {
		// The document stays here although its outcome is recorded; say so.
		withheld := u.record(audit.SealOutcome, audit.Aborted)
		withheld.Code = "SG-STOP-STATE"
		return nil, errors.Join(uncertain("SG-STOP-STATE", err), s.append(keep, withheld))
	}
	return sealed, nil
}

// denied records a refusal before it is answered. When even that fails, the
// answer is the ledger's error.
func (u *use) denied(ctx context.Context, refusal error) error {
	r := u.record(audit.SealOutcome, audit.Denied)
	r.Code = errorCode(refusal)
	if err := u.server.append(ctx, r); err != nil {
		return err
	}
	return refusal
}

// repeat answers a request that was carried out before with the same document.
// The hand-out is recorded under the first request's id.
func (s *Server) repeat(ctx context.Context, w http.ResponseWriter, u *use, earlier *Use) error {
	if !u.caller.allows(earlier.Seal) {
		return u.denied(ctx, problem.Coded("SG-AUTHZ-SEAL"))
	}
	if gm.SM3(earlier.Finished.Document) != earlier.Finished.ResultSM3 {
		return u.denied(ctx, uncertain("SG-STOP-STATE", errors.New("the stored result of a seal use is damaged")))
	}
	u.request.ID, u.sealID = earlier.ID, earlier.Finished.SealID
	r := u.record(sealRepeated, audit.OK)
	r.BodySM3, r.Bytes = earlier.Finished.ResultSM3[:], audit.N(int64(len(earlier.Finished.Document)))
	if err := s.append(ctx, r); err != nil {
		return err
	}
	w.Header().Set("X-SG-Repeated", "true")
	sendDocument(w, earlier.ID, earlier.Finished.Document)
	return nil
}

// sealRepeated notes that the result of an earlier sealing was handed out again.
const sealRepeated audit.Type = "admin.seal-repeated"

// record is what every record of the use has. Object.ID is the number of the
// seal once it is known, before that the name that was asked for.
func (u *use) record(t audit.Type, o audit.Outcome) audit.Record {
	id := u.sealID
	if id == "" {
		id = u.request.Seal
	}
	r := audit.Record{
		Type: t, RequestID: u.request.ID, Outcome: o,
		Actor:  audit.Actor{Kind: "system", ID: u.caller.name},
		Object: audit.Object{Kind: "seal", ID: id},
		Key:    u.keyUse,
	}
	if t == audit.SealOutcome {
		r.Ms = audit.N(max(0, u.server.cfg.Now().Sub(u.begun).Milliseconds()))
	}
	return r
}

func (s *Server) append(ctx context.Context, r audit.Record) error {
	if _, err := s.cfg.Ledger.Append(ctx, r); err != nil {
		return uncertain("SG-AUDIT-UNAVAILABLE", err)
	}
	return nil
}

func sendDocument(w http.ResponseWriter, useID string, data []byte) {
	digest := gm.SM3(data)
	h := w.Header()
	h.Set("Content-Type", typeOFD)
	h.Set("Content-Disposition", `attachment; filename="sealed.ofd"`)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-SG-Use-Id", useID)
	h.Set("X-SG-Digest", "sm3="+base64.StdEncoding.EncodeToString(digest[:]))
	send(w, http.StatusOK, data)
}
