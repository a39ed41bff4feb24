package local

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

// golden returns a file of testdata: every process that fuzzes must have the
// same one. They also pin the format: what was written once opens for ever.
func golden(t testing.TB, name string, write func() ([]byte, error)) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		data, err := write()
		if err == nil {
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func goldenHeader(t testing.TB) []byte {
	return golden(t, "header.json", func() ([]byte, error) {
		h := header{V: headerVersion, ID: make([]byte, idSize), AEAD: aeadName}
		if err := h.addSlot("passphrase", []byte("correct horse battery"), CheapKDF(), make([]byte, masterSize)); err != nil {
			return nil, err
		}
		h.authenticate(make([]byte, masterSize))
		return h.marshal()
	})
}

func goldenEntry() envelope { return envelope{kind: kindEntry, generation: 7, path: "keys/seal"} }

func goldenFile(t testing.TB) []byte {
	return golden(t, "entry.key", func() ([]byte, error) {
		return goldenEntry().seal(make([]byte, masterSize), make([]byte, idSize), []byte("plain"))
	})
}

func TestFilesOfThisFormOpenForEver(t *testing.T) {
	h, err := parseHeader(goldenHeader(t))
	if err != nil {
		t.Fatal(err)
	}
	master, err := h.unwrap([]byte("correct horse battery"))
	if err != nil || h.checkMAC(master) != nil {
		t.Fatal("header does not open", err)
	}
	if plain, err := openEnvelope(goldenFile(t), master, h.ID, goldenEntry()); err != nil || string(plain) != "plain" {
		t.Fatal("entry does not open", err)
	}
}

// Whatever is accepted as a header is written back as the same bytes.
func FuzzHeaderHasOneForm(f *testing.F) {
	good, master := goldenHeader(f), make([]byte, masterSize)
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"t":1`), []byte(`"t":99999`), 1))
	f.Add(bytes.Replace(good, []byte(`"v":1`), []byte(`"v":1,"v":1`), 1))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseHeader(data)
		if err != nil {
			return
		}
		again, err := h.marshal()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("accepted %q, writes %q", data, again)
		}
		for _, s := range h.Slots {
			if s.kdf().check() != nil {
				t.Fatal("unbounded KDF accepted")
			}
		}
		if string(data) != string(good) && h.checkMAC(master) == nil {
			t.Fatal("a changed header has a right MAC")
		}
	})
}

// Nothing but the very bytes that were written opens.
func FuzzEnvelopeOpensOnlyAsWritten(f *testing.F) {
	store, master := make([]byte, idSize), make([]byte, masterSize)
	e, good := goldenEntry(), goldenFile(f)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(envelopeMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, store2, n, err := parseEnvelope(data)
		if err == nil && !bytes.HasPrefix(data, got.head(store2)) {
			t.Fatalf("head of %d bytes is not written back", n)
		}
		plain, err := openEnvelope(data, master, store, e)
		if (err == nil) != bytes.Equal(data, good) {
			t.Fatalf("opened: %v", err)
		}
		if err == nil && string(plain) != "plain" {
			t.Fatal("other content")
		}
	})
}
