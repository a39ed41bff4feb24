package local

import (
	"bytes"
	"testing"
)

// Whatever is accepted as a header is written back as the same bytes.
func FuzzHeaderHasOneForm(f *testing.F) {
	h := header{V: headerVersion, ID: make([]byte, idSize), AEAD: aeadName}
	master := make([]byte, masterSize)
	if err := h.addSlot("passphrase", []byte("correct horse battery"), CheapKDF(), master); err != nil {
		f.Fatal(err)
	}
	h.authenticate(master)
	good, err := h.marshal()
	if err != nil {
		f.Fatal(err)
	}
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
	e := envelope{kind: kindEntry, generation: 7, path: "keys/seal"}
	good, err := e.seal(master, store, []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
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
