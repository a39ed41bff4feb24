package catalog

import "fmt"

// Identifiers are distinct types, so that a system cannot be looked up by an
// interface's id. All but item codes and regions have the form
// [A-Za-z0-9][A-Za-z0-9._-]{0,63}; '#' stays free for X-SG-App: app#key_id.
type (
	DepartmentID string // such as "rs"
	SystemID     string // such as "rs-benefit"; the X-SG-App of its calls
	InterfaceID  string // such as "pop.person.query"
	ScenarioID   string
	GrantID      string
	// ItemCode is a service item's code (事项编码): 31 or 33 characters by
	// GB/T 39554.1, other forms where a province still uses them.
	ItemCode string
)

const maxIDBytes = 64

// ParseSystemID reads the id of a system as callers send it.
func ParseSystemID(s string) (SystemID, error) {
	if err := checkID(s); err != nil {
		return "", err
	}
	return SystemID(s), nil
}

// UnmarshalText refuses a malformed id; a catalogue error then names its line.
func (d *DepartmentID) UnmarshalText(b []byte) error { return unmarshalID(d, b) }

// UnmarshalText refuses a malformed id; a catalogue error then names its line.
func (d *SystemID) UnmarshalText(b []byte) error { return unmarshalID(d, b) }

// UnmarshalText refuses a malformed id; a catalogue error then names its line.
func (d *InterfaceID) UnmarshalText(b []byte) error { return unmarshalID(d, b) }

// UnmarshalText refuses a malformed id; a catalogue error then names its line.
func (d *ScenarioID) UnmarshalText(b []byte) error { return unmarshalID(d, b) }

// UnmarshalText refuses a malformed id; a catalogue error then names its line.
func (d *GrantID) UnmarshalText(b []byte) error { return unmarshalID(d, b) }

// UnmarshalText refuses a malformed code; a catalogue error then names its line.
func (c *ItemCode) UnmarshalText(b []byte) error { return unmarshalID(c, b) }

func unmarshalID[T ~string](into *T, b []byte) error {
	if err := checkID(string(b)); err != nil {
		return err
	}
	*into = T(b)
	return nil
}

func checkID(s string) error {
	ok := len(s) > 0 && len(s) <= maxIDBytes && alphanumeric(s[0])
	for i := 0; ok && i < len(s); i++ {
		ok = alphanumeric(s[i]) || s[i] == '.' || s[i] == '_' || s[i] == '-'
	}
	if !ok {
		return fmt.Errorf("want an id of 1 to 64 letters, digits, '.', '_' or '-' that begins with a letter or digit")
	}
	return nil
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
