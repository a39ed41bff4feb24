package problem

// Entry is one row of the table: what a code means to a caller. Titles are
// short and the same every time (RFC 9457 section 3.1.3); the detail is used
// when the error has none of its own; the hint says what to do.
type Entry struct {
	Code             string
	Status           int
	RetryAfter       int // seconds; 0: no Retry-After
	TitleZH, Title   string
	DetailZH, Detail string
	HintZH, Hint     string
}

// Family is the second word of a code, which decides its section of
// docs/errors.md.
type Family struct {
	Name           string // "HTTP"
	TitleZH, Title string
	Entries        []Entry
}

// Families returns the whole table in the order of the document. The result
// is the caller's.
func Families() []Family {
	return []Family{
		{"HTTP", "报文不合规", "Malformed requests", httpEntries()},
		{"AUTHN", "身份未确认", "Caller not identified", authnEntries()},
		{"ROUTE", "接口不存在", "No such interface", routeEntries()},
		{"AUTHZ", "未获授权", "Not authorised", authzEntries()},
		{"LIMIT", "超出限额", "Limits exceeded", limitEntries()},
		{"MASK", "脱敏拦截", "Answers withheld by masking", maskEntries()},
		{"UPSTREAM", "数源接口故障", "Provider's interface at fault", upstreamEntries()},
		{"AUDIT", "审计不可用", "Audit unavailable", auditEntries()},
		{"POLICY", "策略不可用", "Policy unavailable", policyEntries()},
		{"STOP", "服务停止", "Service stopped", stopEntries()},
		{"SEAL", "电子印章", "Seals", sealEntries()},
		{"KEY", "密钥服务", "Keys", keyEntries()},
		{"CONFIG", "配置", "Configuration", configEntries()},
		{"INTERNAL", "内部错误", "Internal errors", internalEntries()},
	}
}

// index is built once and only read.
var index = buildIndex()

func buildIndex() map[string]Entry {
	m := make(map[string]Entry)
	for _, f := range Families() {
		for _, e := range f.Entries {
			m[e.Code] = e
		}
	}
	return m
}
