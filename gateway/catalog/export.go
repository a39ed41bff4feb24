package catalog

import (
	"bytes"

	"github.com/goccy/go-yaml"
)

// Export writes the catalogue as Load reads it, entries in order of their ids.
// Loading it again gives a snapshot of the same revision.
func (s *Snapshot) Export() ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b, yaml.IndentSequence(true))
	if err := enc.Encode(s.file); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
