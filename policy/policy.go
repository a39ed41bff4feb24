// Package policy is the vocabulary of decisions: what a policy is asked
// (Input), what it answers (Decision), and how one field is shown
// (FieldAction, Path). There is no policy engine here; policy/engine evaluates
// Rego, gateway/mask applies field actions.
//
// Source: design decision "contracts, section 2 and 3" (docs/architecture.md).
package policy

// Reason is one cause of a refusal, in words a clerk understands, with the way
// out. It is copied to the problem document unchanged.
type Reason struct {
	Code  string `json:"code"`
	ZH    string `json:"zh"`
	EN    string `json:"en"`
	FixZH string `json:"fix_zh,omitempty"`
	FixEN string `json:"fix_en,omitempty"`
}

// Obligation is a duty that comes with an allowed call.
type Obligation string

// The obligations a policy may impose. Any other denies the call.
const (
	NotifyProvider Obligation = "notify-provider"
	LogParams      Obligation = "log-params"
	Watermark      Obligation = "watermark"
)

// Decision is the answer to one call. Its zero value denies.
type Decision struct {
	ID          string
	Allow       bool
	Code        string // of the refusal, "SG-..."; empty when allowed
	Reasons     []Reason
	Actions     map[string]FieldAction // path as written -> action; the final ones, after the policy tightened the grant
	Obligations []Obligation
	Revision    string
	Cached      bool
}

// Caller is who calls, as the stable stage sees it.
type Caller struct {
	System     string `json:"system"`
	Department string `json:"department"`
	USCC       string `json:"uscc"`
	Region     string `json:"region"`
	Level      string `json:"level"`
	Zone       string `json:"zone"` // extranet | internet
	Auth       string `json:"auth"` // mtls | sm2 | hmac | session
	CertSerial string `json:"cert_serial"`
}

// Field classifies one field of an interface: grade 1 to 4 and kind.
type Field struct {
	Grade int    `json:"grade"`
	Kind  string `json:"kind"`
}

// Interface is what the stable stage sees of a published interface.
type Interface struct {
	ID       string           `json:"id"`
	Provider string           `json:"provider"`
	Base     string           `json:"base"`
	Share    string           `json:"share"`
	Method   string           `json:"method"`
	Status   string           `json:"status"`
	Fields   map[string]Field `json:"fields"`
}

// Grant is what the stable stage sees of the grant that the gateway found. Go
// has already checked status, term, addresses, zone and quota.
type Grant struct {
	ID        string            `json:"id"`
	Items     []string          `json:"items"`
	Purposes  []string          `json:"purposes"`
	Fields    map[string]string `json:"fields"`
	Zones     []string          `json:"zones"`
	Regions   []string          `json:"regions"`
	CIDRs     []string          `json:"cidrs"`
	NotBefore string            `json:"not_before"`
	NotAfter  string            `json:"not_after"`
	Status    string            `json:"status"`
	Quota     map[string]int64  `json:"quota"`
}

// Item is the service item of the call: its code and the fields it needs of
// this interface.
type Item struct {
	Code   string   `json:"code"`
	Fields []string `json:"fields"`
}

// Scenario is a pre-agreed need that the call fits.
type Scenario struct {
	ID     string   `json:"id"`
	Items  []string `json:"items"`
	Fields []string `json:"fields"`
}

// Input is what the stable stage data.sealgate.authz is asked. It holds only
// what stays the same for this caller, grant, interface, item and zone, so the
// answer may be cached until the catalogue or the policy changes.
type Input struct {
	Caller    Caller    `json:"caller"`
	Interface Interface `json:"interface"`
	Grant     *Grant    `json:"grant"`
	Item      *Item     `json:"item"`
	Scenario  *Scenario `json:"scenario"`
	Purpose   string    `json:"purpose"`
}

// CallTime is the moment of a call, in Asia/Shanghai.
type CallTime struct {
	RFC3339 string `json:"rfc3339"`
	Hour    int    `json:"hour"`
	Weekday int    `json:"weekday"` // 0 Sunday
	Workday bool   `json:"workday"`
}

// CallInput is what the per-call stage data.sealgate.call sees besides Input.
// Its answer is never cached.
type CallInput struct {
	Time     CallTime            `json:"time"`
	IP       string              `json:"ip"`
	Biz      string              `json:"biz"`
	Org      string              `json:"org"`
	Operator string              `json:"operator"`
	Params   map[string][]string `json:"params"`
	Counters map[string]int64    `json:"counters"`
}
