package demo

// Purposes and items of the sample grants.
const (
	ItemBenefit    = benefitUSCC + "3000117002011" // 失业保险金申领
	ItemTraining   = benefitUSCC + "3000117003005" // 职业技能提升补贴申领
	PurposeBenefit = "失业保险金审核"
)

// ItemRegistration is 企业设立登记.
func ItemRegistration() string { return DepartmentUSCC(ProviderMarket) + "3000131001001" }

// ItemFood is 食品经营许可.
func ItemFood() string { return DepartmentUSCC(ProviderMarket) + "3000131012002" }

// Call is a request that shows something when it is sent through the gateway.
type Call struct {
	ZH, EN    string // what it shows
	System    string // who sends it
	Interface string // what it means
	Target    string // path and query
	Item      string
	Purpose   string
	Org       string // USCC of the calling department

	Denied string   // the problem code that is expected, or "" for 200
	Sees   []string // what the answer must hold, byte for byte
	Lacks  []string // what it must not hold
}

// Calls returns the sample calls: first those that are answered, at least one
// for each base library, then some that are refused.
func Calls() []Call {
	people, enterprises := People(), Enterprises()
	p, q, e, trader := people[0], people[4], enterprises[3], enterprises[4]
	rs, sc := benefitUSCC, DepartmentUSCC(ProviderMarket)
	legal := people[e.Legal]
	persons := "/pop/v1/persons?idCard="
	return []Call{
		{ZH: "人口：按授权显示与脱敏", EN: "population: shown and masked as granted", System: SystemBenefit, Interface: "pop.person.query", Target: persons + p.ResidentID,
			Item: ItemBenefit, Purpose: PurposeBenefit, Org: rs,
			Sees:  []string{p.Name, `"idCard":"2****************` + p.ResidentID[17:] + `"`, `"mobile":"138****` + p.Mobile[7:] + `"`, `朝阳区****"`, `"height":1.70`, `"alive":true`},
			Lacks: []string{p.ResidentID, p.Mobile, p.Email, p.Birth, "示例路", "photo", "traceId", p.Passport}},
		{ZH: "人口：同一人，另一事项，假名", EN: "population: the same person under another item, a pseudonym", System: SystemBenefit, Interface: "pop.person.query", Target: persons + q.ResidentID,
			Item: ItemTraining, Purpose: "职业技能提升补贴审核", Org: rs, Sees: []string{`"name":"欧阳*`}, Lacks: []string{q.ResidentID, q.Name, q.Mobile, "gender"}},
		{ZH: "人口：户籍成员（嵌套数组）", EN: "population: household, nested arrays", System: SystemBenefit, Interface: "pop.household.query", Target: "/pop/v1/households/" + p.Household,
			Item: ItemBenefit, Purpose: PurposeBenefit, Org: rs, Sees: []string{`"relation":"户主"`, `"idCard":"**************` + p.ResidentID[14:] + `"`}, Lacks: []string{p.ResidentID, p.Mobile, "photo"}},
		{ZH: "法人：数字逐字节不变", EN: "legal entity: numbers unchanged to the byte", System: SystemBenefit, Interface: "ent.base.query", Target: "/ent/v1/enterprises/" + e.USCC,
			Item: ItemBenefit, Purpose: PurposeBenefit, Org: rs, Sees: []string{e.Name, e.USCC, `"capital": ` + e.Capital}, Lacks: []string{legal.Name, legal.ResidentID, "shareholders"}},
		{ZH: "法人：个体工商户代码脱敏", EN: "legal entity: a sole trader's code is masked", System: SystemBenefit, Interface: "ent.base.query", Target: "/ent/v1/enterprises/" + trader.USCC,
			Item: ItemBenefit, Purpose: PurposeBenefit, Org: rs, Sees: []string{`"uscc": "92************` + trader.USCC[14:] + `"`}, Lacks: []string{trader.USCC}},
		{ZH: "地理：坐标数组原样", EN: "geography: arrays of coordinates as they are", System: SystemRegister, Interface: "geo.parcel.query", Target: "/geo/v1/parcels?ownerId=" + p.ResidentID,
			Item: ItemRegistration(), Purpose: "企业设立登记审核", Org: sc, Sees: []string{`"boundary":[[[125.3000500,43.8000000],[125.3001500,`, `"area":60.5000`}, Lacks: []string{p.ResidentID, p.Name, "mortgaged", "示例路"}},
		{ZH: "信用：银行卡号（数字）脱敏为字符串", EN: "credit: a bank card written as a number becomes a masked string", System: SystemBenefit, Interface: "credit.person.query", Target: "/credit/v1/persons/" + p.ResidentID,
			Item: ItemTraining, Purpose: "职业技能提升补贴审核", Org: rs, Sees: []string{`"bankCard":"***************` + p.BankCard[15:] + `"`, `"name":"\u5F20\u793A\u4F8B"`}, Lacks: []string{p.BankCard, p.ResidentID, "861.50", "records"}},
		{ZH: "证照：持证主体可见，责任人脱敏", EN: "licences: holder shown, responsible person masked", System: SystemRegister, Interface: "licence.enterprise.query", Target: "/licence/v1/licences?uscc=" + e.USCC,
			Item: ItemFood(), Purpose: "食品经营许可审核", Org: sc, Sees: []string{e.USCC, `"until":"2029-04-30"`}, Lacks: []string{legal.ResidentID, legal.Mobile, ".ofd"}},
		{ZH: "宏观：数组应答", EN: "macro-economy: an array as the answer", System: SystemBenefit, Interface: "macro.indicator.query", Target: "/macro/v1/indicators",
			Item: ItemBenefit, Purpose: PurposeBenefit, Org: rs, Sees: []string{`"value":3.00,"gdp":10000000000000000999`}, Lacks: []string{"internalNote", "yearOnYear"}},

		{ZH: "授权昨日到期", EN: "the grant has ended", System: SystemBenefit, Interface: "credit.person.query", Target: "/credit/v1/persons/" + p.ResidentID,
			Item: ItemBenefit, Purpose: PurposeBenefit, Org: rs, Denied: "SG-AUTHZ-GRANT-TERM"},
		{ZH: "事项不在授权内", EN: "an item outside the grant", System: SystemBenefit, Interface: "pop.person.query", Target: persons + p.ResidentID,
			Item: ItemFood(), Purpose: PurposeBenefit, Org: rs, Denied: "SG-AUTHZ-ITEM"},
		{ZH: "用途不在授权内", EN: "a purpose outside the grant", System: SystemBenefit, Interface: "pop.person.query", Target: persons + p.ResidentID,
			Item: ItemBenefit, Purpose: "其他用途", Org: rs, Denied: "SG-AUTHZ-PURPOSE"},
		{ZH: "没有授权", EN: "no grant at all", System: SystemRegister, Interface: "macro.indicator.query", Target: "/macro/v1/indicators",
			Item: ItemFood(), Purpose: "食品经营许可审核", Org: sc, Denied: "SG-AUTHZ-NO-GRANT"},
		{ZH: "非共享接口，如同不存在", EN: "an interface that is not shared looks as if it were not there", System: SystemBenefit, Interface: "pop.record.query", Target: "/pop/v1/records",
			Item: ItemBenefit, Purpose: PurposeBenefit, Org: rs, Denied: "SG-ROUTE-NOT-FOUND"},
	}
}
