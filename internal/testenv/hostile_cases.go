package testenv

import (
	"bytes"
	"compress/gzip"
	"strings"
	"time"
)

const jsonType = "Content-Type: application/json\r\n"

// good is the answer that would be right, with canaries where nothing is granted.
const good = `{"code":0,"secret":"CANARY-7f3a","data":{"note":"` + HostileControl + `","name":"张canary","idCard":"` + HostileID +
	`","mobile":"13912340000","list":[{"name":"张canary","note":"n","card":6222021000000000009}]}}`

// withData is a granted answer in which one member of data is replaced or added.
func withData(member string) string {
	return `{"code":0,"data":{"note":"` + HostileControl + `",` + member + `}}`
}

// longStart is the beginning of an answer that is valid as far as it goes and
// longer than any window a gateway checks before it sends.
func longStart() string {
	row := `{"name":"张canary","note":"` + strings.Repeat("n", 200) + `","mobile":"13912340000"},`
	return `{"code":0,"data":{"note":"` + HostileControl + `","list":[` + strings.Repeat(row, 2000)
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

// HostileCases are all behaviours. Their bytes hold canaries wherever a slip
// would let them through.
func HostileCases() []HostileCase {
	var all []HostileCase
	for _, part := range [][]HostileCase{bodyCases(), typeCases(), framingCases(), headerCases(), timeCases(), sizeCases()} {
		all = append(all, part...)
	}
	return all
}

// jsonCase answers 200 with the body as JSON.
func jsonCase(name, what string, want Outcome, body string) HostileCase {
	return HostileCase{Name: name, What: what, Want: want, serve: func(c *hostileConn) { c.json(body) }}
}

// rawCase sends exactly these bytes and closes.
func rawCase(name, what string, want Outcome, bytes string) HostileCase {
	return HostileCase{Name: name, What: what, Want: want, serve: func(c *hostileConn) { c.write(bytes); c.close() }}
}

func bodyCases() []HostileCase {
	deep := strings.Repeat(`{"a":[`, 5000) + `"CANARY-7f3a"` + strings.Repeat(`]}`, 5000)
	return []HostileCase{
		jsonCase("good", "the right answer with ungranted members", Answered, good),
		{Name: "good-chunked", What: "the same in chunks that cut runes", Want: Answered, serve: func(c *hostileConn) {
			i := strings.Index(good, "对照") + 1
			c.chunks(good[:10], good[10:i], good[i:i+1], good[i+1:])
		}},
		jsonCase("masked-object", "an object at a masked path", Answered, withData(`"idCard":{"no":"`+HostileID+`"},"name":{"first":"张canary"}`)),
		jsonCase("masked-array", "an array at a masked path", Answered, withData(`"idCard":["`+HostileID+`",["CANARY-7f3a"]]`)),
		jsonCase("masked-number", "an identity number as a number", Answered, withData(`"idCard":`+HostileID+`,"name":6222021000000000009`)),
		jsonCase("masked-unknown-form", "values that the masks do not recognise", Answered, withData(`"idCard":"no `+HostileID+`","name":"Mr CANARY-7f3a"`)),
		jsonCase("full-width", "full-width digits at a masked path", Answered, withData(`"idCard":"２２０１０２１９８００１０１００１１","x":"CANARY-7f3a"`)),
		jsonCase("escaped-name", "a masked member whose name is written with escapes", Answered, withData(`"id\u0043ard":"`+HostileID+`","n\u0061me":"张canary"`)),
		jsonCase("escaped-value", "a masked value written with escapes", Answered, withData(`"idCard":"\u003220102198001010011","name":"\u5f20canary"`)),
		jsonCase("other-case", "members that differ from granted ones by case", Answered, withData(`"Note":"CANARY-7f3a","NAME":"张canary","IdCard":"`+HostileID+`"`)),
		jsonCase("canary-names", "personal data in member names", Answered, withData(`"`+HostileID+`":1,"x":{"13912340000":{}}`)),
		jsonCase("list-of-scalars", "scalars where objects were promised", Answered, withData(`"list":["CANARY-7f3a",13912340000,["张canary"],{"note":"n"}]`)),
		jsonCase("list-is-object", "an object where an array was promised", Answered, withData(`"list":{"name":"张canary","note":"CANARY-7f3a"}`)),
		jsonCase("nested-json-text", "JSON text inside an ungranted string", Answered, withData(`"raw":"{\"idCard\":\"`+HostileID+`\"}"`)),
		jsonCase("root-array", "an array where an object was promised, and data behind it", Withheld, `[`+good+`]x`),
		jsonCase("duplicate-name", "the same member twice", Withheld, withData(`"idCard":"x","idCard":"`+HostileID+`"`)),
		jsonCase("duplicate-escaped", "the same member twice, once with escapes", Withheld, withData(`"note2":1,"n\u006fte":"CANARY-7f3a"`)),
		jsonCase("duplicate-ungranted", "the same ungranted member twice", Withheld, withData(`"z":"CANARY-7f3a","z":"CANARY-7f3a"`)),
		jsonCase("invalid-utf8", "a byte that is not UTF-8", Withheld, withData("\"x\":\"CANARY-7f3a \xff\"")),
		jsonCase("overlong-utf8", "an overlong sequence", Withheld, withData("\"x\":\"CANARY-7f3a \xc0\xa2\"")),
		jsonCase("half-surrogate", "half a surrogate pair", Withheld, withData(`"x":"CANARY-7f3a \ud800"`)),
		jsonCase("bom", "a byte order mark", Withheld, "\xef\xbb\xbf"+good),
		jsonCase("utf-16", "UTF-16 under a JSON content type", Withheld, "\xff\xfe"+strings.Join(strings.Split(`{"code":0,"x":"CANARY-7f3a"}`, ""), "\x00")+"\x00CANARY-7f3a"),
		jsonCase("gbk-undeclared", "GBK without saying so", Withheld, withData("\"x\":\"CANARY-7f3a \xd5\xc5\xc8\xfd\"")),
		jsonCase("nul-byte", "a NUL between tokens", Withheld, strings.Replace(good, `"data"`, "\x00\"data\"", 1)),
		jsonCase("deep-nesting", "ten thousand levels", Withheld, withData(`"deep":`+deep)),
		jsonCase("truncated", "JSON that ends too early, with the right Content-Length", Withheld, good[:len(good)-2]),
		jsonCase("trailing-data", "data after the value", Withheld, good+` "CANARY-7f3a"`),
		jsonCase("two-values", "two values, one a line", Withheld, good+"\n"+good),
		jsonCase("comment", "a comment", Withheld, good+`// CANARY-7f3a`),
		jsonCase("single-quotes", "single quotes", Withheld, strings.ReplaceAll(good, `"`, `'`)),
		jsonCase("nan", "NaN as a number", Withheld, withData(`"x":NaN,"y":"CANARY-7f3a"`)),
		jsonCase("jsonp", "a call around the value", Withheld, "callback("+good+")"),
		jsonCase("xssi-prefix", "a prefix against inclusion", Withheld, ")]}',\n"+good),
		{Name: "empty", What: "no body at all", Want: Withheld, NoCanary: true, serve: func(c *hostileConn) { c.json("") }},
		{Name: "late-syntax", What: "a syntax error behind the first window", Want: Broken, serve: func(c *hostileConn) { c.chunks(longStart(), `{"name":CANARY-7f3a}]}}`) }},
		{Name: "late-duplicate", What: "a duplicate behind the first window", Want: Broken, serve: func(c *hostileConn) {
			c.chunks(longStart(), `{"name":"x","name":"张canary"}]}}`)
		}},
		{Name: "late-trailing-data", What: "data behind a long value", Want: Broken, serve: func(c *hostileConn) {
			c.chunks(strings.TrimSuffix(longStart(), ","), `]}}`, `"CANARY-7f3a"`)
		}},
	}
}

func typeCases() []HostileCase {
	typed := func(name, what string, want Outcome, head, body string) HostileCase {
		return HostileCase{Name: name, What: what, Want: want, serve: func(c *hostileConn) { c.answer("200 OK", head, body) }}
	}
	return []HostileCase{
		typed("type-html", "an HTML page with status 200", Withheld, "Content-Type: text/html\r\n", "<p>"+HostileID),
		typed("type-text", "JSON as text/plain", Withheld, "Content-Type: text/plain\r\n", good),
		typed("type-none", "no content type", Withheld, "", good),
		typed("type-twice", "two content types", Withheld, jsonType+"Content-Type: text/html\r\n", good),
		typed("type-list", "two content types in one field", Withheld, "Content-Type: application/json, text/html\r\n", good),
		typed("type-xml", "XML", Withheld, "Content-Type: application/xml\r\n", "<x>CANARY-7f3a</x>"),
		typed("type-gbk", "a charset other than UTF-8", Withheld, "Content-Type: application/json; charset=GBK\r\n", good),
		typed("type-multipart", "multipart", Withheld, "Content-Type: multipart/mixed; boundary=b\r\n", "--b\r\n"+jsonType+"\r\n"+good+"\r\n--b--"),
		typed("type-events", "an event stream", Withheld, "Content-Type: text/event-stream\r\n", "data: "+good+"\n\n"),
		typed("type-ndjson", "JSON lines", Withheld, "Content-Type: application/x-ndjson\r\n", good+"\n"+good),
		typed("gzip", "gzip though identity was asked for", Withheld, jsonType+"Content-Encoding: gzip\r\n", gzipped(good)),
		typed("gzip-twice", "gzip twice", Withheld, jsonType+"Content-Encoding: gzip, gzip\r\n", gzipped(gzipped(good))),
		typed("gzip-undeclared", "gzip without saying so", Withheld, jsonType, gzipped(good)),
		typed("gzip-lie", "plain JSON that says it is gzip", Withheld, jsonType+"Content-Encoding: gzip\r\n", good),
		typed("brotli-declared", "an encoding that nobody asked for", Withheld, jsonType+"Content-Encoding: br\r\n", good),
		{Name: "gzip-bomb", What: "64 MiB of zeros in 64 KiB", Want: Withheld, NoCanary: true, serve: func(c *hostileConn) {
			c.answer("200 OK", jsonType+"Content-Encoding: gzip\r\n", gzipped(`{"x":"`+strings.Repeat("0", 64<<20)+`"}`))
		}},
	}
}

func framingCases() []HostileCase {
	head := "HTTP/1.1 200 OK\r\n" + jsonType
	reset := func(name, what string, want Outcome, bytes string) HostileCase {
		return HostileCase{Name: name, What: what, Want: want, serve: func(c *hostileConn) {
			c.write(bytes)
			time.Sleep(20 * time.Millisecond) // let it arrive before the reset overtakes it
			c.reset()
		}}
	}
	return []HostileCase{
		rawCase("length-too-long", "Content-Length is longer than the body", Withheld, head+"Content-Length: 100000\r\n\r\n"+good),
		{Name: "length-too-short", What: "a second answer behind the first, for whoever asks next on the connection", Want: Either, serve: func(c *hostileConn) {
			c.json(good)
			c.json(`{"code":0,"data":{"note":"CANARY-7f3a"}}`)
		}},
		rawCase("length-twice", "two different Content-Lengths", Withheld, head+"Content-Length: 10\r\nContent-Length: 4000\r\n\r\n"+good),
		rawCase("length-negative", "a negative Content-Length", Withheld, head+"Content-Length: -1\r\n\r\n"+good),
		rawCase("length-and-chunked", "Content-Length and chunked", Either, head+"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+good),
		rawCase("transfer-unknown", "an unknown transfer coding", Withheld, head+"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"+good),
		rawCase("chunk-size-bad", "a chunk size that is no number", Withheld, head+"Transfer-Encoding: chunked\r\n\r\nzz\r\n"+good+"\r\n0\r\n\r\n"),
		rawCase("chunk-size-huge", "a chunk size of 2^70", Withheld, head+"Transfer-Encoding: chunked\r\n\r\n400000000000000000\r\n"+good),
		rawCase("chunk-end-missing", "no last chunk", Withheld, head+"Transfer-Encoding: chunked\r\n\r\n14\r\n{\"x\":\"CANARY-7f3a\",\r\n"),
		rawCase("chunk-end-missing-late", "no last chunk after a complete value", Withheld, head+"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"+good+strings.Repeat(" ", 1000-len(good))+"\r\n"),
		rawCase("until-close", "a body that ends with the connection, cut", Withheld, head+"Connection: close\r\n\r\n"+good[:len(good)-1]),
		reset("reset-head", "reset inside the head", Withheld, "HTTP/1.1 200 OK\r\nX-Secret: CANARY-7f3a\r\n"),
		reset("reset-body", "reset inside a short body", Withheld, head+"Content-Length: 100000\r\n\r\n"+good),
		reset("reset-chunk", "reset inside a chunk", Withheld, head+"Transfer-Encoding: chunked\r\n\r\nffff\r\n"+good),
		{Name: "reset-late", What: "reset after the first window", Want: Broken, serve: func(c *hostileConn) {
			c.write(head + "Content-Length: 9000000\r\n\r\n" + longStart())
			time.Sleep(20 * time.Millisecond)
			c.reset()
		}},
		{Name: "close-at-once", What: "the connection is closed without an answer", Want: Withheld, NoCanary: true, serve: func(c *hostileConn) { c.close() }},
		rawCase("http-0.9", "a body without a status line", Withheld, good),
		rawCase("status-garbage", "a status line that is none", Withheld, "HTTP/1.1 CANARY-7f3a\r\n"+jsonType+"\r\n"+good),
		rawCase("status-0", "status 000", Withheld, "HTTP/1.1 000 X\r\n"+jsonType+"\r\n"+good),
		rawCase("version-9", "HTTP/9.9", Either, "HTTP/9.9 200 OK\r\n"+jsonType+"Content-Length: 3\r\nX-Secret: CANARY-7f3a\r\n\r\n{x}"),
	}
}

func headerCases() []HostileCase {
	status := func(name, what string, want Outcome, status, head, body string) HostileCase {
		return HostileCase{Name: name, What: what, Want: want, serve: func(c *hostileConn) { c.answer(status, head, body) }}
	}
	personal := `{"error":"no person ` + HostileID + `","data":{"note":"CANARY-7f3a","name":"张canary"}}`
	return []HostileCase{
		status("headers-canary", "personal data in many headers", Answered, "200 OK", jsonType+
			"Set-Cookie: s=CANARY-7f3a\r\nX-Debug-Person: "+HostileID+"\r\nServer: CANARY-7f3a\r\nETag: \"CANARY-7f3a\"\r\nLink: <http://127.0.0.1/13912340000>\r\n"+
			"Content-Disposition: attachment; filename=\""+HostileID+".json\"\r\nContent-Location: /p/"+HostileID+"\r\nWarning: 199 - \"CANARY-7f3a\"\r\n", good),
		status("headers-hop", "headers named by Connection", Answered, "200 OK", jsonType+"Connection: X-Secret\r\nX-Secret: CANARY-7f3a\r\nProxy-Authenticate: CANARY-7f3a\r\n", good),
		status("headers-own", "the gateway's own headers forged", Answered, "200 OK", jsonType+"X-SG-Decision: CANARY-7f3a\r\nX-SG-Request-Id: CANARY-7f3a\r\n", good),
		rawCase("header-lf", "a bare LF and a forged header in a value", Either, "HTTP/1.1 200 OK\r\n"+jsonType+"X-A: b\nSet-Cookie: s=CANARY-7f3a\r\nContent-Length: 3\r\n\r\n{x}"),
		rawCase("header-cr", "a CR in a value", Withheld, "HTTP/1.1 200 OK\r\n"+jsonType+"X-A: b\rSet-Cookie: s=CANARY-7f3a\r\nContent-Length: 2\r\n\r\n{x"),
		rawCase("header-fold", "a folded header", Either, "HTTP/1.1 200 OK\r\n"+jsonType+"X-A: b\r\n CANARY-7f3a\r\nContent-Length: 3\r\n\r\n{x}"),
		rawCase("header-name-bad", "a header name with a space", Withheld, "HTTP/1.1 200 OK\r\n"+jsonType+"X A: CANARY-7f3a\r\nContent-Length: 3\r\n\r\n{x}"),
		{Name: "header-huge", What: "a head without end", Want: Withheld, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\n" + jsonType)
			c.forever("X-A: CANARY-7f3a " + strings.Repeat("a", 8000) + "\r\n")
		}},
		status("redirect", "302 to another host", Withheld, "302 Found", jsonType+"Location: http://127.0.0.1:1/"+HostileID+"\r\n", personal),
		status("redirect-self", "307 to an answer of its own", Withheld, "307 Temporary Redirect", "Location: /good\r\n", personal),
		status("error-page", "500 with an HTML page", Withheld, "500 Internal Server Error", "Content-Type: text/html\r\n", "<pre>SELECT … "+HostileID),
		status("error-json", "400 with personal data in JSON", Withheld, "400 Bad Request", jsonType, personal),
		status("error-unavailable", "503 with Retry-After", Withheld, "503 Service Unavailable", jsonType+"Retry-After: 120\r\nX-Secret: CANARY-7f3a\r\n", personal),
		status("unauthorised", "401 with a challenge", Withheld, "401 Unauthorized", jsonType+"WWW-Authenticate: Basic realm=\"CANARY-7f3a\"\r\n", personal),
		status("problem", "500 with a problem document of its own", Withheld, "500 X", "Content-Type: application/problem+json\r\n", personal),
		status("partial", "206 though no range was asked for", Withheld, "206 Partial Content", jsonType+"Content-Range: bytes 0-9/9000\r\n", good),
		rawCase("not-modified", "304 though nothing was conditional", Withheld, "HTTP/1.1 304 Not Modified\r\nETag: \"CANARY-7f3a\"\r\n\r\n"),
		status("reason", "personal data in the reason phrase", Answered, "200 "+HostileID, jsonType, good),
		{Name: "trailers", What: "personal data in trailers", Want: Answered, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\n" + jsonType + "Trailer: X-Person, X-Other\r\nTransfer-Encoding: chunked\r\n\r\n")
			c.write("1000\r\n" + good + strings.Repeat(" ", 0x1000-len(good)) + "\r\n0\r\nX-Person: " + HostileID + "\r\nX-Other: CANARY-7f3a\r\n\r\n")
		}},
		{Name: "early-hints", What: "103 with personal data before the answer", Want: Answered, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 103 Early Hints\r\nLink: </" + HostileID + ">\r\n\r\nHTTP/1.1 102 Processing\r\nX-A: CANARY-7f3a\r\n\r\n")
			c.json(good)
		}},
		{Name: "informational-storm", What: "1xx answers without end", Want: Withheld, serve: func(c *hostileConn) {
			c.forever(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-A: CANARY-7f3a\r\n\r\n", 100))
		}},
		{Name: "switching", What: "101 though nobody asked to switch", Want: Withheld, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + good)
			c.close()
		}},
	}
}

func timeCases() []HostileCase {
	return []HostileCase{
		{Name: "hang-head", What: "no answer", Want: TimedOut, NoCanary: true, serve: func(c *hostileConn) { c.hang() }},
		{Name: "hang-mid-head", What: "silence inside the head", Want: TimedOut, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\nX-A: CANARY-7f3a\r\n")
			c.hang()
		}},
		{Name: "drip-head", What: "a head that never ends, byte by byte", Want: TimedOut, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\nX-A: CANARY-7f3a")
			c.drip("x")
		}},
		{Name: "hang-body", What: "silence inside a short body", Want: TimedOut, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\n" + jsonType + "Content-Length: 100000\r\n\r\n" + good[:len(good)-2])
			c.hang()
		}},
		{Name: "drip-body", What: "a body that never ends, byte by byte", Want: TimedOut, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\n" + jsonType + "Content-Length: 100000\r\n\r\n" + good[:len(good)-1])
			c.drip(" ")
		}},
		{Name: "hang-end", What: "a complete value, and no last chunk", Want: TimedOut, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\n" + jsonType + "Transfer-Encoding: chunked\r\n\r\n1000\r\n" + good + strings.Repeat(" ", 0x1000-len(good)) + "\r\n")
			c.hang()
		}},
		{Name: "hang-late", What: "silence after the first window", Want: Broken, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\n" + jsonType + "Content-Length: 9000000\r\n\r\n" + longStart())
			c.hang()
		}},
	}
}

func sizeCases() []HostileCase {
	endless := func(name, what string, want Outcome, start, piece string) HostileCase {
		return HostileCase{Name: name, What: what, Want: want, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\n" + jsonType + "Connection: close\r\n\r\n" + start)
			c.forever(strings.Repeat(piece, 1+64<<10/len(piece)))
		}}
	}
	return []HostileCase{
		endless("endless-rows", "rows without end", Broken, `{"code":0,"data":{"note":"n","list":[{"name":"张canary"}`, `,{"name":"张canary","note":"n","x":"CANARY-7f3a"}`),
		endless("endless-ungranted", "an ungranted array without end", Broken, `{"code":0,"data":{"x":[1`, `,"CANARY-7f3a"`),
		endless("endless-string", "a string without end", Broken, `{"code":0,"data":{"name":"`, `张canary`),
		endless("endless-name", "a member name without end", Broken, `{"code":0,"data":{"`, `CANARY-7f3a`),
		endless("endless-number", "a number without end", Broken, `{"x":"CANARY-7f3a","code":1`, `0123456789`),
		endless("endless-space", "white space without end", Broken, `{"x":"CANARY-7f3a","code":`, " \n"),
		endless("endless-nesting", "nesting without end", Broken, `{"x":"CANARY-7f3a","data":`, `{"a":[`),
		{Name: "length-huge", What: "a Content-Length of a terabyte", Want: Broken, serve: func(c *hostileConn) {
			c.write("HTTP/1.1 200 OK\r\n" + jsonType + "Content-Length: 1099511627776\r\n\r\n" + `{"x":"CANARY-7f3a`)
			c.forever(strings.Repeat("a", 64<<10))
		}},
	}
}
