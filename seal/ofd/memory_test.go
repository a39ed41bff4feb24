package ofd

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
)

// resources is a package with n Res files of one content, all named by the document.
func resources(n int, content string) []byte {
	files := minimal()
	var named strings.Builder
	for i := range n {
		fmt.Fprintf(&named, "<ofd:PublicRes>R%d.xml</ofd:PublicRes>", i)
		files = append(files, deflated(fmt.Sprintf("Doc_0/R%d.xml", i), content))
	}
	files[1].content = strings.Replace(documentXML, "</ofd:CommonData>", named.String()+"</ofd:CommonData>", 1)
	return build(files...)
}

// heldBy returns how much memory the package of data holds once it is open.
func heldBy(data []byte) (*Package, []Problem, int) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p, ps := Open(data)
	runtime.GC()
	runtime.ReadMemStats(&after)
	return p, ps, int(after.HeapAlloc) - int(before.HeapAlloc)
}

// Files of a few kilobytes can be trees of gigabytes: 1 MiB of empty elements
// packs to 1 KiB and takes 45 MiB as a tree.
func TestTreesOfAllFilesTogetherStayWithinTheirMemory(t *testing.T) {
	const most = maxXMLKept + maxContentKept + 64<<20
	head, tail := `<ofd:Res xmlns:ofd="`+Namespace+`">`, `</ofd:Res>`
	for name, content := range map[string]string{
		"elements":   strings.Repeat("<a/>", 1<<18-100),
		"attributes": strings.Repeat(`<a b="" c="" d="" e="" f="" g="" h="" i="" j="" k="" l="" m=""/>`, 1<<14-100),
		"texts":      "<a>" + strings.Repeat("x", 1<<20-200) + "</a>",
		"values":     `<a b="` + strings.Repeat("x", 1<<20-200) + `"/>`,
	} {
		data := resources(110, head+content+tail)
		p, ps, held := heldBy(data)
		if p == nil || !problems(ps).fatal() || held > most {
			t.Errorf("%s: %d KiB of zip hold %d MiB, problems %v", name, len(data)>>10, held>>20, ps)
		}
		runtime.KeepAlive(p)
	}
	small := `<ofd:Res xmlns:ofd="` + Namespace + `">` + strings.Repeat(" ", ownFrom-200) + `</ofd:Res>`
	if p, ps, held := heldBy(resources(2000, small)); p == nil || problems(ps).fatal() || held > most {
		t.Errorf("many small files hold %d MiB, problems %v", held>>20, ps)
	}
}

// What is no longer kept is unpacked again; the answers stay the same.
func TestALargePackageIsReadWithoutKeepingItsContent(t *testing.T) {
	page := `<ofd:Page xmlns:ofd="` + Namespace + `"><ofd:Content>` + strings.Repeat("<ofd:Layer ID=\"2\"/>\n", 50_000) + `</ofd:Content></ofd:Page>`
	files := minimal()
	var pages strings.Builder
	for i := range 100 {
		fmt.Fprintf(&pages, `<ofd:Page ID="%d" BaseLoc="Pages/L%d.xml"/>`, 10+i, i)
		files = append(files, deflated(fmt.Sprintf("Doc_0/Pages/L%d.xml", i), page))
	}
	files[1].content = strings.Replace(documentXML, "</ofd:Pages>", pages.String()+"</ofd:Pages>", 1)
	p, ps, held := heldBy(build(files...))
	if p == nil || problems(ps).fatal() || len(p.Bodies[0].Document.Pages) != 101 || held > maxContentKept+16<<20 {
		t.Fatalf("%d MiB are held, problems %v", held>>20, ps)
	}
	want := gm.SM3([]byte(page))
	for i := range 100 {
		name := fmt.Sprintf("Doc_0/Pages/L%d.xml", i)
		got, err := p.Digest(name)
		content, rerr := p.Read(name)
		if err != nil || rerr != nil || got != want || string(content) != page {
			t.Fatalf("%s: %v, %v", name, err, rerr)
		}
	}
}

func TestDescriptionsThatAreTooLargeAreNotRead(t *testing.T) {
	s := goodSigned()
	s.description = strings.Replace(s.description, "<ofd:SignedInfo>", "<ofd:SignedInfo>"+strings.Repeat(" ", maxDescription), 1)
	p, _ := Open(s.build())
	if sig := p.Signatures()[0]; sig.Raw != nil || len(sig.Problems) != 1 || sig.Problems[0].Code != CodeSigFormat {
		t.Errorf("%v", sig.Problems)
	}
}
