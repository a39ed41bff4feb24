package catalog

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Export writes the catalogue as Load reads it, entries in order of their ids,
// every optional key that was left out left out again. Loading it gives a
// snapshot of the same revision.
func (s *Snapshot) Export() ([]byte, error) {
	w := &yamlWriter{}
	if err := w.mapping(reflect.ValueOf(s.file), 0); err != nil {
		return nil, fmt.Errorf("export catalogue: %w", err)
	}
	if w.out.Len() == 0 {
		return []byte("{}\n"), nil
	}
	return []byte(w.out.String()), nil
}

// yamlWriter writes the subset of YAML that internal/config reads. Text is
// plain only when nothing could take it for anything else, else in double
// quotes with the escapes of JSON; a general YAML library leaves words such as
// .inf plain, which then load as something that is not text.
type yamlWriter struct{ out strings.Builder }

// mapping writes the set fields of a struct as a block mapping.
func (w *yamlWriter) mapping(v reflect.Value, indent int) error {
	first := true
	for i := range v.NumField() {
		key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		f := v.Field(i)
		if key == "" || key == "-" || option == "omitempty" && empty(f) {
			continue
		}
		if !first {
			w.pad(indent)
		}
		first = false
		w.out.WriteString(key + ":")
		if err := w.value(f, indent); err != nil {
			return err
		}
	}
	return nil
}

// value writes what follows "key:" with its leading space and ending newline.
func (w *yamlWriter) value(v reflect.Value, indent int) error {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if block := v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct; block {
		w.out.WriteByte('\n')
		for i := range v.Len() {
			w.pad(indent)
			w.out.WriteString("  - ")
			if err := w.mapping(v.Index(i), indent+4); err != nil {
				return err
			}
		}
		return nil
	}
	if v.Kind() == reflect.Struct && v.NumField() > 2 {
		w.out.WriteByte('\n')
		w.pad(indent + 2)
		return w.mapping(v, indent+2)
	}
	if v.Kind() == reflect.Map && v.Len() > 0 {
		w.out.WriteByte('\n')
		for _, k := range sortedMapKeys(v) {
			w.pad(indent + 2)
			w.out.WriteString(scalar(k.String()) + ":")
			if err := w.value(v.MapIndex(k), indent+2); err != nil {
				return err
			}
		}
		return nil
	}
	text, err := flow(v)
	if err != nil {
		return err
	}
	w.out.WriteString(" " + text + "\n")
	return nil
}

func (w *yamlWriter) pad(n int) { w.out.WriteString(strings.Repeat(" ", n)) }

// flow writes a scalar, a list of scalars, or a small struct on one line.
func flow(v reflect.Value) (string, error) {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		return scalar(string(b)), err
	}
	switch v.Kind() {
	case reflect.String:
		return scalar(v.String()), nil
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			s, err := flow(v.Index(i))
			if err != nil {
				return "", err
			}
			parts[i] = s
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if option == "omitempty" && empty(v.Field(i)) {
				continue
			}
			s, err := flow(v.Field(i))
			if err != nil {
				return "", err
			}
			parts = append(parts, key+": "+s)
		}
		return "{" + strings.Join(parts, ", ") + "}", nil
	case reflect.Map:
		return "{}", nil // of length 0; others are written as a block
	}
	return "", fmt.Errorf("cannot write a %s", v.Type())
}

func scalar(s string) string {
	if plain(s) {
		return s
	}
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // cannot happen: strings always marshal
	}
	return string(b)
}

// plain: begins with a letter, goes on with letters, digits and a few marks,
// and is no word of YAML.
func plain(s string) bool {
	for i, r := range s {
		switch {
		case unicode.Is(unicode.Han, r), 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z':
		case i > 0 && ('0' <= r && r <= '9' || strings.ContainsRune("._-/", r)):
		default:
			return false
		}
	}
	return s != "" && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"}, strings.ToLower(s))
}

func empty(v reflect.Value) bool {
	return v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}

func sortedMapKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}
