package seal

import (
	"fmt"
	"math"

	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/ses"
)

// Position says where a seal is shown: X and Y are the seal's centre in
// millimetres from the top left corner of the page. The size is the seal
// picture's own, width and height in millimetres.
type Position struct {
	Page int // from 1
	X, Y float64
}

// String writes the position as the command line takes it.
func (p Position) String() string { return fmt.Sprintf("page %d at %g,%g", p.Page, p.X, p.Y) }

// maxPictureSide bounds the picture in millimetres: seals of the state are at
// most 50 mm wide (国发〔1999〕25号 says 45 mm and less), and A0 paper is 1,189 mm.
const maxPictureSide = 1200

// boundary returns the seal's box on the page. The whole seal must lie on the
// page: a seal that is cut off can be taken for another.
func (p Position) boundary(document *ofd.Document, picture ses.Picture) (ofd.Box, *Error) {
	pages := len(document.Pages)
	if p.Page < 1 || p.Page > pages {
		return ofd.Box{}, refuse(CodeSealPosition, nil,
			fmt.Sprintf("没有第 %d 页，文档共 %d 页", p.Page, pages), fmt.Sprintf("there is no page %d; the document has %d", p.Page, pages))
	}
	if picture.Width < 1 || picture.Width > maxPictureSide || picture.Height < 1 || picture.Height > maxPictureSide {
		return ofd.Box{}, refuse(CodeSealInactive, nil, "印章图片没有合理的尺寸", "the seal's picture has no sensible size")
	}
	page := document.Pages[p.Page-1].Box
	if page == nil {
		return ofd.Box{}, refuse(CodeSealPosition, nil, "该页没有尺寸，无法确定位置", "the page has no size, so no position can be checked")
	}
	w, h := float64(picture.Width), float64(picture.Height)
	box := ofd.Box{X: p.X - w/2, Y: p.Y - h/2, W: w, H: h}
	if math.IsNaN(p.X) || math.IsNaN(p.Y) || !(ofd.Box{W: page.W, H: page.H}).Contains(box) {
		return ofd.Box{}, refuse(CodeSealPosition, nil,
			fmt.Sprintf("印章（%g×%g 毫米）以 %g,%g 为中心时不完全在第 %d 页（%g×%g 毫米）之内", w, h, p.X, p.Y, p.Page, page.W, page.H),
			fmt.Sprintf("a seal of %g by %g mm centred at %g,%g does not lie wholly on page %d of %g by %g mm", w, h, p.X, p.Y, p.Page, page.W, page.H))
	}
	return box, nil
}
