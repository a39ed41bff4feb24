package gm_test

import (
	"archive/zip"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
)

func readPackaged(t testing.TB, file, name string) []byte {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	f, err := z.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSignedDataOfAnotherVendorVerifies(t *testing.T) {
	file := filepath.Join(testenv.Corpus(t, "ofd/minted"), "cms.ofd")
	xml := readPackaged(t, file, "Doc_0/Signs/Sign_0/Signature.xml")
	s, err := gm.ParseSignedData(readPackaged(t, file, "Doc_0/Signs/Sign_0/SignedValue.dat"))
	if err != nil {
		t.Fatal(err)
	}
	signed := time.Date(2026, 11, 24, 1, 59, 41, 0, time.UTC)
	if !s.OuterType.Equal(gm.OIDGMSignedData) || !s.ContentType.Equal(gm.OIDGMData) || s.Content != nil || !s.SigningTime.Equal(signed) {
		t.Errorf("%v %v %x %v", s.OuterType, s.ContentType, s.Content, s.SigningTime)
	}
	if err := s.Verify(xml); err != nil {
		t.Error(err)
	}
	if err := s.Verify(append(xml, '\n')); !errors.Is(err, gm.ErrCMSDigest) {
		t.Errorf("other document: %v", err)
	}
}

func TestBareSignatureIsNotSignedData(t *testing.T) {
	file := filepath.Join(testenv.Corpus(t, "ofd/sealed"), "ofdrw-bare-sm2.ofd")
	dat := readPackaged(t, file, "Doc_0/Signs/Sign_0/SignedValue.dat")
	if err := gm.CheckSignature(dat); err != nil {
		t.Fatalf("not a bare signature: %v", err)
	}
	if _, err := gm.ParseSignedData(dat); !errors.Is(err, gm.ErrCMS) {
		t.Errorf("bare signature: %v", err)
	}
}
