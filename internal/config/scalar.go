package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time written as Go writes it ("3s", "1m30s"). It is
// never negative.
type Duration time.Duration

// UnmarshalText reads a duration with its unit.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("want a duration with its unit, such as 3s or 1m30s")
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Or returns d, or otherwise when d is zero.
func (d Duration) Or(otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return time.Duration(d)
}

// Size is a number of bytes written with a binary unit ("64KiB", "8MiB",
// "1GiB") or plainly as bytes ("512B").
type Size int64

// UnmarshalText reads a size with its unit. A bare number is refused, because
// a reader could take it for kilobytes.
func (s *Size) UnmarshalText(text []byte) error {
	t := string(text)
	i := strings.IndexFunc(t, func(r rune) bool { return r < '0' || r > '9' })
	var shift uint
	ok := i > 0 && (t[0] != '0' || i == 1)
	if ok {
		switch t[i:] {
		case "B":
		case "KiB":
			shift = 10
		case "MiB":
			shift = 20
		case "GiB":
			shift = 30
		case "TiB":
			shift = 40
		default:
			ok = false
		}
	}
	if ok {
		n, err := strconv.ParseInt(t[:i], 10, 64)
		if err == nil && n <= math.MaxInt64>>shift {
			*s = Size(n << shift)
			return nil
		}
	}
	return fmt.Errorf("want a size with its unit, such as 512B, 64KiB or 8MiB")
}

// MarshalText writes the largest unit that needs no fraction.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String is the size with the largest unit that needs no fraction.
func (s Size) String() string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	n, i := int64(s), 0
	for n != 0 && n%1024 == 0 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	return strconv.FormatInt(n, 10) + units[i]
}

// Or returns s, or otherwise when s is zero.
func (s Size) Or(otherwise int64) int64 {
	if s == 0 {
		return otherwise
	}
	return int64(s)
}
