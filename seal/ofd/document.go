package ofd

// document reads one Document.xml and every part that it leads to. Parts
// that are XML are read strictly; attachments, fonts and pictures are only
// marked as reachable.
func (l loader) document(path string) *Document {
	p := l.p
	p.show(path)
	root := p.parse(path, "Outlines")
	if root == nil {
		return nil
	}
	d := &Document{Path: path}
	l.doc = d
	l = l.at(path, root)
	if root.local != "Document" {
		p.noteOnce(3, CodeXMLFormat, path, "the root element is not Document")
		return d
	}
	if common := l.one(root, "CommonData"); common != nil {
		d.Area = l.area(l.one(common, "PageArea"))
		for _, n := range l.all(common, "PublicRes") {
			l.resource(PartPublicRes, l.text(n))
		}
		for _, n := range l.all(common, "DocumentRes") {
			l.resource(PartDocumentRes, l.text(n))
		}
		for _, n := range l.all(common, "TemplatePage") {
			if !l.first("template", n.attr("ID")) {
				p.noteOnce(3, CodeXMLFormat, path, "two templates have the same ID")
			}
			if t := l.part(PartTemplate, n.attr("ID"), n.attr("BaseLoc")); t != "" {
				l.content(t)
			}
		}
	}
	if pages := l.one(root, "Pages"); pages != nil {
		l.pages(pages)
	}
	for _, n := range l.all(root, "Annotations") {
		l.annotations(l.text(n))
	}
	for _, n := range l.all(root, "Attachments") {
		l.attachments(l.text(n))
	}
	for _, n := range l.all(root, "CustomTags") {
		l.customTags(l.text(n))
	}
	for _, n := range l.all(root, "Extensions") {
		l.extensions(l.text(n))
	}
	return d
}

func (l loader) pages(list *node) {
	boxes := map[string]*Box{} // by page file; several pages may share one
	for _, n := range l.all(list, "Page") {
		page := Page{ID: n.attr("ID"), Box: l.doc.Area}
		if page.ID == "" || !l.first("page", page.ID) {
			l.p.noteOnce(3, CodeXMLFormat, l.file, "a page has no ID, or one that is used twice")
		}
		if page.Path = l.part(PartPage, page.ID, n.attr("BaseLoc")); page.Path != "" {
			if _, known := boxes[page.Path]; !known {
				boxes[page.Path] = l.content(page.Path)
			}
			if own := boxes[page.Path]; own != nil {
				page.Box = own
			}
		}
		l.doc.Pages = append(l.doc.Pages, page)
	}
}

// content reads a page or a template: its area and the resources that it names.
// What it draws is checked as XML and not kept.
func (l loader) content(path string) *Box {
	root := l.p.parse(path, "Content")
	if root == nil {
		return nil
	}
	in := l.at(path, root)
	if l.visit("content", path) {
		for _, n := range in.all(root, "PageRes") {
			in.resource(PartPageRes, in.text(n))
		}
	}
	return in.area(in.one(root, "Area"))
}

// area returns the PhysicalBox, which readers use as the page's size.
func (l loader) area(n *node) *Box {
	if n == nil {
		return nil
	}
	box, err := ParseBox(l.text(l.one(n, "PhysicalBox")))
	if err != nil || box.Empty() {
		return nil
	}
	return &box
}

// resource reads a Res file. Its fonts, media and profiles are relative to its
// BaseLoc, which is relative to the file; some producers leave it out of account,
// so both places count as reachable.
func (l loader) resource(kind PartKind, loc string) {
	path := l.part(kind, "", loc)
	if path == "" || !l.visit("resource", path) {
		return
	}
	root := l.p.parse(path, "")
	if root == nil {
		return
	}
	in := l.at(path, root)
	base := in.file
	if dir := root.attr("BaseLoc"); dir != "" {
		if probe, err := ResolvePath(path, trimSlash(dir)+"/x"); err == nil {
			base = probe
		}
	}
	file := func(kind PartKind, id, loc string) {
		if loc == "" {
			return
		}
		name := in.p.locate(base, loc)
		if other := in.reach(loc); name == "" {
			name = other
		}
		in.p.show(name)
		in.doc.Parts = append(in.doc.Parts, Part{Kind: kind, ID: id, From: path, Loc: loc, Path: name})
	}
	for _, group := range root.kids {
		for _, n := range group.kids {
			id := n.attr("ID")
			if kind != PartPageRes && id != "" && !l.first("resource", id) {
				in.p.noteOnce(3, CodeXMLFormat, path, "two resources have the same ID")
			}
			switch n.local {
			case "Font":
				for _, f := range in.all(n, "FontFile") {
					file(PartFont, id, in.text(f))
				}
			case "MultiMedia":
				for _, f := range in.all(n, "MediaFile") {
					file(PartMedia, id, in.text(f))
				}
			case "ColorSpace":
				file(PartProfile, id, n.attr("Profile"))
			}
		}
	}
}

func (l loader) annotations(loc string) {
	path := l.part(PartAnnotations, "", loc)
	root := l.p.parse(path, "")
	if root == nil || !l.visit("annotations", path) {
		return
	}
	in := l.at(path, root)
	for _, n := range in.all(root, "Page") {
		for _, f := range in.all(n, "FileLoc") {
			if file := in.part(PartAnnotation, n.attr("PageID"), in.text(f)); file != "" {
				in.p.parse(file, "Annot")
			}
		}
	}
}

func (l loader) attachments(loc string) {
	path := l.part(PartAttachments, "", loc)
	root := l.p.parse(path, "")
	if root == nil || !l.visit("attachments", path) {
		return
	}
	in := l.at(path, root)
	for _, n := range in.all(root, "Attachment") {
		for _, f := range in.all(n, "FileLoc") {
			in.part(PartAttachment, n.attr("ID"), in.text(f))
			in.doc.Parts[len(in.doc.Parts)-1].Name = n.attr("Name")
		}
	}
}

func (l loader) customTags(loc string) {
	path := l.part(PartCustomTags, "", loc)
	root := l.p.parse(path, "")
	if root == nil || !l.visit("customtags", path) {
		return
	}
	in := l.at(path, root)
	for _, n := range in.all(root, "CustomTag") {
		for _, f := range in.all(n, "SchemaLoc") {
			in.part(PartSchema, n.attr("TypeID"), in.text(f))
		}
		for _, f := range in.all(n, "FileLoc") {
			if file := in.part(PartCustomTag, n.attr("TypeID"), in.text(f)); file != "" {
				in.p.refuseDTD(file)
			}
		}
	}
}

func (l loader) extensions(loc string) {
	path := l.part(PartExtensions, "", loc)
	root := l.p.parse(path, "")
	if root == nil || !l.visit("extensions", path) {
		return
	}
	in := l.at(path, root)
	for _, n := range in.all(root, "Extension") {
		for _, f := range in.all(n, "ExtendData") {
			in.part(PartExtension, n.attr("RefId"), in.text(f))
		}
	}
}

// versions reads the earlier states of a document: each is a file that lists
// files and may name a document root of its own.
func (l loader) versions(list *node) {
	for _, n := range l.all(list, "Version") {
		path := l.part(PartVersion, n.attr("ID"), n.attr("BaseLoc"))
		root := l.p.parse(path, "")
		if root == nil || !l.visit("version", path) {
			continue
		}
		in := l.at(path, root)
		if doc := in.one(root, "DocRoot"); doc != nil {
			in.part(PartVersionRoot, "", in.text(doc))
		}
		for _, files := range in.all(root, "FileList") {
			for _, f := range in.all(files, "File") {
				in.part(PartVersionFile, f.attr("ID"), in.text(f))
			}
		}
	}
}

func trimSlash(s string) string {
	for len(s) > 1 && s[len(s)-1] == '/' {
		s = s[:len(s)-1]
	}
	return s
}
