package catalog

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/policy"
)

// Question is what Authorise is asked about one call, after it was identified
// and matched.
type Question struct {
	System    *System
	Interface *Interface
	Item      ItemCode   // as sent; empty when the call names none
	IP        netip.Addr // where the call comes from
	Zone      string     // which network it came in by
	At        time.Time
}

// Refusal is why a call is refused before any policy is asked. It is an error
// with a code of the problem table.
type Refusal struct {
	code   string
	Reason policy.Reason
	Wait   time.Duration // of a spent quota: when to try again
}

// Code returns the problem code.
func (r *Refusal) Code() string { return r.code }

// Error is the English reason.
func (r *Refusal) Error() string { return r.Reason.EN }

// RetryAfter is the number of whole seconds to wait, 0 when waiting is no use.
func (r *Refusal) RetryAfter() int { return int(math.Ceil(r.Wait.Seconds())) }

// Authorise makes the structural checks of a call, cheapest first: there is a
// grant for system, interface and item; it is active; at lies in its term; the
// address is one of the grant's and of the system's; the grant names the zone;
// the quota is not spent. Only a call that passes all of them counts against
// the quota. The policy is asked after this, with the grant that is returned.
//
// Exactly one of the results is nil. quotas may be nil when no grant has a
// quota; a grant with one is then refused (SG-STOP-STATE).
func (s *Snapshot) Authorise(ctx context.Context, q Question, quotas Quotas) (*Grant, *Refusal) {
	if !q.System.Usable() || q.Interface == nil || !q.Interface.Offered() {
		return nil, refuse("SG-ROUTE-NOT-FOUND", "没有这个接口", "there is no such interface", "", "")
	}
	g := s.Grant(q.System.ID, q.Interface.ID, q.Item, q.At)
	if g == nil {
		return nil, s.noGrant(q)
	}
	switch {
	case g.Status != Active:
		return nil, refuse("SG-AUTHZ-GRANT-STATUS",
			fmt.Sprintf("授权 %s 的状态是%s", g.ID, statusZH(g.Status)), fmt.Sprintf("grant %s is %s", g.ID, g.Status),
			"请与大数据主管部门联系恢复授权，或重新申请", "ask the data bureau to restore the grant, or apply again")
	case q.At.Before(g.NotBefore):
		return nil, refuse("SG-AUTHZ-GRANT-TERM",
			fmt.Sprintf("授权 %s 自 %s 起生效", g.ID, stamp(g.NotBefore)), fmt.Sprintf("grant %s begins at %s", g.ID, stamp(g.NotBefore)),
			"请在授权生效后调用", "call once the grant has begun")
	case !g.InTerm(q.At):
		return nil, refuse("SG-AUTHZ-GRANT-TERM",
			fmt.Sprintf("授权 %s 已于 %s 到期", g.ID, stamp(g.NotAfter)), fmt.Sprintf("grant %s ended at %s", g.ID, stamp(g.NotAfter)),
			"请申请续期", "apply for a renewal")
	case !q.IP.IsValid() || !within(g.CIDRs, q.IP) || !q.System.CallsFrom(q.IP):
		return nil, refuse("SG-AUTHZ-ADDRESS",
			fmt.Sprintf("来源地址 %s 不在授权 %s 允许的范围内", q.IP, g.ID), fmt.Sprintf("address %s is not one that grant %s allows", q.IP, g.ID),
			"请从登记的地址调用，或申请变更登记地址", "call from a registered address, or have the new one registered")
	case !slices.Contains(g.Zones, q.Zone):
		return nil, refuse("SG-AUTHZ-ZONE",
			fmt.Sprintf("授权 %s 不允许从%s调用", g.ID, zoneZH(q.Zone)), fmt.Sprintf("grant %s does not allow calls from the zone %q", g.ID, q.Zone),
			"请从授权所列的网络区域调用，或申请增加区域", "call from a zone that the grant names, or apply for this one")
	}
	if r := spend(ctx, g, q.At, quotas); r != nil {
		return nil, r
	}
	return g, nil
}

// noGrant tells apart a system without any grant for the interface and one
// whose grants do not cover the item.
func (s *Snapshot) noGrant(q Question) *Refusal {
	others := s.GrantsOf(q.System.ID, q.Interface.ID)
	if len(others) == 0 {
		return refuse("SG-AUTHZ-NO-GRANT",
			fmt.Sprintf("系统 %s 没有接口 %s 的授权", q.System.ID, q.Interface.ID),
			fmt.Sprintf("system %s has no grant for interface %s", q.System.ID, q.Interface.ID),
			fmt.Sprintf("请向大数据主管部门申请接口 %s，说明事项、用途、法律依据和所需字段", q.Interface.ID),
			fmt.Sprintf("apply to the data bureau for interface %s: name the item, the purpose, the basis in law and the fields", q.Interface.ID))
	}
	ids := make([]string, len(others))
	for i, g := range others {
		ids[i] = string(g.ID)
	}
	list := strings.Join(ids[:min(len(ids), 5)], ", ")
	if q.Item == "" {
		return refuse("SG-AUTHZ-ITEM",
			fmt.Sprintf("调用没有填写政务服务事项，授权 %s 要求填写", list),
			fmt.Sprintf("the call names no service item, which grant %s asks for", list),
			"请在 X-SG-Item 中填写授权所列的事项编码", "send an item code of the grant in X-SG-Item")
	}
	return refuse("SG-AUTHZ-ITEM",
		fmt.Sprintf("所填政务服务事项不在授权 %s 之内", list), // what was sent is not repeated: it can be anything
		fmt.Sprintf("the service item that was sent is not one of those that grant %s was given for", list),
		"请在 X-SG-Item 中填写授权所列的事项编码，或为该事项另行申请", "send an item code of the grant in X-SG-Item, or apply for this item")
}

func spend(ctx context.Context, g *Grant, at time.Time, quotas Quotas) *Refusal {
	if g.Quota == (Quota{}) {
		return nil
	}
	if quotas == nil {
		return quotaUnknown(g)
	}
	spent, wait, err := quotas.Take(ctx, g.ID, g.Quota, at)
	var r *Refusal
	switch {
	case err != nil:
		return quotaUnknown(g)
	case spent == PerSecondSpent:
		r = refuse("SG-LIMIT-RATE",
			fmt.Sprintf("授权 %s 的调用超过每秒 %d 次", g.ID, g.Quota.PerSecond),
			fmt.Sprintf("calls under grant %s exceed %d a second", g.ID, g.Quota.PerSecond),
			"请降低频率后重试，或申请提高限额", "slow down and try again, or apply for a higher limit")
	case spent == PerDaySpent:
		r = refuse("SG-LIMIT-QUOTA",
			fmt.Sprintf("授权 %s 今日的 %d 次调用已用完", g.ID, g.Quota.PerDay),
			fmt.Sprintf("the %d calls a day of grant %s are spent", g.Quota.PerDay, g.ID),
			"请于次日重试，或申请提高限额", "try again tomorrow, or apply for a higher limit")
	case spent == NotSpent:
		return nil
	default:
		return quotaUnknown(g)
	}
	r.Wait = wait
	return r
}

func quotaUnknown(g *Grant) *Refusal {
	return refuse("SG-STOP-STATE",
		fmt.Sprintf("无法读取授权 %s 的已用次数", g.ID), fmt.Sprintf("how many calls of grant %s are spent cannot be told", g.ID),
		"请稍后重试", "try again later")
}

func refuse(code, zh, en, fixZH, fixEN string) *Refusal {
	return &Refusal{code: code, Reason: policy.Reason{Code: code, ZH: zh, EN: en, FixZH: fixZH, FixEN: fixEN}}
}

func stamp(t time.Time) string { return t.In(shanghai()).Format(time.RFC3339) }

func statusZH(s string) string {
	switch s {
	case Suspended:
		return "“已暂停”"
	case Revoked:
		return "“已撤销”"
	case Expired:
		return "“已过期”"
	}
	return "“" + s + "”"
}

func zoneZH(z string) string {
	switch z {
	case ZoneExtranet:
		return "政务外网"
	case ZoneInternet:
		return "互联网"
	}
	return "该网络区域"
}
