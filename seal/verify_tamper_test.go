package seal_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
)

// tampering changes a signed package, whoever made it, and returns the codes of
// which at least one must be reported. It returns nil when it does not apply.
type tampering func(d *document) []string

// pick returns the first file whose name ends in suffix.
func (d *document) pick(suffix string) string {
	for _, f := range d.files {
		if strings.HasSuffix(f.name, suffix) {
			return f.name
		}
	}
	return ""
}

func flipMiddle(s string) string {
	b := []byte(s)
	b[len(b)/2] ^= 4
	return string(b)
}

// protected returns the files that every signature of a package references.
func (d *document) protected() []string {
	var out []string
	for _, f := range d.files {
		own := strings.HasSuffix(f.name, "/Signature.xml") || strings.HasSuffix(f.name, ".dat") || strings.HasSuffix(f.name, "/Signatures.xml")
		if !own && f.data != "" {
			out = append(out, f.name)
		}
	}
	return out
}

var tamperings = map[string]tampering{
	"file added": func(d *document) []string {
		d.set("Doc_0/added.xml", "<x/>")
		return []string{"W_UNCOVERED"}
	},
	"duplicate entry first": func(d *document) []string {
		d.files = append([]file{{d.pick("/Content.xml"), "<x/>"}}, d.files...)
		return []string{"E_ZIP_DUPLICATE"}
	},
	"duplicate entry last": func(d *document) []string {
		d.files = append(d.files, file{d.pick("/Content.xml"), "<x/>"})
		return []string{"E_ZIP_DUPLICATE"}
	},
	"case alias": func(d *document) []string {
		d.files = append(d.files, file{strings.ToUpper(d.pick("/Content.xml")), "<x/>"})
		return []string{"E_ZIP_DUPLICATE"}
	},
	"name leaves the package": func(d *document) []string {
		d.files = append(d.files, file{"../x.xml", "<x/>"})
		return []string{"E_ZIP_PATH"}
	},
	"page renamed": func(d *document) []string {
		page := d.pick("/Content.xml")
		d.set(strings.Replace(page, "Content", "content", 1), d.get(page))
		d.remove(page)
		return []string{"E_REF_MISSING"}
	},
	"second document": func(d *document) []string {
		d.set("OFD.xml", strings.Replace(d.get("OFD.xml"), "</ofd:OFD>", "<ofd:DocBody><ofd:DocInfo/><ofd:DocRoot>Doc_0/x.xml</ofd:DocRoot></ofd:DocBody></ofd:OFD>", 1))
		return []string{"E_REF_DIGEST"}
	},
	"document type in a page": func(d *document) []string {
		page := d.pick("/Content.xml")
		d.set(page, "<!DOCTYPE x>"+d.get(page))
		return []string{"E_REF_DIGEST"}
	},
	"list of signatures removed": func(d *document) []string {
		d.remove(d.pick("Signatures.xml"))
		return []string{"E_SIGLIST_MISSING"}
	},
	"list of signatures points elsewhere": func(d *document) []string {
		list := d.pick("Signatures.xml")
		d.set(list, strings.ReplaceAll(d.get(list), "Signature.xml", "Other.xml"))
		return []string{"E_SIG_MISSING"}
	},
	"algorithm replaced": func(d *document) []string {
		xml := d.pick("/Signature.xml")
		d.set(xml, strings.NewReplacer(`CheckMethod="SM3"`, `CheckMethod="MD5"`, `CheckMethod="1.2.156.10197.1.401"`, `CheckMethod="MD5"`).Replace(d.get(xml)))
		return []string{"E_WEAK_DIGEST"}
	},
	"references emptied": func(d *document) []string {
		xml := d.pick("/Signature.xml")
		s := d.get(xml)
		from, to := strings.Index(s, "<ofd:Reference "), strings.Index(s, "</ofd:References>")
		d.set(xml, s[:from]+s[to:])
		return []string{"E_SIG_FORMAT", "E_DATAHASH"}
	},
	"description edited": func(d *document) []string {
		xml := d.pick("/Signature.xml")
		d.set(xml, d.get(xml)+"\n")
		return []string{"E_DATAHASH"}
	},
	"value cut": func(d *document) []string {
		dat := d.pick(".dat")
		d.set(dat, d.get(dat)[:len(d.get(dat))-3])
		return []string{"E_SES_STRUCT", "E_CMS_STRUCT"}
	},
	"value edited": func(d *document) []string {
		dat := d.pick(".dat")
		b := []byte(d.get(dat))
		b[len(b)-1] ^= 1
		d.set(dat, string(b))
		return []string{"E_SIG_VALUE"}
	},
	"seal file replaced": func(d *document) []string {
		esl := d.pick(".esl")
		if esl == "" {
			return nil
		}
		d.set(esl, flipMiddle(d.get(esl)))
		return []string{"E_SEAL_MISMATCH"}
	},
	"description twice": func(d *document) []string {
		list := d.pick("Signatures.xml")
		s := d.get(list)
		from := strings.Index(s, "<ofd:Signature ")
		to := from + strings.Index(s[from:], ">") + 1
		one := s[from:to]
		if !strings.HasSuffix(one, "/>") {
			one += "</ofd:Signature>"
		}
		d.set(list, s[:from]+one+s[from:])
		return []string{"E_SIG_DUP_ID"}
	},
}

// TestTamperedDocumentsOfEveryOriginAreNeverValid does every kind of tampering,
// and changes and removes every protected file in turn, with documents of other
// software and with what the Sealer makes of real unsigned documents.
func TestTamperedDocumentsOfEveryOriginAreNeverValid(t *testing.T) {
	w := newWorld(t)
	type base struct {
		data    []byte
		anchors *trust.Anchors
		o       seal.Options
	}
	bases := map[string]base{}
	for _, name := range []string{"v1", "v4", "v4digest", "v5", "v4two", "v4open", "cms"} {
		bases["minted/"+name] = base{corpusFile(t, "minted/"+name+".ofd"), corpusAnchors(t), seal.Options{At: corpusNow}}
	}
	for name, data := range unsignedFiles(t) {
		out, err := w.seal(w.sealer(), w.request(data))
		if err != nil {
			t.Fatal(err)
		}
		bases["sealed/"+name] = base{out.Document, w.anchors, seal.Options{At: worldNow}}
	}
	tried := 0
	for _, from := range slices.Sorted(maps.Keys(bases)) {
		b := bases[from]
		original := unzip(t, b.data)
		untouched := zipOf(t, original.files...)
		if r := verify(t, b.anchors, untouched, b.o); r.Indication != seal.Valid {
			t.Errorf("%s: untouched, but %s: %v", from, r.Indication, r.Problems())
			continue
		}
		check := func(kind string, change tampering) {
			d := original.clone()
			codes := change(d)
			if codes == nil {
				return
			}
			tried++
			r := verify(t, b.anchors, zipOf(t, d.files...), b.o)
			if r.Indication == seal.Valid || !slices.ContainsFunc(codes, r.Has) {
				t.Errorf("%s, %s: %s, %q, want one of %v", from, kind, r.Indication, codesOf(r), codes)
			}
			if strict := verify(t, b.anchors, zipOf(t, d.files...), seal.Options{At: b.o.At, Strict: true}); strict.Indication != seal.Invalid {
				t.Errorf("%s, %s: strict, but %s", from, kind, strict.Indication)
			}
		}
		for kind, change := range tamperings {
			check(kind, change)
		}
		for _, name := range original.protected() {
			check(name+" changed", func(d *document) []string {
				d.set(name, flipMiddle(d.get(name)))
				return []string{"E_REF_DIGEST", "E_XML_FORMAT"}
			})
			check(name+" removed", func(d *document) []string {
				d.remove(name)
				return []string{"E_REF_MISSING", "E_XML_FORMAT"} // without OFD.xml nothing else can be read
			})
		}
		for _, other := range []string{"minted/v5", "sealed/z.ofd"} {
			if other == from {
				continue
			}
			check("signature of "+other, func(d *document) []string {
				o := unzip(t, bases[other].data)
				d.set(d.pick("/Signature.xml"), o.get(o.pick("/Signature.xml")))
				d.set(d.pick(".dat"), o.get(o.pick(".dat")))
				return []string{"E_REF_DIGEST", "E_REF_MISSING", "E_CMS_STRUCT", "E_SIG_FORMAT"}
			})
		}
		if cut := b.data[:len(b.data)-1]; verify(t, b.anchors, cut, b.o).Indication != seal.Invalid {
			t.Errorf("%s: cut off, but not invalid", from)
		}
		if more := append(bytes.Clone(b.data), 0); verify(t, b.anchors, more, b.o).Indication != seal.Invalid {
			t.Errorf("%s: a byte behind, but not invalid", from)
		}
	}
	if tried < 500 {
		t.Errorf("only %d documents were tampered with", tried)
	}
	t.Logf("%d documents", tried)
}
