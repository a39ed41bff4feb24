package demo

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Ids of the sample departments that provide data.
const (
	ProviderPolice = "ga"   // 公安厅: population
	ProviderMarket = "scjg" // 市场监督管理厅: legal entities
	ProviderLand   = "zrzy" // 自然资源厅: geography
	ProviderData   = "zs"   // 政务服务和数字化建设管理局: credit, licences
	ProviderStats  = "tj"   // 统计局: macro-economy
)

// Ids of the sample systems that call.
const (
	SystemBenefit  = "rs-benefit"    // 人力资源和社会保障厅
	SystemRegister = "scjg-register" // 市场监督管理厅
)

// Systems are the ids of the systems that call; each needs a key.
func Systems() []string { return []string{SystemBenefit, SystemRegister} }

// USCC of the 人力资源和社会保障厅 and the start of its item codes.
const benefitUSCC = "11220000013544541J"

// DepartmentUSCC returns the code of a sample department by its id, or "".
func DepartmentUSCC(id string) string {
	if id == "rs" {
		return benefitUSCC
	}
	for i, provider := range Providers() {
		if provider == id {
			return uscc("11", "220000", fmt.Sprintf("MADEM9%02d", i))
		}
	}
	return ""
}

// CatalogueParams is what the catalogue file depends on.
type CatalogueParams struct {
	At        time.Time                // when the demo starts: grants began the day before and end two years later
	Keys      map[string]*gm.PublicKey // SM2 request-signing key of each of Systems
	HMACRefs  map[string]string        // name of each system's HMAC-SM3 secret, such as local:rs-benefit
	Upstreams map[string]string        // base URL of each of Providers, without a slash at the end
}

//go:embed catalogue.yaml
var catalogueText string

// Catalogue writes the sample catalogue file with the parameters filled in. A
// parameter that is missing is an error; nothing is made up.
func Catalogue(p CatalogueParams) ([]byte, error) {
	var missing error
	fill := func(mark string) string {
		kind, id, _ := strings.Cut(strings.Trim(mark, "@"), ":")
		value := ""
		switch kind {
		case "START":
			value = p.At.AddDate(0, 0, -30).Format(time.DateOnly)
		case "END":
			value = p.At.AddDate(2, 0, 0).Format(time.DateOnly)
		case "YESTERDAY":
			value = p.At.AddDate(0, 0, -2).Format(time.DateOnly) // a day more, for the time zone of dates
		case "USCC":
			value = DepartmentUSCC(id)
		case "KEY":
			if key := p.Keys[id]; key != nil {
				value = base64.StdEncoding.EncodeToString(key.SPKI())
			}
		case "HMAC":
			value = p.HMACRefs[id]
		case "URL":
			value = p.Upstreams[id]
		}
		if value == "" || p.At.IsZero() || strings.ContainsAny(value, "\"\\\n") {
			missing = fmt.Errorf("sample catalogue: nothing usable for %s", mark)
		}
		return value
	}
	text := regexp.MustCompile(`@[A-Z]+(:[a-z-]+)?@`).ReplaceAllStringFunc(catalogueText, fill)
	if missing != nil {
		return nil, missing
	}
	return []byte(text), nil
}
