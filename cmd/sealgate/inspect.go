package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/ses"
)

// inspection is what `sealgate inspect -json` prints: structures as they are,
// without judgement.
type inspection struct {
	File       string             `json:"file"`
	Format     string             `json:"format"` // ofd, pdf, esl, signed-value
	Size       int                `json:"size"`
	SM3        string             `json:"sm3"`
	Entries    []inspectedEntry   `json:"entries,omitempty"`
	Documents  []inspectedDoc     `json:"documents,omitempty"`
	Signatures []inspectedSig     `json:"signatures,omitempty"`
	Seal       *inspectedSeal     `json:"seal,omitempty"`
	Value      *inspectedValue    `json:"value,omitempty"`
	Problems   []inspectedProblem `json:"problems,omitempty"`
}

type inspectedEntry struct {
	Name      string `json:"name"`
	Size      int    `json:"size"`
	SM3       string `json:"sm3,omitempty"`
	Reachable bool   `json:"reachable"`
}

type inspectedDoc struct {
	Root  string   `json:"root"`
	DocID string   `json:"doc_id"`
	Pages []string `json:"pages"`
}

type inspectedSig struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Path       string          `json:"path"`
	Method     string          `json:"check_method"`
	References int             `json:"references"`
	Stamps     []string        `json:"stamps,omitempty"`
	Value      *inspectedValue `json:"value,omitempty"`
}

type inspectedValue struct {
	Form      string         `json:"form"` // ses-v1, ses-v4, ses-v5, cms, other
	Time      string         `json:"time,omitempty"`
	Property  string         `json:"property_info,omitempty"`
	DataHash  string         `json:"data_hash,omitempty"`
	Signer    *inspectedCert `json:"signer,omitempty"`
	Timestamp bool           `json:"timestamp"`
	Seal      *inspectedSeal `json:"seal,omitempty"`
	Notes     []string       `json:"notes,omitempty"`
}

type inspectedSeal struct {
	Version   string         `json:"version"`
	ID        string         `json:"id"`
	Vendor    string         `json:"vendor"`
	Name      string         `json:"name"`
	Type      int64          `json:"type"`
	Created   string         `json:"created"`
	NotBefore string         `json:"not_before"`
	NotAfter  string         `json:"not_after"`
	Picture   string         `json:"picture"`
	Signers   int            `json:"signers"`
	Maker     *inspectedCert `json:"maker,omitempty"`
	Notes     []string       `json:"notes,omitempty"`
}

type inspectedCert struct {
	Subject   string `json:"subject"`
	Issuer    string `json:"issuer"`
	Serial    string `json:"serial"`
	NotBefore string `json:"not_before"`
	NotAfter  string `json:"not_after"`
	Form      string `json:"form,omitempty"` // what is malformed
}

type inspectedProblem struct {
	Code   string `json:"code"`
	Target string `json:"target,omitempty"`
	Detail string `json:"detail"`
}

// runInspect shows what is in a file. A malformed one is exit 2.
func runInspect(_ context.Context, e env, args []string) error {
	fs := newFlags("inspect")
	asJSON := fs.Bool("json", false, "输出 JSON one JSON object")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) != 1 {
		return usage(errors.New("需要一个文件 want one file"), "sealgate inspect FILE")
	}
	data, err := readDocument(operands[0])
	if err != nil {
		return usage(err)
	}
	r, err := inspect(operands[0], data)
	if err != nil {
		return usage(err, "sealgate verify 给出结论 gives a verdict")
	}
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	if *asJSON {
		return enc.Encode(r)
	}
	return printInspection(e.stdout, r)
}

func inspect(name string, data []byte) (*inspection, error) {
	sum := gm.SM3(data)
	r := &inspection{File: name, Size: len(data), SM3: fmt.Sprintf("%x", sum)}
	switch {
	case bytes.HasPrefix(data, []byte("%PDF-")):
		r.Format = "pdf"
		return inspectPDF(r, data)
	case len(data) > 0 && data[0] == 0x30:
		if s, err := ses.ParseSignature(data); err == nil {
			r.Format, r.Value = "signed-value", inspectSES(s)
			return r, nil
		}
		if c, err := gm.ParseSignedData(data); err == nil {
			r.Format, r.Value = "signed-value", inspectCMS(c)
			return r, nil
		}
		s, err := ses.ParseSeal(data)
		if err != nil {
			return nil, err
		}
		r.Format, r.Seal = "esl", inspectSeal(s)
		return r, nil
	}
	return inspectOFD(r, data)
}

func inspectOFD(r *inspection, data []byte) (*inspection, error) {
	p, problems := ofd.Open(data)
	for _, pr := range problems {
		if pr.Code != ofd.CodeUnsigned {
			r.Problems = append(r.Problems, inspectedProblem{pr.Code, pr.Target, pr.Detail})
		}
	}
	if p == nil || len(p.Names()) == 0 {
		if len(r.Problems) > 0 {
			return nil, fmt.Errorf("不是可读的 OFD not a readable OFD: %s %s", r.Problems[0].Code, r.Problems[0].Detail)
		}
		return nil, errors.New("不是 OFD、印章或签名值 neither an OFD, a seal nor a signature value")
	}
	r.Format = "ofd"
	for _, n := range p.Names() {
		entry := inspectedEntry{Name: n, Reachable: p.Reachable(n)}
		if content, err := p.Read(n); err == nil {
			entry.Size = len(content)
			if d, err := p.Digest(n); err == nil {
				entry.SM3 = fmt.Sprintf("%x", d)
			}
		}
		r.Entries = append(r.Entries, entry)
	}
	for _, b := range p.Bodies {
		d := inspectedDoc{Root: b.DocRoot, DocID: b.DocID, Pages: []string{}}
		if b.Document != nil {
			for _, page := range b.Document.Pages {
				d.Pages = append(d.Pages, page.Path)
			}
		}
		r.Documents = append(r.Documents, d)
	}
	for _, s := range p.Signatures() {
		sig := inspectedSig{ID: s.ID, Type: string(s.Type), Path: s.Path, Method: s.CheckMethod, References: len(s.References)}
		for _, st := range s.Stamps {
			sig.Stamps = append(sig.Stamps, fmt.Sprintf("%s at %s mm", pageName(p.Bodies[s.Body], st.PageRef), st.Boundary))
		}
		if value, err := p.SignedValue(s); err == nil {
			sig.Value = inspectValue(value)
		}
		r.Signatures = append(r.Signatures, sig)
	}
	return r, nil
}

// pageName says which page of a document a stamp's page reference means.
func pageName(b *ofd.DocBody, ref string) string {
	if b.Document != nil {
		for i, page := range b.Document.Pages {
			if page.ID == ref {
				return fmt.Sprintf("第 %d 页 page %d (ID %s)", i+1, i+1, ref)
			}
		}
	}
	return "没有此页 no such page (ID " + ref + ")"
}

func inspectValue(der []byte) *inspectedValue {
	if s, err := ses.ParseSignature(der); err == nil {
		return inspectSES(s)
	}
	if c, err := gm.ParseSignedData(der); err == nil {
		return inspectCMS(c)
	}
	return &inspectedValue{Form: "other"}
}

func inspectSES(s *ses.Signature) *inspectedValue {
	v := &inspectedValue{Form: "ses-" + s.Version.String(), Property: s.TBS.PropertyInfo, DataHash: fmt.Sprintf("%x", s.TBS.DataHash),
		Signer: inspectCert(s.Cert), Timestamp: len(s.Timestamp) > 0, Seal: inspectSeal(s.TBS.Seal), Notes: notes(s.Notes)}
	if !s.TBS.Time.IsZero() {
		v.Time = s.TBS.Time.UTC().Format(time.RFC3339)
	}
	return v
}

func inspectCMS(c *gm.SignedData) *inspectedValue {
	v := &inspectedValue{Form: "cms"}
	if len(c.Certificates) > 0 {
		v.Signer = certInfo(c.Certificates[0])
	}
	return v
}

func inspectSeal(s *ses.Seal) *inspectedSeal {
	if s == nil || s.Info == nil {
		return nil
	}
	p := s.Info.Property
	return &inspectedSeal{Version: s.Version.String(), ID: s.Info.ID, Vendor: s.Info.VendorID, Name: p.Name, Type: p.Type,
		Created: day(p.Created), NotBefore: day(p.NotBefore), NotAfter: day(p.NotAfter),
		Picture: fmt.Sprintf("%s %dx%d mm, %d bytes", s.Info.Picture.Type, s.Info.Picture.Width, s.Info.Picture.Height, len(s.Info.Picture.Data)),
		Signers: len(p.Certs) + len(p.Digests), Maker: inspectCert(s.Cert), Notes: notes(s.Notes)}
}

func inspectCert(der []byte) *inspectedCert {
	c, err := gm.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return certInfo(c)
}

func certInfo(c *gm.Certificate) *inspectedCert {
	out := &inspectedCert{Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialHex(), NotBefore: day(c.NotBefore), NotAfter: day(c.NotAfter)}
	if c.FormError != nil {
		out.Form = c.FormError.Error()
	}
	return out
}

func notes(list []ses.Note) []string {
	var out []string
	for _, n := range list {
		out = append(out, strings.TrimSpace(n.Code+" "+n.Field+" "+n.Detail))
	}
	return out
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
