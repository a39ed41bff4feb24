package ofd

import (
	"bytes"
	"slices"
)

// CheckReferences is step 7: every Reference resolves to one file of the
// package, none is repeated, and every digest matches. It returns everything
// that is wrong, in the order of the references.
func (p *Package) CheckReferences(s *Signature) []Problem {
	var ps problems
	seen := make(map[string]bool, len(s.References))
	for _, r := range s.References {
		switch {
		case r.Name == "":
			ps.add(7, CodeRefMissing, clip(r.Loc), "the signature protects a file that does not exist")
			continue
		case seen[r.Name]:
			ps.add(7, CodeRefDuplicate, r.Name, "the signature references the file twice")
		}
		seen[r.Name] = true
		if r.Value == nil {
			ps.add(7, CodeRefDigest, r.Name, "the check value is not base64 of 32 bytes")
			continue
		}
		digest, err := p.Digest(r.Name)
		if err != nil {
			ps = append(ps, err.(*ContentError).Problem)
			ps.add(7, CodeRefDigest, r.Name, "the file is damaged, so its digest cannot match")
			continue
		}
		if !bytes.Equal(digest[:], r.Value) {
			ps.add(7, CodeRefDigest, r.Name, "the file was changed after signing")
		}
	}
	return ps
}

// CheckStamps is step 23: a seal is shown, on pages that exist, within their
// bounds. Riding seals lie partly off the page by design, so only a stamp of
// which nothing is visible counts as off the page.
func (p *Package) CheckStamps(s *Signature) []Problem {
	var ps problems
	if s.Raw == nil {
		return nil // nothing was read that could place a seal
	}
	if len(s.Stamps) == 0 && s.Type == TypeSeal {
		ps.add(23, CodeStampPage, s.Path, "the seal is shown on no page")
	}
	ids := map[string]bool{}
	for _, st := range s.Stamps {
		if st.ID == "" || ids[st.ID] {
			ps.add(23, CodeStampPage, s.Path, "a StampAnnot has no ID, or one that is used twice")
		}
		ids[st.ID] = true
		page := p.pageByID(s.Body, st.PageRef)
		if page == nil {
			ps.add(23, CodeStampPage, s.Path, "the seal is placed on page ID %q, which does not exist", clip(st.PageRef))
			continue
		}
		if st.Boundary == nil || st.Boundary.Empty() {
			ps.add(23, CodeStampOffPage, s.Path, "the seal's boundary is missing, malformed or empty")
			continue
		}
		visible := *st.Boundary
		if st.Clip != nil {
			visible = visible.Intersect(Box{visible.X + st.Clip.X, visible.Y + st.Clip.Y, st.Clip.W, st.Clip.H})
		}
		if page.Box != nil { // boundaries count from the corner of the page's box
			visible = visible.Intersect(Box{0, 0, page.Box.W, page.Box.H})
		}
		if visible.Empty() {
			ps.add(23, CodeStampOffPage, s.Path, "no part of the seal lies on the page")
		}
	}
	return ps
}

func (p *Package) pageByID(body int, id string) *Page {
	if d := p.Bodies[body].Document; d != nil {
		for i := range d.Pages {
			if d.Pages[i].ID == id {
				return &d.Pages[i]
			}
		}
	}
	return nil
}

// Covered returns the names of all files that the signatures reference.
func (p *Package) Covered(signatures ...*Signature) map[string]bool {
	n := 0
	for _, s := range signatures {
		n += len(s.References)
	}
	covered := make(map[string]bool, n)
	for _, s := range signatures {
		for _, r := range s.References {
			if r.Name != "" {
				covered[r.Name] = true
			}
		}
	}
	return covered
}

// Gap is a file that no signature protects.
type Gap struct {
	Name      string
	Reachable bool // from OFD.xml: it can change what a reader shows
}

// Uncovered returns the files that are not in covered, sorted bytewise. Left
// out are the files that cannot be covered by the signature they belong to or
// that change with every further one: each signature's own Signature.xml and
// .dat, and the lists of signatures. Nothing is left out that a document names
// as its own part: whoever prepares a document could otherwise have a list that
// is a page or an attachment too, and change it after sealing.
func (p *Package) Uncovered(covered map[string]bool) []Gap {
	return p.gaps(covered, p.Signatures())
}

// UncoveredBy is Uncovered for one signature, over the files that existed when
// it was made: files of later signatures of its list are left out too.
func (p *Package) UncoveredBy(s *Signature) []Gap {
	exempt := []*Signature{s}
	later := false
	for _, o := range p.Bodies[s.Body].Signatures {
		if o == s {
			later = true
			continue
		}
		if later {
			exempt = append(exempt, o)
		}
	}
	gaps := p.gaps(p.Covered(s), exempt)
	if len(exempt) > 1 {
		seals := map[string]bool{}
		for _, o := range exempt[1:] {
			seals[o.SealPath] = true
		}
		gaps = slices.DeleteFunc(gaps, func(g Gap) bool { return seals[g.Name] })
	}
	return gaps
}

func (p *Package) gaps(covered map[string]bool, own []*Signature) []Gap {
	exempt := make(map[string]bool, 2*len(own)+1)
	for _, s := range own {
		exempt[s.Path], exempt[s.ValuePath] = true, true
	}
	for _, b := range p.Bodies {
		exempt[b.SignaturesPath] = true
	}
	var gaps []Gap
	for _, name := range p.names {
		if !covered[name] && (!exempt[name] || p.content[name]) {
			gaps = append(gaps, Gap{name, p.reached[name]})
		}
	}
	return gaps
}

// Locks reports whether the signature covers its list, so that adding another
// one would break it.
func (p *Package) Locks(s *Signature) bool {
	list := p.Bodies[s.Body].SignaturesPath
	for _, r := range s.References {
		if r.Name == list && list != "" {
			return true
		}
	}
	return false
}

// CheckChain is step 25: a signature that locks the list is the last one, and
// every later signature references all files of the earlier ones.
func (p *Package) CheckChain() []Problem {
	var ps problems
	for _, b := range p.Bodies {
		for i, s := range b.Signatures {
			if i+1 < len(b.Signatures) && p.Locks(s) {
				ps.add(25, CodePostLockChange, b.SignaturesPath, "signature %q locked the list, and another was added after it", clip(s.ID))
			}
			if i == 0 {
				continue
			}
			covered := p.Covered(s)
			for _, early := range b.Signatures[:i] {
				for _, name := range []string{early.Path, early.ValuePath, early.SealPath} {
					if name != "" && !covered[name] {
						ps.add(25, CodeChainGap, name, "signature %q does not protect this file of the earlier signature %q", clip(s.ID), clip(early.ID))
					}
				}
			}
		}
	}
	return ps
}
