package ofd

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// checkNames checks the form of every name, and that no two entries are one
// file to any reader: exactly, ignoring case, in another Unicode normal form,
// with backslashes for slashes, or with a leading slash.
func (a *archive) checkNames(ps *problems) {
	a.files = make(map[string]*entry, len(a.entries))
	a.folded = make(map[string]*entry, len(a.entries))
	for _, e := range a.entries {
		checkName(e.name, ps)
		key := foldName(e.name)
		if first, ok := a.folded[key]; ok {
			ps.add(2, CodeZipDuplicate, e.name, "the entry has the same name as %q, in some reader's eyes", first.name)
			continue
		}
		a.folded[key] = e
		if !e.dir {
			a.files[e.name] = e
		}
	}
	for _, e := range a.entries { // a file must not stand where another name needs a folder
		key := strings.TrimSuffix(foldName(e.name), "/")
		for i := strings.LastIndexByte(key, '/'); i > 0; i = strings.LastIndexByte(key[:i], '/') {
			if up, ok := a.folded[key[:i]]; ok && !up.dir {
				ps.add(2, CodeZipDuplicate, e.name, "%q is a file and a folder", up.name)
				break
			}
		}
	}
}

// checkName reports everything that is wrong with the form of a zip name.
func checkName(name string, ps *problems) {
	if len(name) > MaxNameLength {
		ps.add(1, CodeZipLimit, name[:64], "the name has %d bytes, at most %d are read", len(name), MaxNameLength)
		return
	}
	trimmed := strings.TrimSuffix(name, "/")
	switch {
	case trimmed == "":
		ps.add(2, CodeZipPath, name, "the name is empty")
		return
	case !utf8.ValidString(name):
		ps.add(2, CodeZipPath, "", "a name is not UTF-8")
		return
	case trimmed[0] == '/':
		ps.add(2, CodeZipPath, name, "the name is absolute")
		return
	}
	if strings.Count(trimmed, "/") >= MaxPathDepth {
		ps.add(1, CodeZipLimit, name, "the name has more than %d segments", MaxPathDepth)
	}
	if why := badPath(trimmed); why != "" {
		ps.add(2, CodeZipPath, name, "the name %s", why)
		return
	}
	for seg := range strings.SplitSeq(trimmed, "/") {
		if seg == "" || seg == "." || seg == ".." {
			ps.add(2, CodeZipPath, name, "the name has an empty, `.` or `..` segment")
			return
		}
		if last := seg[len(seg)-1]; last == ' ' || last == '.' || seg[0] == ' ' {
			ps.add(2, CodeZipPath, name, "a segment of the name begins or ends in a space, or ends in a dot, which some systems drop")
			return
		}
	}
}

// badPath says what forbids path in a zip name and in a location alike, or "".
func badPath(path string) string {
	for _, c := range path {
		switch {
		case unicode.IsControl(c) || c == 0xfffe || c == 0xffff:
			return "contains a control character"
		case c == '\\':
			return "contains a backslash"
		}
	}
	if len(path) >= 2 && path[1] == ':' && (path[0]|0x20 >= 'a' && path[0]|0x20 <= 'z') {
		return "begins with a drive letter"
	}
	return ""
}

// foldName maps a name to what it has in common with all names that a reader
// could take for it.
func foldName(name string) string {
	ascii := true
	for i := 0; i < len(name) && ascii; i++ {
		ascii = name[i] < utf8.RuneSelf
	}
	if ascii {
		name = strings.ToLower(name)
	} else {
		name = norm.NFC.String(cases.Fold().String(norm.NFC.String(name)))
	}
	name = strings.ReplaceAll(name, `\`, "/")
	return strings.Trim(name, "/")
}
