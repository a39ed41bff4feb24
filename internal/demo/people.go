package demo

import (
	"fmt"
	"strings"
)

// Person is an invented natural person.
type Person struct {
	Name       string
	Gender     string // GB/T 2261.1: "1" male, "2" female
	Nation     string
	ResidentID string
	Birth      string // YYYY-MM-DD
	Mobile     string
	Email      string
	BankCard   string
	Plate      string
	Passport   string
	Address    string
	Household  string // number of the household
	Employer   int    // index into Enterprises
}

// peopleCount and householdSize fix the size of the population.
const (
	peopleCount   = 60
	householdSize = 3
)

// city is a prefecture of Jilin: its GB/T 2260 code, names, and the letter of
// its number plates.
type city struct {
	code, name, county, plate string
}

func cities() []city {
	return []city{
		{"220100", "吉林省长春市", "朝阳区", "吉A"}, {"220200", "吉林省吉林市", "昌邑区", "吉B"}, {"220300", "吉林省四平市", "铁西区", "吉C"},
		{"220400", "吉林省辽源市", "龙山区", "吉D"}, {"220500", "吉林省通化市", "东昌区", "吉E"}, {"220600", "吉林省白山市", "浑江区", "吉F"},
		{"220700", "吉林省松原市", "宁江区", "吉J"}, {"220800", "吉林省白城市", "洮北区", "吉G"}, {"222400", "吉林省延边朝鲜族自治州", "延吉市", "吉H"},
	}
}

// People returns the population, always the same, in a fixed order.
func People() []Person {
	surnames := strings.Fields("张 王 李 赵 欧阳 刘 陈 杨 司马 黄 周 吴 金 朴 上官 崔")
	given := strings.Fields("示例 样本 测试 演示 样例 虚构 模拟 假设 三 四 五 娜娜 一一")
	nations := strings.Fields("汉族 汉族 汉族 汉族 朝鲜族 满族 蒙古族 回族")
	places := cities()
	all := make([]Person, peopleCount)
	for i := range all {
		c := places[i%len(places)]
		year, month, day := 1950+i*7%55, 1+i*5%12, 1+i*11%28
		sequence := 100 + i*13
		gender := "2"
		if sequence%2 == 1 {
			gender = "1"
		}
		all[i] = Person{
			Name:       surnames[i%len(surnames)] + given[i*3%len(given)],
			Gender:     gender,
			Nation:     nations[i%len(nations)],
			ResidentID: residentID(fmt.Sprintf("%s%04d%02d%02d%03d", c.code, year, month, day, sequence)),
			Birth:      fmt.Sprintf("%04d-%02d-%02d", year, month, day),
			Mobile:     fmt.Sprintf("1380000%04d", i),
			Email:      fmt.Sprintf("sample%02d@example.cn", i),
			BankCard:   bankCard(fmt.Sprintf("622202100000%06d", i)),
			Plate:      fmt.Sprintf("%s%05d", c.plate, i),
			Passport:   fmt.Sprintf("E%08d", i),
			Address:    fmt.Sprintf("%s%s示例路%d号样本小区%d栋%d单元", c.name, c.county, i+1, i%9+1, i%4+1),
			Household:  fmt.Sprintf("H%06d", i/householdSize+1),
			Employer:   i % enterpriseCount,
		}
	}
	return all
}

// findPerson returns the person with the identity number.
func findPerson(id string) (Person, bool) {
	for _, p := range People() {
		if p.ResidentID == id {
			return p, true
		}
	}
	return Person{}, false
}
