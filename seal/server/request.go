package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/problem"
)

// Media types of documents.
const (
	typeOFD   = "application/ofd"
	typePDF   = "application/pdf"
	typeBytes = "application/octet-stream"
	typeForm  = "multipart/form-data"
	typeJSON  = "application/json"
)

const (
	maxParameters = 4 << 10 // bytes of the JSON part of a form
	maxFileName   = 255     // bytes
)

// requestError says which parameter of a request is wrong. It quotes nothing
// of the request.
type requestError struct{ zh, en string }

func (e *requestError) Error() string           { return "seal request: " + e.en }
func (e *requestError) Code() string            { return "SG-SEAL-REQUEST" }
func (e *requestError) Public() (zh, en string) { return e.zh, e.en }

func bad(parameter, zh, en string) error {
	return &requestError{"参数 " + parameter + "：" + zh, "parameter " + parameter + ": " + en}
}

// parameters are the named values of a request, each at most once.
type parameters map[string]string

// query reads the query strictly: known names only, each once.
func query(r *http.Request, known ...string) (parameters, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.Coded("SG-HTTP-TARGET")
	}
	p := make(parameters, len(values))
	for name, v := range values {
		switch {
		case !contains(known, name):
			return nil, &requestError{"查询串中有未知参数；可用：" + strings.Join(known, "、"), "unknown query parameter; known are: " + strings.Join(known, ", ")}
		case len(v) != 1:
			return nil, bad(name, "重复", "given more than once")
		case !utf8.ValidString(v[0]):
			return nil, bad(name, "不是 UTF-8", "not UTF-8")
		}
		p[name] = v[0]
	}
	return p, nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// body is a document as it came in.
type body struct {
	document   []byte
	name       string // of the file, as far as the caller named it
	parameters []byte // the JSON part of a form, nil without one
}

// readBody takes the document from a raw body of one of the types, or from a
// multipart form with the file "document" and, where a form may have
// parameters, the JSON part "request".
func readBody(r *http.Request, formParameters bool, types ...string) (body, error) {
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return body{}, problem.Coded("SG-HTTP-MEDIA")
	}
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return body{}, problem.Coded("SG-HTTP-CONTENT-TYPE")
	}
	data := httpserve.Body(r)
	switch {
	case contains(types, media) && len(params) == 0:
		if len(data) == 0 {
			return body{}, bad("document", "为空", "empty")
		}
		return body{document: data}, nil
	case media == typeForm && params["boundary"] != "":
		return readForm(data, params["boundary"], formParameters, append(types, typeBytes))
	default:
		return body{}, problem.Coded("SG-HTTP-CONTENT-TYPE")
	}
}

func readForm(data []byte, boundary string, formParameters bool, types []string) (body, error) {
	var b body
	form := multipart.NewReader(bytes.NewReader(data), boundary)
	for {
		part, err := form.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return b, problem.Coded("SG-HTTP-BODY")
		}
		media, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || part.Header.Get("Content-Transfer-Encoding") != "" {
			return b, problem.Coded("SG-HTTP-CONTENT-TYPE")
		}
		switch name := part.FormName(); {
		case name == "document" && b.document == nil && contains(types, media):
			if b.document, err = io.ReadAll(part); err != nil {
				return b, problem.Coded("SG-HTTP-BODY")
			}
			b.name = part.FileName()
		case name == "request" && b.parameters == nil && formParameters && media == typeJSON:
			if b.parameters, err = io.ReadAll(io.LimitReader(part, maxParameters+1)); err != nil || len(b.parameters) > maxParameters {
				return b, bad("request", "过长或不完整", "too long or incomplete")
			}
		default:
			return b, &requestError{
				"表单只接受一个 document 文件" + map[bool]string{true: "和一个 application/json 的 request 部分"}[formParameters],
				"a form has one file named document" + map[bool]string{true: " and one part named request of type application/json"}[formParameters],
			}
		}
	}
	if len(b.document) == 0 {
		return b, bad("document", "缺少或为空", "missing or empty")
	}
	return b, nil
}

// placement is where which seal goes.
type placement struct {
	seal string
	page int
	x, y float64
}

var (
	sealName = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$`)
	pageText = regexp.MustCompile(`^[1-9][0-9]{0,4}$`)
	atText   = regexp.MustCompile(`^([0-9]{1,4}(?:\.[0-9]{1,3})?),([0-9]{1,4}(?:\.[0-9]{1,3})?)$`)
)

// placementOf reads the parameters of a sealing from the query or, with a form
// that has them, from its JSON part; not from both.
func placementOf(r *http.Request, b body) (placement, error) {
	p, err := query(r, "seal", "page", "at")
	if err != nil {
		return placement{}, err
	}
	if b.parameters != nil {
		if len(p) > 0 {
			return placement{}, &requestError{"参数只能在查询串或 request 部分之一给出", "parameters go into the query or into the part request, not both"}
		}
		return placementFromJSON(b.parameters)
	}
	if !pageText.MatchString(p["page"]) {
		return placement{}, bad("page", "应为从 1 开始的页码", "a page number from 1 is needed")
	}
	at := atText.FindStringSubmatch(p["at"])
	if at == nil {
		return placement{}, bad("at", "应为 X,Y（毫米，至多三位小数）", "X,Y in millimetres is needed, with at most three decimals")
	}
	var out placement
	out.seal = p["seal"]
	out.page, _ = strconv.Atoi(p["page"])    // five digits
	out.x, _ = strconv.ParseFloat(at[1], 64) // the pattern is a number
	out.y, _ = strconv.ParseFloat(at[2], 64)
	return out, out.check()
}

func placementFromJSON(data []byte) (placement, error) {
	var in struct {
		Seal string      `json:"seal"`
		Page int         `json:"page"`
		At   *[2]float64 `json:"at"`
	}
	// Refuses repeated and unknown members, a wrong count in at, invalid UTF-8.
	if err := json.Unmarshal(data, &in, json.RejectUnknownMembers(true)); err != nil || in.At == nil {
		return placement{}, bad("request", `应为 {"seal":…,"page":…,"at":[X,Y]}`, `{"seal":…,"page":…,"at":[X,Y]} is needed`)
	}
	out := placement{in.Seal, in.Page, in.At[0], in.At[1]}
	return out, out.check()
}

func (p placement) check() error {
	switch {
	case !sealName.MatchString(p.seal):
		return bad("seal", "应为印章名称：字母、汉字、数字、点、横线", "the name of a seal is needed: letters, digits, dots, dashes")
	case p.page < 1 || p.page > 99999:
		return bad("page", "应为从 1 开始的页码", "a page number from 1 is needed")
	case !(p.x >= 0 && p.x < 10000 && p.y >= 0 && p.y < 10000):
		return bad("at", "坐标应在 0 至 10000 毫米之间", "coordinates lie between 0 and 10000 millimetres")
	}
	return nil
}

var keyText = regexp.MustCompile(`^[A-Za-z0-9._~-]{8,64}$`)

// idempotencyKey returns the caller's key, "" without one. The quotes of a
// structured field string are allowed and mean nothing.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(key) > 2 && strings.HasPrefix(key, `"`) && strings.HasSuffix(key, `"`) {
		key = key[1 : len(key)-1]
	}
	if len(values) > 1 || !keyText.MatchString(key) {
		return "", bad("Idempotency-Key", "应为 8 至 64 个字母、数字或 . _ ~ -", "8 to 64 letters, digits or . _ ~ - are needed")
	}
	return key, nil
}

// fileName makes a name that a report may show: the last path element, no
// control or bidirectional characters.
func fileName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	if name == "." || name == "/" || len(name) > maxFileName || !utf8.ValidString(name) {
		return "document"
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return "document"
		}
	}
	return name
}

func send(w http.ResponseWriter, status int, data []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	// The client may be gone; there is nobody left to tell.
	_, _ = w.Write(data)
}

func sendJSON(w http.ResponseWriter, data []byte) {
	h := w.Header()
	h.Set("Content-Type", typeJSON)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	send(w, http.StatusOK, append(data, '\n'))
}

func errorCode(err error) string {
	var c interface{ Code() string }
	if errors.As(err, &c) {
		return c.Code()
	}
	return problem.Internal
}

// uncertain wraps an error of a dependency that has no code of its own.
func uncertain(code string, err error) error {
	if errorCode(err) != problem.Internal {
		return err
	}
	return fmt.Errorf("%w: %w", problem.Coded(code), err)
}
