package ofd

import "fmt"

// Code names one kind of problem. The values are stable and are those of the
// verification procedure; people and programs key on them.
type Code = string

// The codes that this package reports.
const (
	CodeZipFormat      Code = "E_ZIP_FORMAT"    // not a zip file that can be read in one way only
	CodeZipLimit       Code = "E_ZIP_LIMIT"     // larger, deeper or denser than the limits
	CodeZipDuplicate   Code = "E_ZIP_DUPLICATE" // two entries that some reader takes for the same file
	CodeZipPath        Code = "E_ZIP_PATH"      // a name that could leave the package, or no regular file
	CodeZipMismatch    Code = "E_ZIP_MISMATCH"  // headers, layout or sizes contradict each other
	CodeZipCRC         Code = "E_ZIP_CRC"       // the stored content is damaged
	CodeZipPrefix      Code = "W_ZIP_PREFIX"    // bytes before the first entry
	CodeXMLFormat      Code = "E_XML_FORMAT"    // not strict UTF-8 XML, or ambiguous
	CodeXMLDTD         Code = "E_XML_DTD"       // a document type declaration
	CodeUnsigned       Code = "S_UNSIGNED"      // no DocBody names a list of signatures, or all lists are empty
	CodeSigListMissing Code = "E_SIGLIST_MISSING"
	CodeSigUnlisted    Code = "E_SIG_UNLISTED" // a signature in the package that no list names
	CodeSigMissing     Code = "E_SIG_MISSING"
	CodeSigFormat      Code = "E_SIG_FORMAT"
	CodeSigDupID       Code = "E_SIG_DUP_ID"
	CodeWeakDigest     Code = "E_WEAK_DIGEST"
	CodeDigestAlg      Code = "E_DIGEST_ALG"
	CodeRefMissing     Code = "E_REF_MISSING"
	CodeRefDuplicate   Code = "E_REF_DUPLICATE"
	CodeRefDigest      Code = "E_REF_DIGEST"
	CodeUncovered      Code = "E_UNCOVERED" // reachable from OFD.xml, protected by no signature
	WarnUncovered      Code = "W_UNCOVERED" // in the package, not reachable, protected by no signature
	CodeValueMissing   Code = "E_SV_MISSING"
	CodeStampPage      Code = "W_STAMP_PAGE"
	CodeStampOffPage   Code = "W_STAMP_OFFPAGE"
	CodePostLockChange Code = "E_POST_LOCK_CHANGE"
	CodeChainGap       Code = "W_CHAIN_GAP"
)

// Problem is one departure from the rules, found at one step of the
// verification procedure.
type Problem struct {
	Step   int    // 1 to 25
	Code   Code   // stable
	Target string // the zip name it is about, or ""
	Detail string // one English sentence, never content of the document
}

// String renders the problem in one line.
func (p Problem) String() string {
	if p.Target == "" {
		return fmt.Sprintf("%s: %s", p.Code, p.Detail)
	}
	return fmt.Sprintf("%s(%s): %s", p.Code, p.Target, p.Detail)
}

// Fatal reports whether the problem means that the bytes cannot be relied on
// (code E_…); W_ and S_ codes are not fatal.
func (p Problem) Fatal() bool { return len(p.Code) > 1 && p.Code[0] == 'E' }

// maxProblems bounds one list: a hostile file can be wrong in a hundred
// thousand places, and a report of that size helps nobody.
const maxProblems = 1000

// problems collects up to maxProblems.
type problems []Problem

func (ps *problems) add(step int, code Code, target, format string, args ...any) {
	if len(*ps) >= maxProblems {
		return
	}
	*ps = append(*ps, Problem{Step: step, Code: code, Target: target, Detail: fmt.Sprintf(format, args...)})
}

func (ps problems) fatal() bool {
	for _, p := range ps {
		if p.Fatal() {
			return true
		}
	}
	return false
}

// ContentError says that a file of the package could not be read; it carries
// the problem to report.
type ContentError struct{ Problem Problem }

func (e *ContentError) Error() string { return e.Problem.String() }
