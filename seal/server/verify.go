package server

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sealgate/sealgate/seal"
)

// verify answers POST /api/v1/verify with the report of `sealgate verify
// -json`: 200 whatever the verdict is. Nothing of the document is kept or
// recorded.
func (s *Server) verify(w http.ResponseWriter, r *http.Request) error {
	p, err := query(r, "name", "at", "strict")
	if err != nil {
		return err
	}
	options := seal.Options{At: s.cfg.Now()}
	if text, given := p["at"]; given {
		if options.At, err = time.Parse(time.RFC3339, text); err != nil {
			return bad("at", "应为 RFC 3339 时间", "a time of RFC 3339 is needed")
		}
	}
	switch text, given := p["strict"]; {
	case !given || text == "false":
	case text == "true":
		options.Strict = true
	default:
		return bad("strict", "应为 true 或 false", "true or false is needed")
	}
	b, err := readBody(r, false, typeOFD, typePDF, typeBytes)
	if err != nil {
		return err
	}
	if name, given := p["name"]; given {
		b.name = name
	}
	release, err := s.turn(r.Context(), s.verifying)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Deadline)
	defer cancel()
	report, err := s.cfg.Verifier.Verify(ctx, fileName(b.name), b.document, options).JSON()
	if err != nil {
		return err
	}
	sendJSON(w, report)
	return nil
}

// seals answers GET /api/v1/seals with the seals that the token may use.
func (s *Server) seals(w http.ResponseWriter, r *http.Request) error {
	caller, err := s.cfg.Tokens.identify(r)
	if err != nil {
		s.cfg.OnRefuse(errorCode(err))
		return err
	}
	if _, err := query(r); err != nil {
		return err
	}
	all, err := s.cfg.Seals.ListSeals(r.Context())
	if err != nil {
		return uncertain("SG-STOP-STATE", err)
	}
	answer := struct {
		Seals []Seal `json:"seals"`
	}{Seals: []Seal{}}
	for _, one := range all {
		if caller.allows(one.Name) {
			answer.Seals = append(answer.Seals, one)
		}
	}
	data, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	sendJSON(w, data)
	return nil
}
