package audit

import (
	"bytes"
	"fmt"
	"strconv"
)

// Canonical returns the one canonical form of r (RFC 8785), or an error that is
// ErrRecord. Seq, Time and Node must be set.
func (r *Record) Canonical() ([]byte, error) {
	if err := r.checkWhole(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	out := appendRecordHead(nil, r)
	out = strconv.AppendUint(out, r.Seq, 10)
	out = appendRecordTail(out, r)
	if len(out) > MaxRecordSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrRecord, len(out), MaxRecordSize)
	}
	return out, nil
}

func (r *Record) checkWhole() error {
	if r.Seq > maxInteger {
		return fmt.Errorf("seq is not in 0..2^53-1")
	}
	if err := checkTime("time", r.Time); err != nil {
		return err
	}
	if err := checkText("node", r.Node, maxName); err != nil {
		return err
	}
	return r.check()
}

// appendRecordHead appends the canonical form up to and with `"seq":`. The
// sequence number is known only when the batch is written; splitting here lets
// each appender encode its record itself, so that the committer copies bytes.
func appendRecordHead(b []byte, r *Record) []byte {
	b = append(b, '{')
	if a := &r.Actor; *a != (Actor{}) {
		b = append(appendMember(b, "actor"), '{')
		b = appendText(b, "department", a.Department)
		b = appendText(b, "id", a.ID)
		b = append(appendText(b, "kind", a.Kind), '}')
	}
	b = appendBytes(b, "body_sm3", r.BodySM3)
	b = appendNumber(b, "bytes", r.Bytes)
	b = appendText(b, "code", r.Code)
	if len(r.Counts) > 0 {
		b = append(appendMember(b, "counts"), '{')
		for _, c := range r.Counts {
			b = appendNumber(b, c.Code, N(c.N))
		}
		b = append(b, '}')
	}
	if d := &r.Decision; *d != (Decision{}) {
		b = append(appendMember(b, "decision"), '{')
		b = strconv.AppendBool(appendMember(b, "cached"), d.Cached)
		b = appendText(b, "id", d.ID)
		b = append(appendText(b, "revision", d.Revision), '}')
	}
	if f := &r.Fields; f.Dropped.set || len(f.Masked) > 0 || len(f.Shown) > 0 {
		b = append(appendMember(b, "fields"), '{')
		b = appendNumber(b, "dropped", f.Dropped)
		b = appendTexts(b, "masked", f.Masked)
		b = append(appendTexts(b, "shown", f.Shown), '}')
	}
	if f := &r.Five; *f != (Five{}) {
		b = append(appendMember(b, "five"), '{')
		b = appendText(b, "biz", f.Biz)
		b = appendText(b, "item", f.Item)
		b = appendText(b, "operator", f.Operator)
		b = appendText(b, "org", f.Org)
		b = append(appendText(b, "purpose", f.Purpose), '}')
	}
	if k := &r.Key; *k != (KeyUse{}) {
		b = append(appendMember(b, "key"), '{')
		b = appendText(b, "name", k.Name)
		b = strconv.AppendBool(appendMember(b, "software"), k.Software)
		b = append(appendNumber(b, "version", k.Version), '}')
	}
	b = appendNumber(b, "ms", r.Ms)
	b = appendText(b, "node", r.Node)
	if o := &r.Object; *o != (Object{}) {
		b = append(appendMember(b, "object"), '{')
		b = appendText(b, "id", o.ID)
		b = append(appendText(b, "kind", o.Kind), '}')
	}
	b = appendText(b, "outcome", string(r.Outcome))
	b = appendText(b, "request_id", r.RequestID)
	b = appendNumber(b, "rows", r.Rows)
	return appendMember(b, "seq")
}

// appendRecordTail appends what follows the sequence number. It tolerates an
// empty dst, so that head and tail can stand apart.
func appendRecordTail(b []byte, r *Record) []byte {
	if len(r.Subject) > 0 {
		b = append(b, `,"subject":[`...)
		for i, s := range r.Subject {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, s)
		}
		b = append(b, ']')
	}
	if r.SubjectMore.set {
		b = append(b, `,"subject_more":`...)
		b = strconv.AppendInt(b, r.SubjectMore.n, 10)
	}
	b = append(b, `,"time":"`...)
	b = r.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","type":`...)
	b = appendString(b, string(r.Type))
	if u := &r.Upstream; *u != (Upstream{}) {
		b = append(b, `,"upstream":{`...)
		b = appendNumber(b, "ms", u.Ms)
		b = append(appendNumber(b, "status", u.Status), '}')
	}
	return append(b, `,"v":1}`...)
}

// ParseRecord reads one canonical record. It accepts exactly the byte strings
// that Canonical makes: other member order, white space, another spelling of a
// string or number, an unknown, repeated or empty member, null, or a value over
// its limit are errors that are ErrRecord.
func ParseRecord(data []byte) (Record, error) {
	if len(data) > MaxRecordSize {
		return Record{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrRecord, len(data), MaxRecordSize)
	}
	in := &reader{in: data}
	r := readRecord(in)
	in.end()
	err := in.err
	if err == nil {
		err = r.checkWhole()
	}
	if err == nil {
		// The reader is strict already; this makes the promise above
		// independent of it.
		again := appendRecordHead(make([]byte, 0, len(data)), &r)
		again = strconv.AppendUint(again, r.Seq, 10)
		if !bytes.Equal(appendRecordTail(again, &r), data) {
			err = fmt.Errorf("not in canonical form")
		}
	}
	if err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return r, nil
}

func readRecord(in *reader) (r Record) {
	in.open()
	if in.member("actor") {
		in.open()
		r.Actor = Actor{Department: in.optional("department"), ID: in.required("id"), Kind: in.required("kind")}
		in.close()
	}
	r.BodySM3 = in.bytes("body_sm3")
	r.Bytes = in.number("bytes")
	r.Code = in.optional("code")
	if in.member("counts") {
		r.Counts = readCounts(in)
	}
	if in.member("decision") {
		in.open()
		if !in.member("cached") {
			in.fail("member cached is missing")
		}
		r.Decision = Decision{Cached: in.boolean(), ID: in.optional("id"), Revision: in.optional("revision")}
		in.close()
	}
	if in.member("fields") {
		in.open()
		r.Fields = Fields{Dropped: in.number("dropped"), Masked: in.texts("masked", maxPaths), Shown: in.texts("shown", maxPaths)}
		in.close()
	}
	if in.member("five") {
		in.open()
		r.Five = Five{Biz: in.optional("biz"), Item: in.optional("item"), Operator: in.optional("operator"),
			Org: in.optional("org"), Purpose: in.optional("purpose")}
		in.close()
	}
	if in.member("key") {
		in.open()
		r.Key.Name = in.required("name")
		if !in.member("software") {
			in.fail("member software is missing")
		}
		r.Key.Software = in.boolean()
		r.Key.Version = in.number("version")
		in.close()
	}
	r.Ms = in.number("ms")
	r.Node = in.required("node")
	if in.member("object") {
		in.open()
		r.Object = Object{ID: in.required("id"), Kind: in.required("kind")}
		in.close()
	}
	r.Outcome = Outcome(in.optional("outcome"))
	r.RequestID = in.optional("request_id")
	r.Rows = in.number("rows")
	r.Seq = uint64(in.requiredInteger("seq"))
	r.Subject = in.texts("subject", MaxSubjects)
	r.SubjectMore = in.number("subject_more")
	r.Time = in.time("time")
	r.Type = Type(in.required("type"))
	if in.member("upstream") {
		in.open()
		r.Upstream = Upstream{Ms: in.number("ms"), Status: in.number("status")}
		in.close()
	}
	readVersion(in)
	in.close()
	return r
}

func readCounts(in *reader) (out []Count) {
	in.open()
	for in.err == nil && in.pos < len(in.in) && in.in[in.pos] != '}' {
		if len(out) > 0 {
			in.expect(',')
		}
		if len(out) == MaxCounts {
			in.fail("more than %d codes", MaxCounts)
		}
		code := in.text()
		in.expect(':')
		if in.err != nil {
			break
		}
		out = append(out, Count{code, in.integer()})
	}
	in.close()
	return out
}

func readVersion(in *reader) {
	if v := in.requiredInteger("v"); in.err == nil && v != 1 {
		in.fail("version %d is newer than this program", v)
	}
}
