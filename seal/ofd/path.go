package ofd

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrPath says that a location (ST_Loc) names no file inside the package.
var ErrPath = errors.New("location is not a path inside the package")

// ResolvePath resolves loc, a location found in the XML file named base (a zip
// name, so without leading slash), to a zip name. A leading slash means the
// package root; anything else is relative to the folder of base (GB/T 33190,
// ST_Loc). `.` and `..` are resolved and may not leave the package. White space
// around loc is ignored. Backslashes, drive letters, URLs, control characters,
// empty segments and overlong paths are refused with ErrPath: readers disagree
// on what they mean.
func ResolvePath(base, loc string) (string, error) {
	loc = strings.Trim(loc, " \t\r\n")
	if loc == "" || len(loc) > 2*MaxNameLength || !utf8.ValidString(loc) {
		return "", fmt.Errorf("%w: empty, too long or not UTF-8", ErrPath)
	}
	if why := badPath(loc); why != "" {
		return "", fmt.Errorf("%w: it %s", ErrPath, why)
	}
	if strings.Contains(loc, "://") {
		return "", fmt.Errorf("%w: it is a URL", ErrPath)
	}
	if isPlain(loc) { // nothing to resolve: the usual case
		if loc[0] == '/' {
			loc = loc[1:]
		} else {
			loc = folder(base) + loc
		}
	} else {
		var segs []string
		if loc[0] == '/' {
			loc = loc[1:]
		} else if dir := folder(base); dir != "" {
			segs = strings.Split(dir[:len(dir)-1], "/")
		}
		for seg := range strings.SplitSeq(loc, "/") {
			switch seg {
			case "":
				return "", fmt.Errorf("%w: it has an empty segment", ErrPath)
			case ".":
			case "..":
				if len(segs) == 0 {
					return "", fmt.Errorf("%w: it leaves the package", ErrPath)
				}
				segs = segs[:len(segs)-1]
			default:
				segs = append(segs, seg)
			}
		}
		loc = strings.Join(segs, "/")
	}
	if loc == "" || len(loc) > MaxNameLength || strings.Count(loc, "/") >= MaxPathDepth {
		return "", fmt.Errorf("%w: it names the root or is too long", ErrPath)
	}
	return loc, nil
}

// isPlain reports whether loc has no dot or empty segments behind its first slash.
func isPlain(loc string) bool {
	rest := strings.TrimPrefix(loc, "/")
	for {
		seg, more, found := strings.Cut(rest, "/")
		if seg == "" || seg == "." || seg == ".." {
			return false
		}
		if !found {
			return true
		}
		rest = more
	}
}

// folder returns the folder part of a zip name with its slash, or "".
func folder(name string) string { return name[:strings.LastIndexByte(name, '/')+1] }
