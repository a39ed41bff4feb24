package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// refusal is a problem document that a gateway or a seal service answered with.
type refusal struct {
	status int
	code   string // empty: the answer was no problem document
	text   string
	hints  []string
	id     string // of the request, to be told to the operator
}

func (r *refusal) Error() string {
	if r.code == "" {
		return fmt.Sprintf("%d: %s", r.status, r.text)
	}
	return fmt.Sprintf("%d %s: %s", r.status, r.code, r.text)
}

// undecided says that the other side could not judge, or is not the one asked for.
func (r *refusal) undecided() bool { return r.status >= 500 || r.code == "" }

// readRefusal reads the answer to a request that did not succeed. The reasons
// of the policy are hints: each says what to do.
func readRefusal(status int, body []byte) *refusal {
	var p struct {
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
		DetailZH  string `json:"detail_zh"`
		Detail    string `json:"detail"`
		Hint      string `json:"hint"`
		HintZH    string `json:"hint_zh"`
		Reasons   []struct {
			ZH    string `json:"zh"`
			EN    string `json:"en"`
			FixZH string `json:"fix_zh"`
			FixEN string `json:"fix_en"`
		} `json:"reasons"`
	}
	if err := json.Unmarshal(body, &p); err != nil || p.Code == "" {
		return &refusal{status: status, text: "应答不是问题文档 the answer is no problem document",
			hints: []string{"地址是否正确？ is the address the right one?"}}
	}
	r := &refusal{status: status, code: p.Code, id: p.RequestID, text: p.DetailZH + " " + p.Detail}
	for _, reason := range p.Reasons {
		hint := reason.ZH + " " + reason.EN
		if fix := strings.TrimSpace(reason.FixZH + " " + reason.FixEN); fix != "" {
			hint += "；" + fix
		}
		r.hints = append(r.hints, strings.TrimSpace(hint))
	}
	if p.Hint != "" && len(r.hints) == 0 {
		r.hints = append(r.hints, strings.TrimSpace(p.HintZH+" "+p.Hint))
	}
	return r
}

// serviceURL reads the address of a gateway or a seal service. Outside
// loopback only TLS keeps what is sent from others.
func serviceURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q 不是地址 is not https://HOST/…", s)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%q: 本机以外必须用 https outside this machine https is required", s)
	}
	return u, nil
}

// unreachable is a request that got no answer; option names the certificates
// that the other side is judged by.
func unreachable(err error, hint, option string) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		hint = option + " 指明其签发者 names who issued it"
	}
	return undecided(err, hint)
}
