package local_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/local"
)

func TestALockedKeystoreDoesNothing(t *testing.T) {
	h := create(t, local.Options{})
	if _, err := h.Create(t.Context(), "c", keys.Checkpoint); err != nil {
		t.Fatal(err)
	}
	h.Lock()
	if !h.Locked() {
		t.Fatal("not locked")
	}
	_, errs := h.Key("c").Sign(t.Context(), keys.Request{Type: keys.TypeCheckpoint, Item: []byte("{}"), KeyVersion: 1})
	_, errb := h.Key("c").SignBatch(t.Context(), make([]keys.Request, 1))
	_, erri := h.Info(t.Context(), "c")
	_, errc := h.Create(t.Context(), "d", keys.Checkpoint)
	_, errl := h.List(t.Context())
	_, errn := h.Counter()
	errk := h.CreateSecret(t.Context(), "s")
	_, errx := local.NewSecrets(h.Keystore).Secret(t.Context(), "local:s")
	errr := h.Ready(t.Context())
	for i, err := range []error{errs, errb, erri, errc, errl, errn, errk, errx, errr} {
		if !errors.Is(err, keys.ErrLocked) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if err := h.Unlock(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	if info, err := h.Info(t.Context(), "c"); err != nil || !info.Software {
		t.Errorf("after unlock: %+v %v", info, err)
	}
	if err := h.Ready(t.Context()); err != nil {
		t.Errorf("ready after unlock: %v", err)
	}
}

func TestAWrongPassphraseIsRefusedAndSlowsTheNextAttempt(t *testing.T) {
	h := create(t, local.Options{})
	h.Lock()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		for range 3 {
			if err := h.Unlock(t.Context(), []byte("wrong horse battery")); !errors.Is(err, keys.ErrPassphrase) {
				t.Fatal(err)
			}
		}
		if d := time.Since(begin); d != 1500*time.Millisecond { // 0 + 0.5 + 1
			t.Errorf("three wrong passphrases took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Unlock(ctx, passphrase); !errors.Is(err, context.DeadlineExceeded) || !h.Locked() {
			t.Errorf("the pause was skipped: %v", err)
		}
		if err := h.Unlock(t.Context(), passphrase); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		if err := h.Unlock(t.Context(), passphrase); err != nil || time.Since(begin) != 0 {
			t.Errorf("after the right one there is still a pause: %v", err)
		}
	})
}

func TestChangingPassphrasesIsNoWayAroundThePause(t *testing.T) {
	h := create(t, local.Options{})
	synctest.Test(t, func(t *testing.T) {
		begin, wrong := time.Now(), []byte("wrong horse battery")
		for _, err := range []error{h.AddPassphrase(wrong, "x", passphrase), h.RemovePassphrase(wrong, "x"), h.ChangePassphrase(wrong, "x", passphrase)} {
			if !errors.Is(err, keys.ErrPassphrase) {
				t.Fatal(err)
			}
		}
		if d := time.Since(begin); d != 1500*time.Millisecond { // 0 + 0.5 + 1
			t.Errorf("three wrong passphrases took %v", d)
		}
	})
}

func TestASecondProcessIsRefused(t *testing.T) {
	h := create(t, local.Options{})
	if _, err := local.Open(h.dir, local.Options{}); !errors.Is(err, keys.ErrBusy) {
		t.Errorf("got %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	k, err := local.Open(h.dir, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
}

func TestAKeystoreIsNotMadeOverAnother(t *testing.T) {
	h := create(t, local.Options{})
	h.Close()
	if _, err := local.Create(t.Context(), h.dir, passphrase, local.Options{KDF: local.CheapKDF()}); !errors.Is(err, keys.ErrExists) {
		t.Errorf("got %v", err)
	}
	if _, err := local.Open(filepath.Join(t.TempDir(), "none"), local.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: %v", err)
	}
	if _, err := local.Open(t.TempDir(), local.Options{}); err == nil {
		t.Error("opened a folder that others may enter, without a keystore")
	}
	for _, weak := range []string{"", "short", "eleven char", "with a\nline break", "with a\x00 in it...", strings.Repeat("x", 1025)} {
		dir := filepath.Join(t.TempDir(), "k")
		if _, err := local.Create(t.Context(), dir, []byte(weak), local.Options{}); !errors.Is(err, keys.ErrWeak) {
			t.Errorf("%.20q: %v", weak, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("a refused passphrase left a folder")
		}
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	h := create(t, local.Options{})
	if err := h.CreateSecret(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	for _, path := range []string{h.dir, filepath.Join(h.dir, "header.json"), filepath.Join(h.dir, "index"), filepath.Join(h.dir, "keys"), keyFile(t, h.dir)} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, info.Mode().Perm()|0o040); err != nil {
			t.Fatal(err)
		}
		if err := openAndUnlock(t, h); !errors.Is(err, keys.ErrAccess) {
			t.Errorf("%s open to its group: %v", path, err)
		}
		if err := os.Chmod(path, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(h.dir, "header.json"), filepath.Join(h.dir, "index"), keyFile(t, h.dir)} {
		aside := filepath.Join(t.TempDir(), "aside")
		if err := errors.Join(os.Rename(path, aside), os.Symlink(aside, path)); err != nil {
			t.Fatal(err)
		}
		if err := openAndUnlock(t, h); !errors.Is(err, keys.ErrAccess) {
			t.Errorf("%s as a link: %v", path, err)
		}
		if err := os.Rename(aside, path); err != nil {
			t.Fatal(err)
		}
	}
	if err := openAndUnlock(t, h); err != nil {
		t.Errorf("after all was put right: %v", err)
	}
}

// openAndUnlock opens the store, unlocks it and closes it again.
func openAndUnlock(t *testing.T, h hosted) error {
	t.Helper()
	k, err := local.Open(h.dir, h.options)
	if err != nil {
		return err
	}
	return errors.Join(k.Unlock(t.Context(), passphrase), k.Close())
}

func keyFile(t *testing.T, dir string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "keys", "*.key"))
	if err != nil || len(list) == 0 {
		t.Fatal("no key file")
	}
	return list[0]
}

func TestPassphrasesAreChangedWithoutTouchingKeys(t *testing.T) {
	h := create(t, local.Options{})
	if err := h.CreateSecret(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	key, _ := os.ReadFile(keyFile(t, h.dir))
	code := local.NewRecoveryCode()
	next := []byte("another horse battery")
	if err := h.AddPassphrase([]byte("wrong horse battery"), "recovery", code); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("added under a wrong passphrase: %v", err)
	}
	for _, err := range []error{
		h.AddPassphrase(passphrase, "recovery", code),
		h.ChangePassphrase(code, "passphrase", next),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h.Lock()
	if err := h.Unlock(t.Context(), passphrase); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("the old passphrase: %v", err)
	}
	for _, p := range [][]byte{next, code} {
		h.Lock()
		if err := h.Unlock(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	if err := h.RemovePassphrase(code, "passphrase"); err != nil {
		t.Error(err)
	}
	if err := h.RemovePassphrase(code, "recovery"); !errors.Is(err, keys.ErrPassphrase) {
		t.Errorf("the last slot: %v", err)
	}
	if after, _ := os.ReadFile(keyFile(t, h.dir)); !bytes.Equal(key, after) {
		t.Error("a key file was touched")
	}
}

func TestSecretsAreReadByReference(t *testing.T) {
	h := create(t, local.Options{})
	if err := h.CreateSecret(t.Context(), "subjects"); err != nil {
		t.Fatal(err)
	}
	if err := h.CreateSecret(t.Context(), "subjects"); !errors.Is(err, keys.ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	s := local.NewSecrets(h.Keystore)
	one, err := s.Secret(t.Context(), "local:subjects")
	if err != nil || len(one) != local.SecretSize || bytes.Equal(one, make([]byte, local.SecretSize)) {
		t.Fatalf("%d bytes, %v", len(one), err)
	}
	h = h.reopen(t)
	s = local.NewSecrets(h.Keystore)
	two, err := s.Secret(t.Context(), "local:subjects")
	if err != nil || !gm.Equal(one, two) {
		t.Errorf("another after a restart: %v", err)
	}
	if n, err := h.List(t.Context()); err != nil || len(n) != 0 {
		t.Errorf("secrets are listed as keys: %v", n)
	}
	if n, err := h.Secrets(t.Context()); err != nil || !slices.Equal(n, []keys.Name{"subjects"}) {
		t.Errorf("secrets: %v %v", n, err)
	}

	file := func(mode fs.FileMode, content string) string {
		p := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(p, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return "file:" + p
	}
	const good = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	if b, err := s.Secret(t.Context(), file(0o600, good+"\n")); err != nil || len(b) != 32 || b[31] != 31 {
		t.Errorf("file: %x %v", b, err)
	}
	for name, c := range map[string]struct {
		ref  string
		want error
	}{
		"readable by others": {file(0o644, good), keys.ErrAccess},
		"short":              {file(0o600, "AAECAwQ="), keys.ErrSecret},
		"two lines":          {file(0o600, good[:20]+"\n"+good[20:]), keys.ErrSecret},
		"not base64":         {file(0o600, "correct horse battery staple"), keys.ErrSecret},
		"empty":              {file(0o600, ""), keys.ErrSecret},
		"no such secret":     {"local:none", keys.ErrSecret},
		"a path":             {"local:../keys/c", keys.ErrSecret},
		"another kind":       {"vault:kv/x#y", keys.ErrSecret},
		"nothing":            {"", keys.ErrSecret},
		"no name":            {"file:", keys.ErrSecret},
	} {
		if b, err := s.Secret(t.Context(), c.ref); b != nil || err == nil || c.want == keys.ErrAccess && !errors.Is(err, keys.ErrAccess) || c.want == keys.ErrSecret && !errors.Is(err, keys.ErrSecret) {
			t.Errorf("%s: %x %v", name, b, err)
		}
	}
	if _, err := local.NewSecrets(nil).Secret(t.Context(), "local:subjects"); !errors.Is(err, keys.ErrSecret) {
		t.Errorf("without a store: %v", err)
	}
}

func TestPassphrasesComeFromAFileOrADescriptor(t *testing.T) {
	p := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(p, append(bytes.Clone(passphrase), '\n'), 0o400); err != nil {
		t.Fatal(err)
	}
	if got, err := local.PassphraseFromFile(p); err != nil || !bytes.Equal(got, passphrase) {
		t.Errorf("%q %v", got, err)
	}
	if err := os.Chmod(p, 0o440); err != nil {
		t.Fatal(err)
	}
	if _, err := local.PassphraseFromFile(p); !errors.Is(err, keys.ErrAccess) {
		t.Errorf("a credential that others may read: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(passphrase); err != nil {
		t.Fatal(err)
	}
	w.Close()
	fd, err := dup(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if got, err := local.PassphraseFromFD(fd); err != nil || !bytes.Equal(got, passphrase) {
		t.Errorf("%q %v", got, err)
	}
	if _, err := local.PassphraseFromFD(fd); err == nil {
		t.Error("the descriptor was left open")
	}
	if a, b := local.NewRecoveryCode(), local.NewRecoveryCode(); bytes.Equal(a, b) || len(a) != 35 {
		t.Errorf("%s %s", a, b)
	}
}

func TestNoPrivateKeyIsReadableInTheFolder(t *testing.T) {
	h := create(t, local.Options{})
	if _, err := h.Create(t.Context(), "very-secret-name", keys.Checkpoint); err != nil {
		t.Fatal(err)
	}
	for rel, data := range snapshot(t, h.dir) {
		for _, word := range []string{`"d":`, "versions", "checkpoint"} {
			if rel != "header.json" && bytes.Contains(data, []byte(word)) {
				t.Errorf("%s shows %q", rel, word)
			}
		}
	}
}

func TestTheKeystoreOffersNoExportAndNoImport(t *testing.T) {
	var got []string
	for i := range reflect.TypeFor[*local.Keystore]().NumMethod() {
		got = append(got, reflect.TypeFor[*local.Keystore]().Method(i).Name)
	}
	want := []string{"AddPassphrase", "CSR", "ChangePassphrase", "Close", "Counter", "Create", "CreateSecret", "Destroy", "Disable",
		"Info", "InstallCertificate", "Key", "List", "Lock", "Locked", "Ready", "RemovePassphrase", "Rotate", "Secrets", "Unlock"}
	if !slices.Equal(got, want) {
		t.Errorf("local.Keystore has %v, want %v", got, want)
	}
}
