package catalog

import "github.com/sealgate/sealgate/internal/config"

// File is the catalogue as it is imported and exported. Fields that may be left
// out say what their absence means; an empty list is refused everywhere,
// because it reads as "none" to one person and as "any" to another.
type File struct {
	Departments []Department     `yaml:"departments,omitempty" json:"departments,omitempty"`
	Systems     []SystemEntry    `yaml:"systems,omitempty" json:"systems,omitempty"`
	Interfaces  []InterfaceEntry `yaml:"interfaces,omitempty" json:"interfaces,omitempty"`
	Items       []ItemEntry      `yaml:"items,omitempty" json:"items,omitempty"`
	Scenarios   []ScenarioEntry  `yaml:"scenarios,omitempty" json:"scenarios,omitempty"`
	Grants      []GrantEntry     `yaml:"grants,omitempty" json:"grants,omitempty"`
}

// Department is an organisation (部门).
type Department struct {
	ID     DepartmentID `yaml:"id" json:"id"`
	Name   string       `yaml:"name,omitempty" json:"name,omitempty"`
	USCC   string       `yaml:"uscc" json:"uscc"`     // 统一社会信用代码, 18 characters
	Region string       `yaml:"region" json:"region"` // GB/T 2260: 6, 9 (township) or 12 (village) digits
	Level  string       `yaml:"level" json:"level"`   // province, city, county or township
}

// SystemEntry is a department's application (业务系统) with its credentials.
type SystemEntry struct {
	ID           SystemID     `yaml:"id" json:"id"`
	Name         string       `yaml:"name,omitempty" json:"name,omitempty"`
	Department   DepartmentID `yaml:"department" json:"department"`
	Status       string       `yaml:"status,omitempty" json:"status,omitempty"`                 // active (default) or suspended
	SM2PublicKey string       `yaml:"sm2_public_key,omitempty" json:"sm2_public_key,omitempty"` // PEM, base64 of SPKI or point, or hex of the point
	HMACKeyRef   string       `yaml:"hmac_key_ref,omitempty" json:"hmac_key_ref,omitempty"`     // names a secret (local:, vault:, file:); never the secret
	Certificates []string     `yaml:"certificates,omitempty" json:"certificates,omitempty"`     // SHA-256 of the DER of its TLS client certificates, hex
	CIDRs        []string     `yaml:"cidrs,omitempty" json:"cidrs,omitempty"`                   // addresses it calls from; absent: any
}

// InterfaceEntry is a published API (服务接口).
type InterfaceEntry struct {
	ID       InterfaceID   `yaml:"id" json:"id"`
	Name     string        `yaml:"name,omitempty" json:"name,omitempty"`
	Provider DepartmentID  `yaml:"provider" json:"provider"`
	Base     string        `yaml:"base" json:"base"`                         // one of the six base libraries (六大基础库)
	Share    string        `yaml:"share" json:"share"`                       // unconditional, authorised or none (共享类型)
	Status   string        `yaml:"status,omitempty" json:"status,omitempty"` // published (default), suspended or withdrawn
	Route    RouteEntry    `yaml:"route" json:"route"`
	Upstream UpstreamEntry `yaml:"upstream" json:"upstream"`
	Request  *RequestEntry `yaml:"request,omitempty" json:"request,omitempty"`
	Response ResponseEntry `yaml:"response" json:"response"`
}

// RouteEntry says which requests mean the interface.
type RouteEntry struct {
	Host    string   `yaml:"host,omitempty" json:"host,omitempty"` // exact, with or without port; "*" or absent: any
	Methods []string `yaml:"methods" json:"methods"`
	Path    string   `yaml:"path" json:"path"` // exact, or with {name} for one whole segment
}

// UpstreamEntry is the provider's server.
type UpstreamEntry struct {
	URL     string          `yaml:"url" json:"url"`                             // http or https; may hold the {name}s of the route, which are appended otherwise
	Timeout config.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // absent: 10s
}

// RequestEntry limits what callers may send.
type RequestEntry struct {
	MaxBytes config.Size `yaml:"max_bytes" json:"max_bytes"` // "0B" refuses a body; absent: 1MiB for POST, PUT and PATCH, else none
}

// ResponseEntry says what the upstream answers.
type ResponseEntry struct {
	Type     string                `yaml:"type,omitempty" json:"type,omitempty"`           // json (default)
	MaxBytes config.Size           `yaml:"max_bytes,omitempty" json:"max_bytes,omitempty"` // absent: 8MiB
	Numbers  string                `yaml:"numbers,omitempty" json:"numbers,omitempty"`     // "string": a masked number becomes a masked string; "null" or absent: null
	Fields   map[string]FieldEntry `yaml:"fields" json:"fields"`                           // by path
}

// FieldEntry classifies one field.
type FieldEntry struct {
	Grade int    `yaml:"grade" json:"grade"`                   // 1 public, 2 internal, 3 personal, 4 sensitive personal
	Kind  string `yaml:"kind,omitempty" json:"kind,omitempty"` // what it holds: name, resident_id, mobile, …
}

// ItemEntry is a government service item (政务服务事项) and its row of the
// matrix of items and data.
type ItemEntry struct {
	Code       ItemCode                 `yaml:"code" json:"code"`
	Name       string                   `yaml:"name,omitempty" json:"name,omitempty"`
	Department DepartmentID             `yaml:"department" json:"department"`
	Needs      map[InterfaceID][]string `yaml:"needs,omitempty" json:"needs,omitempty"` // fields of each interface
}

// ScenarioEntry is a need agreed beforehand (应用场景).
type ScenarioEntry struct {
	ID        ScenarioID  `yaml:"id" json:"id"`
	Name      string      `yaml:"name,omitempty" json:"name,omitempty"`
	Items     []ItemCode  `yaml:"items" json:"items"`
	Interface InterfaceID `yaml:"interface" json:"interface"`
	Fields    []string    `yaml:"fields" json:"fields"`
}

// GrantEntry is what the platform gave (授权).
type GrantEntry struct {
	ID        GrantID           `yaml:"id" json:"id"`
	System    SystemID          `yaml:"system" json:"system"`
	Interface InterfaceID       `yaml:"interface" json:"interface"`
	Items     []ItemCode        `yaml:"items,omitempty" json:"items,omitempty"`           // absent: for calls that name no item; never with fields of grade 3 or 4
	Purposes  []string          `yaml:"purposes,omitempty" json:"purposes,omitempty"`     // likewise
	Fields    map[string]string `yaml:"fields" json:"fields"`                             // path to action (policy.ParseAction)
	Zones     []string          `yaml:"zones,omitempty" json:"zones,omitempty"`           // absent: extranet only
	Regions   []string          `yaml:"regions,omitempty" json:"regions,omitempty"`       // absent: every region ("000000")
	CIDRs     []string          `yaml:"cidrs,omitempty" json:"cidrs,omitempty"`           // absent: wherever the system may call from
	NotBefore string            `yaml:"not_before,omitempty" json:"not_before,omitempty"` // RFC 3339 or a date (its 00:00); absent: from the beginning
	NotAfter  string            `yaml:"not_after" json:"not_after"`                       // RFC 3339 or a date (its end), exclusive; a grant without end is refused
	Status    string            `yaml:"status,omitempty" json:"status,omitempty"`         // active (default), suspended, revoked or expired
	Quota     *Quota            `yaml:"quota,omitempty" json:"quota,omitempty"`           // absent: no limit of the grant's own
}

// Quota limits the calls under one grant. Zero means no limit.
type Quota struct {
	PerSecond int64 `yaml:"per_second,omitempty" json:"per_second,omitempty"` // sustained, with bursts of one second's worth
	PerDay    int64 `yaml:"per_day,omitempty" json:"per_day,omitempty"`       // calendar day, Asia/Shanghai
}
