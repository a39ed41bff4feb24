package mask

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/policy"
)

// scattered reads in pieces of random length.
type scattered struct {
	r *rand.Rand
	b []byte
}

func (c *scattered) Read(p []byte) (int, error) {
	if len(c.b) == 0 {
		return 0, io.EOF
	}
	n := 1 + c.r.IntN(1+c.r.IntN(9000))
	n = min(n, len(p), len(c.b))
	copy(p, c.b[:n])
	c.b = c.b[n:]
	if len(c.b) == 0 && c.r.IntN(2) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// Members that are dropped, masked and shown are moved byte by byte over the
// boundaries of chunk and Window, in reads of random length: the answer is that
// of the short body, and a body that is cut off shows nothing it should not.
func TestAnswerDoesNotDependOnWhereTheBodyIsCutIntoReads(t *testing.T) {
	p, err := Compile(map[string]policy.FieldAction{
		"id": {Kind: policy.Mask}, "pad": {Kind: policy.Show}, "l[*].n": {Kind: policy.Mask}, "l[*].s": {Kind: policy.Show}, "m": {Kind: policy.Mask},
		"o.x": {Kind: policy.Keep, N: 1, M: 1}, "o.sub": {Kind: policy.Show}, "o.sub.q": {Kind: policy.Drop}, "*.w": {Kind: policy.Show},
	}, map[string]string{"id": KindResidentID, "l[*].n": KindName}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const secret = "SECRET"
	docs := []string{
		`"z":1 , "id" : "SECRET" ,"l":[ {"n":"SECRET","s":1.50,"t":"SECRET"} , "SECRET" , [{"n":"SECRET"}] , {"t":"SECRET"}, 7 ],` +
			`"o":{"x":"SECRET","y":"SECRET","sub":{"q":"SECRET","r":[1,{"q":2}]},"w":3},"m":{"SECRET":["SECRET"]},"t":"SECRET"`,
		`"l":["SECRET","SECRET",{"s":"\u4e00"},"SECRET"],"m" : [ "SECRET" ] , "u":{"w":"ok","v":{"w":"SECRET"}},"\u0069d":"SECRET","id ":"SECRET"`,
		`"o" : [ {"x":"SECRET"} ] , "l":{"n":"SECRET"},"k":"SECRET"`,
	}
	apply := func(src io.Reader) (string, error) {
		var out bytes.Buffer
		_, err := p.Apply(&out, src)
		if strings.Contains(out.String(), secret) {
			t.Fatalf("the answer holds what was not granted:\n%.300s", out.String())
		}
		return out.String(), err
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	tries := 600
	if testing.Short() {
		tries = 100
	}
	for range tries {
		doc := docs[rnd.IntN(len(docs))]
		want, err := apply(strings.NewReader(`{"pad":"",` + doc + `}`))
		if err != nil {
			t.Fatal(err)
		}
		size := []int{4 << 10, chunk, 2 * chunk, Window, Window + chunk, 3 * Window}[rnd.IntN(6)] - rnd.IntN(len(doc)+40)
		pad := strings.Repeat("p", size)
		in := `{"pad":"` + pad + `",` + doc + `}`
		got, err := apply(&scattered{rnd, []byte(in)})
		if err != nil {
			t.Fatal(err)
		}
		if got = strings.Replace(got, pad, "", 1); got != want {
			t.Fatalf("behind %d bytes:\n%s\nwant\n%s", size, got, want)
		}
		if _, err := apply(&scattered{rnd, []byte(in[:rnd.IntN(len(in))])}); err == nil {
			t.Fatal("a body that was cut off passed as whole")
		}
	}
}
