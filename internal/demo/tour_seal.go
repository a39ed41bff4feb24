package demo

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ofd"
)

// sealing seals the sample permit (and a document given), judges it as anybody
// could, and tampers with it.
func (t *Tour) sealing(ctx context.Context) error {
	anchors, err := trust.Load(t.Site.Path("trust"))
	if err != nil {
		return err
	}
	verifier := seal.NewVerifier(seal.VerifierConfig{Trust: anchors})
	seals, err := t.withToken(ctx, http.MethodGet, "/api/v1/seals", nil)
	if err != nil {
		return err
	}
	if !bytes.Contains(seals, []byte(`"`+SealName+`"`)) || !bytes.Contains(seals, []byte(SealID)) {
		return fmt.Errorf("the seal is not listed: %s", seals)
	}
	t.held("印章已制作：制章人 CA → 制章人证书 → 签章人证书 → GB/T 38540 V4 印章", "the seal was made: maker CA, maker, signer, a V4 seal with a drawn round picture")

	permit, err := os.ReadFile(t.Site.Path(PermitFile))
	if err != nil {
		return err
	}
	x, y := SealCentre()
	sealed, err := t.seal(ctx, permit, x, y)
	if err != nil {
		return err
	}
	for _, strict := range []bool{false, true} {
		if err := t.judge(ctx, verifier, sealed, strict, seal.Valid, ""); err != nil {
			return err
		}
	}
	if err := durable.WriteFile(t.Site.Path(SealedFile), sealed, 0o644); err != nil {
		return err
	}
	report := verifier.Verify(ctx, SealedFile, sealed, seal.Options{At: time.Now()})
	if len(report.Signatures) != 1 || report.Signatures[0].TimeSource != seal.TimeStamped {
		return fmt.Errorf("the seal carries no timestamp that verifies")
	}
	t.held("许可证已盖章并加盖时间戳，验证结论有效（严格模式亦然）", "the permit is sealed and timestamped, and valid, also strictly")

	twice, err := t.seal(ctx, sealed, x, y-60)
	if err != nil {
		return fmt.Errorf("second seal: %w", err)
	}
	if err := t.judge(ctx, verifier, twice, true, seal.Valid, ""); err != nil {
		return fmt.Errorf("second seal: %w", err)
	}
	t.held("加盖第二枚印章，两枚均有效", "a second seal is added, both are valid")

	if err := t.tamper(ctx, verifier, sealed); err != nil {
		return err
	}
	if t.Document != nil {
		return t.given(ctx, verifier)
	}
	return nil
}

// given seals the document of the command line.
func (t *Tour) given(ctx context.Context, verifier *seal.Verifier) error {
	p, _ := ofd.Open(t.Document)
	if p == nil || len(p.Bodies) == 0 || p.Bodies[0].Document == nil || len(p.Bodies[0].Document.Pages) == 0 || p.Bodies[0].Document.Pages[0].Box == nil {
		return errors.New("-doc: 不是有页面的 OFD not an OFD with a page")
	}
	box := p.Bodies[0].Document.Pages[0].Box
	sealed, err := t.seal(ctx, t.Document, box.W/2, box.H/2)
	if err != nil {
		return fmt.Errorf("-doc: %w", err)
	}
	if err := t.judge(ctx, verifier, sealed, false, seal.Valid, ""); err != nil {
		return fmt.Errorf("-doc: %w", err)
	}
	if err := durable.WriteFile(t.Site.Path("doc-sealed.ofd"), sealed, 0o644); err != nil {
		return err
	}
	t.held("所给文档已盖章并验证有效：doc-sealed.ofd", "the document given is sealed and valid")
	return nil
}

// tamper shows what a change after sealing does to the verdict.
func (t *Tour) tamper(ctx context.Context, verifier *seal.Verifier, sealed []byte) error {
	changed, err := rezip(sealed, func(name string, content []byte) []byte {
		if strings.HasSuffix(name, "/Content.xml") {
			return bytes.Replace(content, []byte("</"), []byte(" </"), 1)
		}
		return content
	}, "")
	if err != nil {
		return err
	}
	if err := t.judge(ctx, verifier, changed, false, seal.Invalid, "E_REF_DIGEST"); err != nil {
		return fmt.Errorf("page changed: %w", err)
	}
	t.held("改动一页内容后重新打包：无效，E_REF_DIGEST", "a page was changed and zipped again: invalid")

	const extra = "Doc_0/Extra.xml"
	added, err := rezip(sealed, nil, extra)
	if err != nil {
		return err
	}
	report := verifier.Verify(ctx, "added.ofd", added, seal.Options{At: time.Now()})
	if report.Indication != seal.Indeterminate || len(report.Uncovered) != 1 || report.Uncovered[0] != extra {
		return fmt.Errorf("a file was added: %s, uncovered %v", report.Indication, report.Uncovered)
	}
	if err := t.judge(ctx, verifier, added, true, seal.Invalid, "W_UNCOVERED"); err != nil {
		return fmt.Errorf("a file was added, strict: %w", err)
	}
	t.held("盖章后加入文件：列为未受保护，无法确定；严格模式无效", "a file was added after sealing: listed as uncovered, indeterminate; strict: invalid")
	return nil
}

// judge verifies as a stranger would, from the bytes and the anchors alone.
func (t *Tour) judge(ctx context.Context, v *seal.Verifier, data []byte, strict bool, want seal.Indication, code string) error {
	r := v.Verify(ctx, "tour.ofd", data, seal.Options{At: time.Now(), Strict: strict})
	if r.Indication != want || code != "" && !r.Has(code) {
		text, err := r.JSON()
		return fmt.Errorf("want %s %s, got %s %w", want, code, text, err)
	}
	return nil
}

// seal asks the seal service.
func (t *Tour) seal(ctx context.Context, document []byte, x, y float64) ([]byte, error) {
	return t.Site.Seal(ctx, t.client, document, x, y)
}

// Seal asks the demo's seal service to seal page 1 of a document; x and y are
// the centre of the seal in millimetres.
func (s *Site) Seal(ctx context.Context, client *http.Client, document []byte, x, y float64) ([]byte, error) {
	at := strconv.FormatFloat(x, 'f', 3, 64) + "," + strconv.FormatFloat(y, 'f', 3, 64)
	return s.ask(ctx, client, http.MethodPost, "/api/v1/seal?seal="+url.QueryEscape(SealName)+"&page=1&at="+at, document)
}

func (t *Tour) withToken(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	return t.Site.ask(ctx, t.client, method, path, body)
}

// ask sends one request with the office's token to the seal service.
func (s *Site) ask(ctx context.Context, client *http.Client, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.SealerURL()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body == nil {
		req.Body, req.ContentLength = http.NoBody, 0
	} else {
		req.Header.Set("Content-Type", "application/ofd")
	}
	req.Header.Set("Authorization", "Bearer "+s.Token)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(io.LimitReader(resp.Body, 512<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s", path, resp.StatusCode, out)
	}
	return out, nil
}

// rezip packs an OFD again, as an editor would, with changed contents and, when
// extra is not empty, one more entry of that name.
func rezip(data []byte, change func(name string, content []byte) []byte, extra string) ([]byte, error) {
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	add := func(name string, content []byte) error {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		return err
	}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		if change != nil {
			content = change(f.Name, content)
		}
		if err := add(f.Name, content); err != nil {
			return nil, err
		}
	}
	if extra != "" {
		if err := add(extra, []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<added/>\n")); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
