package ofd

// Limits of what is read at all (reliability goals 4.4b). Real documents stay
// far below: the largest sample has 33 entries, ratio 28.6 and 1.9 MB unpacked.
const (
	MaxFileSize     = 1 << 30   // bytes of the package as stored
	MaxEntries      = 10_000    // entries, folders included
	MaxEntrySize    = 256 << 20 // bytes of one entry, unpacked
	MaxTotalSize    = 512 << 20 // bytes of all entries, unpacked
	MaxRatio        = 100       // unpacked : packed, for entries over ratioFrom
	MaxNameLength   = 512       // bytes of an entry's name
	MaxPathDepth    = 32        // segments of an entry's name
	MaxXMLDepth     = 256       // nested elements
	MaxXMLAttrs     = 256       // attributes of one element
	MaxXMLSize      = 64 << 20  // bytes of one XML part
	maxXMLNodes     = 500_000   // elements of one XML part that is read as a tree
	maxXMLKept      = 96 << 20  // bytes of memory for the trees of all XML parts
	maxContentKept  = 32 << 20  // bytes of unpacked content that is kept; more is unpacked again
	maxDescription  = 8 << 20   // bytes of one Signature.xml
	maxDescriptions = 64 << 20  // bytes of all Signature.xml
	maxValueSize    = 16 << 20  // bytes of one file with a signature value
	maxCheckValue   = 1 << 10   // characters of a CheckValue before it is decoded
	maxAttrValue    = 1 << 20   // bytes of one attribute value
	maxBodies       = 64        // DocBody elements
	maxSignatures   = 1_000     // signatures of one list
	ratioFrom       = 1 << 20
	maxCommentBytes = 1<<16 - 1
)
