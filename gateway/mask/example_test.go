package mask_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/sealgate/sealgate/gateway/mask"
	"github.com/sealgate/sealgate/policy"
)

func Example() {
	plan, err := mask.Compile(map[string]policy.FieldAction{
		"code":                {Kind: policy.Show},
		"data.list[*].name":   {Kind: policy.Show},
		"data.list[*].idCard": {Kind: policy.Mask},
	}, map[string]string{"data.list[*].idCard": mask.KindResidentID}, mask.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	body := `{"code":0,"data":{"total":1,"list":[{"name":"张三","idCard":"220102199003070013","phone":"13800000000"}]}}`
	stats, err := plan.Apply(os.Stdout, strings.NewReader(body))
	fmt.Printf("\n%v shown, %v masked, %d left out, %v\n", stats.Shown, stats.Masked, stats.Dropped, err)

	_, err = plan.Apply(os.Stdout, strings.NewReader(`{"code":0,"code":1}`))
	fmt.Println(err)
	// Output:
	// {"code":0,"data":{"list":[{"name":"张三","idCard":"2****************3"}]}}
	// [code data.list[*].name] shown, [data.list[*].idCard] masked, 2 left out, <nil>
	// mask: two members of an object have the same name at offset 10
}

func TestOnePlanServesManyCallsAtOnce(t *testing.T) {
	plan, err := mask.Compile(map[string]policy.FieldAction{"[*].a": {Kind: policy.Mask}}, map[string]string{"[*].a": mask.KindName}, mask.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 10 {
				n := 1 + (g*i)*60 // both sides of the window
				var out strings.Builder
				_, err := plan.Apply(&out, strings.NewReader("["+strings.Repeat(`{"a":"张三丰","b":1},`, n)+`{}]`))
				if want := "[" + strings.Repeat(`{"a":"张**"},`, n) + "{}]"; err != nil || out.String() != want {
					t.Errorf("%d elements: %v", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
