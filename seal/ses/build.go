package ses

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sealgate/sealgate/internal/gm"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ErrBuild says that a value cannot be written as GB/T 38540 wants it, or that
// only V4 is written. Nothing was written.
var ErrBuild = errors.New("cannot be written as GB/T 38540")

// Marshal returns the DER of a V4 eSealInfo, what the seal maker signs. Raw,
// Version, Number and Notes are ignored: the header always says 4. Times are
// written in whole seconds, UTC. Text that an IA5String cannot hold (Chinese
// in VendorID, ID, Picture.Type) gives ErrBuild; Property.Name may be Chinese.
// Extensions are written without a context tag, as readers in use expect.
func (i SealInfo) Marshal() ([]byte, error) {
	p := i.Property
	if err := i.check(); err != nil {
		return nil, err
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addText(b, casn1.IA5String, "ES")
				b.AddASN1Int64(int64(V4))
				addText(b, casn1.IA5String, i.VendorID)
			})
			addText(b, casn1.IA5String, i.ID)
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(p.Type)
				addText(b, casn1.UTF8String, p.Name)
				b.AddASN1Int64(p.ListType)
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { addList(b, p) })
				b.AddASN1GeneralizedTime(whole(p.Created))
				b.AddASN1GeneralizedTime(whole(p.NotBefore))
				b.AddASN1GeneralizedTime(whole(p.NotAfter))
			})
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addText(b, casn1.IA5String, i.Picture.Type)
				b.AddASN1OctetString(i.Picture.Data)
				b.AddASN1Int64(i.Picture.Width)
				b.AddASN1Int64(i.Picture.Height)
			})
			if len(i.Extensions) > 0 {
				addExtensions(b, i.Extensions)
			}
		})
	})
}

func (i SealInfo) check() error {
	p := i.Property
	for _, f := range []struct{ name, text string }{{"vendor id", i.VendorID}, {"seal id", i.ID}, {"picture type", i.Picture.Type}} {
		if err := checkIA5(f.name, f.text); err != nil {
			return err
		}
	}
	switch {
	case p.Name == "" || len(p.Name) > maxText || !printable(p.Name):
		return fmt.Errorf("%w: seal name must be printable UTF-8 of 1 to %d bytes", ErrBuild, maxText)
	case p.ListType == ListCertificates && (len(p.Certs) == 0 || len(p.Digests) != 0),
		p.ListType == ListDigests && (len(p.Digests) == 0 || len(p.Certs) != 0),
		p.ListType != ListCertificates && p.ListType != ListDigests:
		return fmt.Errorf("%w: list type %d with %d certificates and %d digests", ErrBuild, p.ListType, len(p.Certs), len(p.Digests))
	case len(p.Certs) > MaxListed || len(p.Digests) > MaxListed || len(i.Extensions) > MaxExtensions:
		return fmt.Errorf("%w: list too long", ErrBuild)
	case p.Created.IsZero() || p.NotBefore.IsZero() || p.NotAfter.IsZero() || p.NotAfter.Before(p.NotBefore):
		return fmt.Errorf("%w: seal dates missing or out of order", ErrBuild)
	case len(i.Picture.Data) == 0 || len(i.Picture.Data) > MaxPicture:
		return fmt.Errorf("%w: picture must have 1 to %d bytes", ErrBuild, MaxPicture)
	case i.Picture.Width <= 0 || i.Picture.Height <= 0:
		return fmt.Errorf("%w: picture size must be positive millimetres", ErrBuild)
	}
	for _, c := range p.Certs {
		if len(c) == 0 || len(c) > gm.MaxCertificateSize {
			return fmt.Errorf("%w: listed certificate of %d bytes", ErrBuild, len(c))
		}
	}
	for _, d := range p.Digests {
		if len(d.Value) != gm.DigestSize || len(d.Type) > maxText || !printableString(d.Type) {
			return fmt.Errorf("%w: listed digest must be 32 bytes with a PrintableString type", ErrBuild)
		}
	}
	return nil
}

// AssembleSeal puts a V4 seal together: info is what SealInfo.Marshal returned,
// makerCert the DER of the maker's certificate, sig the maker's DER signature
// over info. It does not verify sig; ParseSeal reads the result back.
func AssembleSeal(info, makerCert, sig []byte) ([]byte, error) {
	parsed, err := ParseSealInfo(info)
	if err != nil {
		return nil, err
	}
	if parsed.Version != V4 {
		return nil, fmt.Errorf("%w: eSealInfo is of %v", ErrBuild, parsed.Version)
	}
	if err := checkSigned(makerCert, sig); err != nil {
		return nil, err
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(info)
			b.AddASN1OctetString(makerCert)
			b.AddASN1ObjectIdentifier(gm.OIDSM2WithSM3)
			b.AddASN1BitString(sig)
		})
	})
}

// Marshal returns the DER of a V4 TBS_Sign, what the signer signs. Seal is
// embedded byte for byte and must be V4; Raw, Version, Number and Notes are
// ignored. Time is written in whole seconds, UTC. PropertyInfo must be ASCII.
func (t TBS) Marshal() ([]byte, error) {
	if t.Seal == nil || t.Seal.Version != V4 || len(t.Seal.Raw) == 0 {
		return nil, fmt.Errorf("%w: TBS_Sign needs a parsed v4 seal", ErrBuild)
	}
	if err := checkIA5("property info", t.PropertyInfo); err != nil {
		return nil, err
	}
	if len(t.DataHash) != gm.DigestSize {
		return nil, fmt.Errorf("%w: data hash of %d bytes, want %d", ErrBuild, len(t.DataHash), gm.DigestSize)
	}
	if t.Time.IsZero() || len(t.Extensions) > MaxExtensions {
		return nil, fmt.Errorf("%w: signing time missing or too many extensions", ErrBuild)
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(int64(V4))
			b.AddBytes(t.Seal.Raw)
			b.AddASN1GeneralizedTime(whole(t.Time))
			b.AddASN1BitString(t.DataHash)
			addText(b, casn1.IA5String, t.PropertyInfo)
			if len(t.Extensions) > 0 {
				b.AddASN1(tag0, func(b *cryptobyte.Builder) { addExtensions(b, t.Extensions) })
			}
		})
	})
}

// AssembleSignature puts a V4 SES_Signature together: tbs is what TBS.Marshal
// returned, sig the signer's DER signature over it, timestamp a token over the
// signature or nil. It does not verify sig; ParseSignature reads the result back.
func AssembleSignature(tbs, signerCert, sig, timestamp []byte) ([]byte, error) {
	parsed, err := ParseTBS(tbs)
	if err != nil {
		return nil, err
	}
	if parsed.Version != V4 || parsed.Number != int64(V4) {
		return nil, fmt.Errorf("%w: TBS_Sign is of %v, number %d", ErrBuild, parsed.Version, parsed.Number)
	}
	if err := checkSigned(signerCert, sig); err != nil {
		return nil, err
	}
	return build(func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(tbs)
			b.AddASN1OctetString(signerCert)
			b.AddASN1ObjectIdentifier(gm.OIDSM2WithSM3)
			b.AddASN1BitString(sig)
			if len(timestamp) > 0 {
				b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddASN1BitString(timestamp) })
			}
		})
	})
}

func checkSigned(cert, sig []byte) error {
	if len(cert) == 0 || len(cert) > gm.MaxCertificateSize {
		return fmt.Errorf("%w: certificate of %d bytes", ErrBuild, len(cert))
	}
	if err := gm.CheckSignature(sig); err != nil {
		return fmt.Errorf("%w: %w", ErrBuild, err)
	}
	return nil
}

// build runs f over a builder and refuses a result that the parsers would.
func build(f func(*cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	f(&b)
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	if len(der) > MaxSize {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrBuild, MaxSize)
	}
	return der, nil
}

func addText(b *cryptobyte.Builder, tag casn1.Tag, s string) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
}

func addList(b *cryptobyte.Builder, p Property) {
	for _, c := range p.Certs {
		b.AddASN1OctetString(c)
	}
	for _, d := range p.Digests {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addText(b, casn1.PrintableString, d.Type)
			b.AddASN1OctetString(d.Value)
		})
	}
}

func addExtensions(b *cryptobyte.Builder, list []Extension) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, x := range list {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier(x.ID))
				if x.Critical {
					b.AddASN1Boolean(true)
				}
				b.AddASN1OctetString(x.Value)
			})
		}
	})
}

func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// checkIA5 refuses what an IA5String cannot hold or a path must not: anything
// but printable ASCII.
func checkIA5(field, s string) error {
	if s == "" || len(s) > maxText {
		return fmt.Errorf("%w: %s must have 1 to %d bytes", ErrBuild, field, maxText)
	}
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7e {
			return fmt.Errorf("%w: %s %.40q is not printable ASCII (IA5String)", ErrBuild, field, s)
		}
	}
	return nil
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c < 0x20 || c == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// printableString reports whether s fits the alphabet of PrintableString.
func printableString(s string) bool {
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte(" '()+,-./:=?", c) < 0 {
			return false
		}
	}
	return true
}
