package ofd

import "strings"

// Marks that may not begin a line (行首禁则) and marks that may not end one
// (GB/T 15834).
const (
	noLineStart = "，。、；：！？）》」』】〉”’…—％‰℃·,.;:!?)]}%"
	noLineEnd   = "（《「『【〈“‘([{￥¥"
)

// wrap breaks text into lines no wider than room, in the style. Lines break
// between hanzi and at spaces; a word of Latin letters or digits stays whole
// unless it alone is wider than the room.
func (a *Author) wrap(text string, style TextStyle, room float64) ([]string, error) {
	var lines []string
	line, used := "", 0.0
	flush := func() {
		lines = append(lines, strings.TrimRight(line, " "))
		line, used = "", 0
	}
	for _, piece := range pieces(text) {
		w, err := a.width(piece, style)
		if err != nil {
			return nil, err
		}
		if line != "" {
			w += style.Spacing
		}
		if used+w > room && line != "" {
			flush()
			piece = strings.TrimLeft(piece, " ")
			if w, err = a.width(piece, style); err != nil {
				return nil, err
			}
		}
		for w > room { // a word wider than the line is cut
			head, rest := piece, ""
			for w > room {
				r := []rune(head)
				if len(r) == 1 {
					break
				}
				head, rest = string(r[:len(r)-1]), string(r[len(r)-1])+rest
				if w, err = a.width(head, style); err != nil {
					return nil, err
				}
			}
			if rest == "" {
				break
			}
			line = head
			flush()
			piece = rest
			if w, err = a.width(piece, style); err != nil {
				return nil, err
			}
		}
		line, used = line+piece, used+w
	}
	if line != "" || len(lines) == 0 {
		flush()
	}
	return lines, nil
}

// pieces splits text where a line may break: each piece stays on one line.
func pieces(text string) []string {
	var out []string
	var last rune
	for i, r := range text {
		if i == 0 || mayBreak(last, r) {
			out = append(out, string(r))
		} else {
			out[len(out)-1] += string(r)
		}
		last = r
	}
	return out
}

func mayBreak(before, after rune) bool {
	switch {
	case strings.ContainsRune(noLineStart, after), strings.ContainsRune(noLineEnd, before):
		return false
	case before == ' ':
		return true
	default:
		return !wordRune(before) || !wordRune(after)
	}
}

func wordRune(r rune) bool { return r > ' ' && r < 0x2E80 }
