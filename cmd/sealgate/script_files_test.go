package main

import (
	"archive/zip"
	"bytes"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sealgate/sealgate/internal/demo"
	"github.com/sealgate/sealgate/internal/gm"
)

// flip FILE OFFSET: turns one bit of the byte there; a negative offset counts
// from the end.
func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(path, data, 0o600))
}

// edit FILE|DIR OLD NEW: replaces the first OLD in the file, or in the first
// file below the folder that holds it; modes stay.
func cmdEdit(ts *testscript.TestScript, _ bool, args []string) {
	found := false
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || found {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(data, []byte(args[1])) {
			return err
		}
		found = true
		return os.WriteFile(path, bytes.Replace(data, []byte(args[1]), []byte(args[2]), 1), 0)
	}))
	if !found {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
}

// rezip IN OUT ENTRY OLD NEW: packs a zip again with OLD replaced in one entry;
// an entry that is not there is added with NEW as its content.
func cmdRezip(ts *testscript.TestScript, _ bool, args []string) {
	r, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer r.Close()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	add := func(name string, content []byte) {
		f, err := w.Create(name)
		ts.Check(err)
		_, err = f.Write(content)
		ts.Check(err)
	}
	found := false
	for _, f := range r.File {
		content := readEntry(ts, f)
		if f.Name == args[2] {
			if found = bytes.Contains(content, []byte(args[3])); !found {
				ts.Fatalf("%s does not hold %q", f.Name, args[3])
			}
			content = bytes.Replace(content, []byte(args[3]), []byte(args[4]), 1)
		}
		add(f.Name, content)
	}
	if !found {
		add(args[2], []byte(args[4]))
	}
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), out.Bytes(), 0o644))
}

func readEntry(ts *testscript.TestScript, f *zip.File) []byte {
	in, err := f.Open()
	ts.Check(err)
	content, err := io.ReadAll(in)
	ts.Check(err)
	return content
}

// entry ZIP SUFFIX OUT: takes the first entry whose name ends so.
func cmdEntry(ts *testscript.TestScript, _ bool, args []string) {
	r, err := zip.OpenReader(ts.MkAbs(args[0]))
	ts.Check(err)
	defer r.Close()
	for _, f := range r.File {
		if strings.HasSuffix(f.Name, args[1]) {
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), readEntry(ts, f), 0o644))
			return
		}
	}
	ts.Fatalf("%s has no entry ending in %s", args[0], args[1])
}

// issue CSR OUT: what an outside CA does with a certificate request. The
// result holds the certificate and its issuer's.
func cmdIssue(ts *testscript.TestScript, _ bool, args []string) {
	req, err := gm.ParseRequest([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	key, err := gm.GenerateKey()
	ts.Check(err)
	from := time.Now().Add(-time.Hour)
	root, err := gm.CreateCertificate(gm.Template{Subject: pkix.Name{CommonName: "外部 CA"}, NotBefore: from, NotAfter: from.AddDate(9, 0, 0),
		IsCA: true, MaxPathLen: 0, KeyUsage: gm.KeyUsageCertSign}, nil, key.Public(), key.Sign)
	ts.Check(err)
	cert, err := gm.CreateCertificate(gm.Template{Subject: req.Subject, NotBefore: from, NotAfter: from.AddDate(3, 0, 0),
		KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}, root, req.PublicKey, key.Sign)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(cert.PEM(), root.PEM()...), 0o644))
}

// private FILE...: gives files the mode 0600.
func cmdPrivate(ts *testscript.TestScript, _ bool, args []string) {
	for _, f := range args {
		ts.Check(os.Chmod(ts.MkAbs(f), 0o600))
	}
}

// jsonlines N KEY VALUE...: the last output is N lines, each a JSON object, and
// KEY of line i is the i-th VALUE.
func cmdJSONLines(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n")
	if strconv.Itoa(len(lines)) != args[0] {
		ts.Fatalf("%d lines, want %s", len(lines), args[0])
	}
	for i, line := range lines {
		var o map[string]any
		ts.Check(json.Unmarshal([]byte(line), &o))
		if i+2 < len(args) && o[args[1]] != args[i+2] {
			ts.Fatalf("line %d: %s is %v, want %s", i+1, args[1], o[args[1]], args[i+2])
		}
	}
}

// paper FILE: writes an OFD that nobody has sealed.
func cmdPaper(ts *testscript.TestScript, _ bool, args []string) {
	permit, err := demo.SamplePermit(time.Now())
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), permit, 0o644))
}
