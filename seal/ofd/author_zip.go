package ofd

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
)

// authorZip writes a package that every reader takes: ASCII names with forward
// slashes, the UTF-8 flag, sizes in the local headers (no data descriptors),
// no folders, one fixed time.
type authorZip struct {
	out  bytes.Buffer
	zip  *zip.Writer
	date uint16 // MS-DOS
	err  error
}

func newAuthorZip(created time.Time) *authorZip {
	z := &authorZip{}
	z.zip = zip.NewWriter(&z.out)
	year := min(max(created.Year(), 1980), 2107)
	z.date = uint16(year-1980)<<9 | uint16(created.Month())<<5 | uint16(created.Day())
	return z
}

// add stores a file, deflated unless it would not get smaller (images).
func (z *authorZip) add(name string, data []byte) {
	if z.err != nil {
		return
	}
	const utf8Names = 0x800
	header := &zip.FileHeader{
		//lint:ignore SA1019 raw entries take this field; Modified would add an extra field
		Name: name, Flags: utf8Names, Method: zip.Store, ModifiedDate: z.date,
		CRC32: crc32.ChecksumIEEE(data), UncompressedSize64: uint64(len(data)),
		CreatorVersion: 20, ReaderVersion: 20,
	}
	if !strings.HasSuffix(name, ".png") && !strings.HasSuffix(name, ".jpg") {
		packed, err := authorDeflate(data)
		if err != nil {
			z.err = err
			return
		}
		if len(packed) < len(data) {
			header.Method, data = zip.Deflate, packed
		}
	}
	header.CompressedSize64 = uint64(len(data))
	w, err := z.zip.CreateRaw(header)
	if err == nil {
		_, err = w.Write(data)
	}
	if err != nil {
		z.err = fmt.Errorf("write entry %s: %w", name, err)
	}
}

func (z *authorZip) finish() ([]byte, error) {
	if z.err != nil {
		return nil, z.err
	}
	if err := z.zip.Close(); err != nil {
		return nil, fmt.Errorf("write package: %w", err)
	}
	return z.out.Bytes(), nil
}

func authorDeflate(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
