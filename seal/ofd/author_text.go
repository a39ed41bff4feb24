package ofd

import (
	"strings"
	"unicode/utf8"
)

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
		for piece != "" {
			w, err := a.width(piece, style)
			if err != nil {
				return nil, err
			}
			if line != "" {
				w += style.Spacing
			}
			switch {
			case used+w <= room:
				line, used, piece = line+piece, used+w, ""
			case line != "":
				flush()
				piece = strings.TrimLeft(piece, " ")
			default: // alone on its line and still too wide: cut
				if line, used, err = a.prefix(piece, style, room); err != nil {
					return nil, err
				}
				piece = piece[len(line):]
			}
		}
	}
	if line != "" || len(lines) == 0 {
		flush()
	}
	return lines, nil
}

// prefix returns the longest beginning of text that fits into room, at least
// one character, and its width.
func (a *Author) prefix(text string, style TextStyle, room float64) (head string, width float64, err error) {
	for i, r := range text {
		longer := text[:i+utf8.RuneLen(r)]
		w, err := a.width(longer, style)
		if err != nil {
			return "", 0, err
		}
		if w > room && head != "" {
			break
		}
		head, width = longer, w
	}
	return head, width, nil
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
