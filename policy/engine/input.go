package engine

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sealgate/sealgate/policy"
)

// inputKeys are the member names of the input as terms, made once.
type inputKeys struct {
	caller, iface, grant, item, scenario, purpose                            *ast.Term
	system, department, uscc, region, level, zone, auth, certSerial          *ast.Term
	time, rfc3339, hour, weekday, workday, ip, biz, org, operator, params, n *ast.Term
}

func newInputKeys() inputKeys {
	s := ast.StringTerm
	return inputKeys{
		caller: s("caller"), iface: s("interface"), grant: s("grant"), item: s("item"), scenario: s("scenario"), purpose: s("purpose"),
		system: s("system"), department: s("department"), uscc: s("uscc"), region: s("region"), level: s("level"), zone: s("zone"),
		auth: s("auth"), certSerial: s("cert_serial"),
		time: s("time"), rfc3339: s("rfc3339"), hour: s("hour"), weekday: s("weekday"), workday: s("workday"), ip: s("ip"), biz: s("biz"),
		org: s("org"), operator: s("operator"), params: s("params"), n: s("counters"),
	}
}

type member = [2]*ast.Term

// granted is a grant ready for evaluation: as a term, and with its actions
// parsed.
type granted struct {
	term    *ast.Term
	actions map[string]policy.FieldAction
}

// convert turns a value of package policy into a term by way of its JSON form.
func convert(v any) (*ast.Term, error) {
	value, err := ast.InterfaceToValue(v)
	if err != nil {
		return nil, err
	}
	return ast.NewTerm(value), nil
}

func convertGrant(g *policy.Grant) (granted, error) {
	t, err := convert(g)
	if err != nil {
		return granted{}, err
	}
	out := granted{term: t, actions: make(map[string]policy.FieldAction, len(g.Fields))}
	for p, text := range g.Fields {
		if out.actions[p], err = policy.ParseAction(text); err != nil {
			return granted{}, err
		}
	}
	return out, nil
}

// input builds the stable stage's input from terms that are converted once for
// each object of the catalogue.
func (e *Engine) input(req *Request) (in ast.Object, g granted, err error) {
	terms := e.cache.terms(req.Catalogue)
	if g, err = terms.grant.get(req.Grant, convertGrant); err != nil {
		return nil, g, err
	}
	iface, err := terms.iface.get(req.Interface, func(v *policy.Interface) (*ast.Term, error) { return convert(v) })
	if err != nil {
		return nil, g, err
	}
	item, scenario := ast.NullTerm(), ast.NullTerm()
	if req.Item != nil {
		if item, err = terms.item.get(req.Item, func(v *policy.Item) (*ast.Term, error) { return convert(v) }); err != nil {
			return nil, g, err
		}
	}
	if req.Scenario != nil {
		if scenario, err = terms.scenario.get(req.Scenario, func(v *policy.Scenario) (*ast.Term, error) { return convert(v) }); err != nil {
			return nil, g, err
		}
	}
	k, s := &e.keys, ast.StringTerm
	c := &req.Caller
	caller := ast.ObjectTerm(member{k.system, s(c.System)}, member{k.department, s(c.Department)}, member{k.uscc, s(c.USCC)}, member{k.region, s(c.Region)},
		member{k.level, s(c.Level)}, member{k.zone, s(c.Zone)}, member{k.auth, s(c.Auth)}, member{k.certSerial, s(c.CertSerial)})
	return ast.NewObject(member{k.caller, caller}, member{k.iface, iface}, member{k.grant, g.term}, member{k.item, item},
		member{k.scenario, scenario}, member{k.purpose, s(req.Purpose)}), g, nil
}

// callInput adds to the stable input what changes from call to call.
func (e *Engine) callInput(in ast.Object, c *policy.CallInput) (ast.Object, error) {
	k, s := &e.keys, ast.StringTerm
	params, err := convert(orEmpty(c.Params))
	if err != nil {
		return nil, err
	}
	counters, err := convert(orEmpty(c.Counters))
	if err != nil {
		return nil, err
	}
	out := ast.NewObject()
	in.Foreach(func(key, value *ast.Term) { out.Insert(key, value) })
	out.Insert(k.time, ast.ObjectTerm(member{k.rfc3339, s(c.Time.RFC3339)}, member{k.hour, ast.IntNumberTerm(c.Time.Hour)},
		member{k.weekday, ast.IntNumberTerm(c.Time.Weekday)}, member{k.workday, ast.BooleanTerm(c.Time.Workday)}))
	for _, m := range []member{{k.ip, s(c.IP)}, {k.biz, s(c.Biz)}, {k.org, s(c.Org)}, {k.operator, s(c.Operator)}, {k.params, params}, {k.n, counters}} {
		out.Insert(m[0], m[1])
	}
	return out, nil
}

func orEmpty[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return m
}
