package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Providers are the departments that run an upstream, by id, in the order in
// which the six base libraries are named.
func Providers() []string {
	return []string{ProviderPolice, ProviderMarket, ProviderLand, ProviderData, ProviderStats}
}

// Upstreams returns the providers' servers by provider id. They answer like the
// systems one meets: an envelope around the data, nested arrays, numbers whose
// digits matter, and more than anybody asked for; one writes all Chinese as
// escapes, one indents. They expect paths as in the catalogue's upstream URLs.
func Upstreams() map[string]http.Handler {
	return map[string]http.Handler{
		ProviderPolice: police(),
		ProviderMarket: market(),
		ProviderLand:   land(),
		ProviderData:   data(),
		ProviderStats:  stats(),
	}
}

// object is a JSON object whose members stay in the order of their writing.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(m.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// number is a JSON number with exactly these digits.
type number = json.Number

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// style is how a provider's system writes its JSON.
type style func([]byte) []byte

func plain(b []byte) []byte { return b }

func indented(b []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return b
	}
	return out.Bytes()
}

// escaped writes every character beyond ASCII as \uXXXX, as many serialisers do.
func escaped(b []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(b) {
		switch {
		case r < utf8.RuneSelf:
			out.WriteByte(byte(r))
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		}
	}
	return out.Bytes()
}

// answer writes a value. Absence is told in the envelope, with status 200, as
// most of these systems do.
func answer(w http.ResponseWriter, s style, v any) {
	b, err := encode(v)
	if err != nil {
		http.Error(w, "encoding", http.StatusInternalServerError)
		return
	}
	b = s(b)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

// envelope is the wrapping that all but the statistics office use.
func envelope(data any) object {
	return object{{"code", 200}, {"message", "查询成功"}, {"data", data}, {"traceId", "demo-0000000000000001"}}
}

func nothing() object {
	return object{{"code", 404}, {"message", "未查询到数据"}, {"data", nil}, {"traceId", "demo-0000000000000002"}}
}

// police is the population library: persons, households, and a register that is
// not shared at all.
func police() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /persons", func(w http.ResponseWriter, r *http.Request) {
		p, ok := findPerson(r.URL.Query().Get("idCard"))
		if !ok {
			answer(w, plain, nothing())
			return
		}
		answer(w, plain, envelope(person(p)))
	})
	mux.HandleFunc("GET /households/{number}", func(w http.ResponseWriter, r *http.Request) {
		var members []any
		var address string
		for _, p := range People() {
			if p.Household == r.PathValue("number") {
				address = p.Address
				members = append(members, object{{"relation", []string{"户主", "配偶", "子女"}[len(members)%3]}, {"person", person(p)}})
			}
		}
		if members == nil {
			answer(w, plain, nothing())
			return
		}
		answer(w, plain, envelope(object{{"household", r.PathValue("number")}, {"address", address}, {"members", members}}))
	})
	mux.HandleFunc("GET /records", func(w http.ResponseWriter, r *http.Request) {
		answer(w, plain, envelope(object{{"records", []any{}}}))
	})
	return mux
}

func person(p Person) object {
	return object{
		{"name", p.Name}, {"idCard", p.ResidentID}, {"gender", p.Gender}, {"nation", p.Nation}, {"birth", p.Birth},
		{"address", p.Address}, {"mobile", p.Mobile}, {"email", p.Email}, {"household", p.Household}, {"passport", p.Passport},
		{"vehicles", []any{object{{"plate", p.Plate}, {"type", "小型汽车"}}}},
		{"photo", "data:image/png;base64,iVBORw0KGgo="}, {"height", number("1.70")}, {"alive", true}, {"deathDate", nil},
	}
}

// market is the legal-entity library.
func market() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /enterprises/{uscc}", func(w http.ResponseWriter, r *http.Request) {
		e, ok := findEnterprise(r.PathValue("uscc"))
		if !ok {
			answer(w, indented, nothing())
			return
		}
		people := People()
		var holders []any
		for i, h := range e.Holders {
			p := people[h]
			holders = append(holders, object{{"name", p.Name}, {"idCard", p.ResidentID}, {"ratio", number([]string{"0.3334", "33.330", "3.333e-1"}[i%3])},
				{"contributions", []any{object{{"amount", number("100000.50")}, {"date", e.Founded}}, object{{"amount", number("0")}, {"date", nil}}}}})
		}
		legal := people[e.Legal]
		answer(w, indented, envelope(object{
			{"name", e.Name}, {"uscc", e.USCC}, {"status", e.Status}, {"founded", e.Founded}, {"capital", number(e.Capital)}, {"currency", "CNY"},
			{"address", e.Address}, {"scope", e.Scope},
			{"legalPerson", object{{"name", legal.Name}, {"idCard", legal.ResidentID}, {"mobile", legal.Mobile}}},
			{"shareholders", holders}, {"changes", []any{}}, {"abnormal", false},
		}))
	})
	return mux
}

// land is the library of natural resources and geography.
func land() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /parcels", func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		for i, p := range People() {
			if p.ResidentID != r.URL.Query().Get("ownerId") {
				continue
			}
			for n := range 2 {
				x, y := fmt.Sprintf("125.%04d500", 3000+i), fmt.Sprintf("43.%04d000", 8000+i*2+n)
				list = append(list, object{
					{"parcel", fmt.Sprintf("220100%03dGB%05dF%04d", i, i*7+n, n+1)}, {"area", number(fmt.Sprintf("%d.5000", 60+i+n))}, {"use", "城镇住宅用地"},
					{"location", p.Address}, {"owner", object{{"name", p.Name}, {"idCard", p.ResidentID}}},
					{"boundary", [][][]number{{{number(x), number(y)}, {number("125.3001500"), number(y)}, {number(x), number("43.80010000")}, {number(x), number(y)}}}},
					{"mortgaged", i%2 == 0},
				})
			}
		}
		answer(w, plain, envelope(object{{"total", len(list)}, {"list", list}}))
	})
	return mux
}

// data is the bureau that keeps the credit and the licence libraries. Its
// system writes escapes, and bank cards as numbers.
func data() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /credit/{idCard}", func(w http.ResponseWriter, r *http.Request) {
		p, ok := findPerson(r.PathValue("idCard"))
		if !ok {
			answer(w, escaped, nothing())
			return
		}
		answer(w, escaped, envelope(object{
			{"name", p.Name}, {"idCard", p.ResidentID}, {"bankCard", number(p.BankCard)}, {"score", number("861.50")}, {"level", "AA"},
			{"records", []any{
				object{{"kind", "行政许可"}, {"number", "吉样许〔2024〕00001号"}, {"date", "2024-03-05"}, {"amount", number("0.00")}},
				object{{"kind", "水电缴费"}, {"number", "SD-2024-11"}, {"date", "2024-11-30"}, {"amount", number("123.4500")}},
			}},
			{"emoji", "👍"},
		}))
	})
	mux.HandleFunc("GET /licences", func(w http.ResponseWriter, r *http.Request) {
		e, ok := findEnterprise(r.URL.Query().Get("uscc"))
		if !ok {
			answer(w, escaped, nothing())
			return
		}
		legal := People()[e.Legal]
		list := []any{}
		for i, kind := range []string{"食品经营许可证", "公共场所卫生许可证"} {
			list = append(list, object{
				{"type", kind}, {"number", fmt.Sprintf("JY%s%08d", e.USCC[2:8], e.Legal*10+i)}, {"issued", "2024-05-01"}, {"until", "2029-04-30"}, {"status", "有效"},
				{"holder", object{{"name", e.Name}, {"uscc", e.USCC}}}, {"responsible", object{{"name", legal.Name}, {"idCard", legal.ResidentID}, {"mobile", legal.Mobile}}},
				{"file", "ofd/" + strings.ToLower(e.USCC) + ".ofd"},
			})
		}
		answer(w, escaped, envelope(object{{"licences", list}}))
	})
	return mux
}

// stats is the macro-economic library. It answers an array without an envelope.
func stats() http.Handler {
	mux := http.NewServeMux()
	indicators := func(w http.ResponseWriter, _ *http.Request) {
		list := []any{}
		for i, c := range cities() {
			list = append(list, object{
				{"region", c.code}, {"name", c.name}, {"indicator", "城镇登记失业率"}, {"period", "2024Q4"}, {"value", number(fmt.Sprintf("3.%d0", i))},
				{"yearOnYear", number(fmt.Sprintf("-0.%02d", i))}, {"gdp", number("10000000000000000999")}, {"internalNote", "样例数据，未经审定"},
			})
		}
		answer(w, plain, list)
	}
	mux.HandleFunc("GET /indicators", indicators)
	mux.HandleFunc("POST /indicators", indicators) // as queries with a body are sent
	return mux
}
