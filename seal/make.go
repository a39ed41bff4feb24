package seal

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal/ses"
)

// MakerSigner is the one right that making a seal needs: a signature of type
// eSealInfo. SignSealInfo receives the whole DER eSealInfo of GB/T 38540, never
// a digest, and returns a DER SM2 signature over it with the default user
// identity.
type MakerSigner interface {
	SignSealInfo(ctx context.Context, info []byte) (sig []byte, err error)
}

// Kinds of seal owner, as V1 defined them and V4 leaves to the business.
const (
	Organisation = 1 // 单位印章
	Person       = 2 // 个人印章
)

// MakeSpec describes a new seal.
type MakeSpec struct {
	ID      string // esID: unique number, ASCII, such as 14 digits
	Name    string // seal name, such as 吉林省人力资源和社会保障厅
	Vendor  string // Vid, ASCII; empty is SEALGATE
	Kind    int64  // Organisation, Person, or the business's own number
	Created time.Time

	// NotBefore and NotAfter are the term of the seal, inclusive.
	NotBefore, NotAfter time.Time

	// Signers may apply the seal: their certificates, one at least.
	Signers []*gm.Certificate
	Maker   *gm.Certificate // the maker's own certificate, whose key signs

	Picture       []byte // PNG
	Width, Height int64  // of the picture, in millimetres
}

// codeMake is the code of a description that is no seal.
const codeMake = "SG-SEAL-REQUEST"

func refuseMake(cause error, zh, en string) ([]byte, error) {
	return nil, refuse(codeMake, cause, zh, en)
}

// Make makes a seal of GB/T 38540-2020: it builds the eSealInfo, has the maker
// sign it, checks the signature under the maker's certificate, and returns the
// DER SESeal (the content of a file Seal.esl). A description that is no seal
// gives an *Error before the key is asked.
func Make(ctx context.Context, s MakeSpec, signer MakerSigner) ([]byte, error) {
	info, err := s.info()
	if err != nil {
		return nil, err
	}
	sig, err := signer.SignSealInfo(ctx, info)
	if err != nil {
		return nil, fmt.Errorf("sign seal %s: %w", s.ID, err)
	}
	if err := s.Maker.PublicKey.Verify(info, sig); err != nil {
		return nil, refuse(CodeSealKey, err, "制章密钥与制章人证书不符", "the key does not belong to the maker's certificate")
	}
	der, err := ses.AssembleSeal(info, s.Maker.Raw, sig)
	if err != nil {
		return refuseMake(err, "印章无法按标准编码", "the seal cannot be written as the standard wants it")
	}
	return der, nil
}

// info checks the description and returns the DER eSealInfo.
func (s MakeSpec) info() ([]byte, error) {
	switch {
	case s.ID == "" || s.Name == "":
		return refuseMake(nil, "印章须有编号和名称", "a seal needs a number and a name")
	case s.Maker == nil || len(s.Signers) == 0:
		return refuseMake(nil, "印章须有制章人和签章人", "a seal needs a maker and a signer")
	case !s.NotBefore.Before(s.NotAfter):
		return refuseMake(nil, "印章有效期为空", "the term of the seal is empty")
	case !bytes.HasPrefix(s.Picture, []byte("\x89PNG\r\n\x1a\n")) || s.Width <= 0 || s.Height <= 0:
		return refuseMake(nil, "印章图片须为 PNG 并有尺寸", "the picture must be PNG and have a size")
	case s.Maker.FormError != nil:
		return refuseMake(s.Maker.FormError, "制章人证书格式有误", "the maker's certificate is malformed")
	case s.Created.Before(s.Maker.NotBefore) || s.Created.After(s.Maker.NotAfter):
		return refuseMake(nil, "制章人证书在制章时无效", "the maker's certificate is not valid at the time of making")
	}
	if s.Vendor == "" {
		s.Vendor = "SEALGATE"
	}
	i := ses.SealInfo{VendorID: s.Vendor, ID: s.ID,
		Property: ses.Property{Type: s.Kind, Name: s.Name, ListType: ses.ListCertificates,
			Created: s.Created, NotBefore: s.NotBefore, NotAfter: s.NotAfter},
		Picture: ses.Picture{Type: "PNG", Data: s.Picture, Width: s.Width, Height: s.Height}}
	for _, c := range s.Signers {
		if c.FormError != nil {
			return refuseMake(c.FormError, "签章人证书格式有误", "a signer's certificate is malformed")
		}
		if c.PublicKey.Equal(s.Maker.PublicKey) {
			return refuseMake(nil, "制章人不得同时为签章人", "the maker may not be a signer")
		}
		i.Property.Certs = append(i.Property.Certs, c.Raw)
	}
	der, err := i.Marshal()
	if err != nil {
		return refuseMake(err, "印章信息无法按标准编码", "the seal cannot be written as the standard wants it")
	}
	return der, nil
}
