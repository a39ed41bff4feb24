package demo

import "fmt"

// Enterprise is an invented enterprise or sole trader.
type Enterprise struct {
	Name       string
	USCC       string
	Category   string // "91" enterprise, "92" sole trader
	Capital    string // registered capital in yuan, as the registry writes it
	Founded    string // YYYY-MM-DD
	Status     string
	Address    string
	Scope      string
	Legal      int   // index into People: the legal representative
	Holders    []int // likewise: the shareholders
	CreditRate string
}

const enterpriseCount = 20

// Enterprises returns the registry, always the same, in a fixed order.
func Enterprises() []Enterprise {
	places := cities()
	// As registries write amounts: no two agree on the digits, and none may be rounded.
	capitals := []string{"1000000", "500000.00", "1.50E+7", "10000000000000000999", "0.10", "30000000.000000000005"}
	trades := []string{"软件技术", "食品", "农业发展", "医药", "建筑工程"}
	all := make([]Enterprise, enterpriseCount)
	for i := range all {
		c := places[i%len(places)]
		e := Enterprise{
			Category:   "91",
			Capital:    capitals[i%len(capitals)],
			Founded:    fmt.Sprintf("%04d-%02d-%02d", 2000+i, 1+i%12, 1+i%28),
			Status:     "存续（在营、开业、在册）",
			Address:    fmt.Sprintf("%s%s示例大街%d号", c.name, c.county, 100+i),
			Scope:      "许可项目：示例经营；一般项目：技术服务、技术开发\\技术咨询 <样例> & \"演示\"",
			Legal:      i,
			Holders:    []int{i, (i + 7) % peopleCount, (i + 13) % peopleCount},
			CreditRate: []string{"A", "B", "A", "M", "C"}[i%5],
		}
		e.Name = fmt.Sprintf("吉林样例%s有限公司（第%d号）", trades[i%len(trades)], i+1)
		if i%5 == 4 {
			e.Category, e.Name = "92", fmt.Sprintf("样例%s经营部（第%d号）", trades[i%len(trades)], i+1)
		}
		e.USCC = uscc(e.Category, c.code, fmt.Sprintf("MADEM%03d", i))
		all[i] = e
	}
	return all
}

func findEnterprise(code string) (Enterprise, bool) {
	for _, e := range Enterprises() {
		if e.USCC == code {
			return e, true
		}
	}
	return Enterprise{}, false
}
