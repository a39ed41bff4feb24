package keytest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/sealgate/sealgate/keys/engine"
)

// Memory is an engine.Storage that keeps its entries in memory. The zero value
// is empty and ready.
type Memory struct {
	mu      sync.Mutex
	entries map[string][]byte
	puts    int
}

// Get implements engine.Storage.
func (m *Memory) Get(_ context.Context, path string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.entries[path]
	if !ok {
		return nil, engine.ErrNoEntry
	}
	return bytes.Clone(v), nil
}

// Put implements engine.Storage.
func (m *Memory) Put(_ context.Context, path string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[string][]byte{}
	}
	m.entries[path] = bytes.Clone(value)
	m.puts++
	return nil
}

// Delete implements engine.Storage.
func (m *Memory) Delete(_ context.Context, path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, path)
	return nil
}

// List implements engine.Storage.
func (m *Memory) List(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for p := range m.entries {
		if rest, ok := strings.CutPrefix(p, prefix); ok {
			out = append(out, rest)
		}
	}
	return out, nil
}

// Puts returns how often Put was called.
func (m *Memory) Puts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts
}

// ErrHostile is what a Hostile storage fails with.
var ErrHostile = errors.New("hostile storage")

// Mode is how a Hostile storage treats writes.
type Mode int

// The modes.
const (
	Good         Mode = iota
	FailsNotDone      // Put and Delete fail and change nothing
	FailsButDone      // Put and Delete fail and have happened
	Duplicated        // Put and Delete happen twice
	ReadsFail         // Get and List fail
)

// Modes lists the modes that are not Good.
func Modes() map[string]Mode {
	return map[string]Mode{"fails and not done": FailsNotDone, "fails but done": FailsButDone,
		"duplicated": Duplicated, "reads fail": ReadsFail}
}

// Hostile wraps a storage and misbehaves as it is told.
type Hostile struct {
	engine.Storage
	mu   sync.Mutex
	mode Mode
}

// Set changes the mode.
func (h *Hostile) Set(m Mode) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mode = m
}

func (h *Hostile) now() Mode {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mode
}

// Get implements engine.Storage.
func (h *Hostile) Get(ctx context.Context, path string) ([]byte, error) {
	if h.now() == ReadsFail {
		return nil, ErrHostile
	}
	return h.Storage.Get(ctx, path)
}

// List implements engine.Storage.
func (h *Hostile) List(ctx context.Context, prefix string) ([]string, error) {
	if h.now() == ReadsFail {
		return nil, ErrHostile
	}
	return h.Storage.List(ctx, prefix)
}

// Put implements engine.Storage.
func (h *Hostile) Put(ctx context.Context, path string, value []byte) error {
	return h.write(func() error { return h.Storage.Put(ctx, path, value) })
}

// Delete implements engine.Storage.
func (h *Hostile) Delete(ctx context.Context, path string) error {
	return h.write(func() error { return h.Storage.Delete(ctx, path) })
}

func (h *Hostile) write(f func() error) error {
	switch h.now() {
	case FailsNotDone:
		return ErrHostile
	case FailsButDone:
		return errors.Join(ErrHostile, f())
	case Duplicated:
		return errors.Join(f(), f())
	}
	return f()
}

var (
	_ engine.Storage = (*Memory)(nil)
	_ engine.Storage = (*Hostile)(nil)
)
