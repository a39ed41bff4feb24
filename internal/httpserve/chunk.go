package httpserve

// chunkState is where a chunked body stands (RFC 9112 section 7.1). Accepted:
// chunk-size of 1 to 8 hex digits without leading zeros, CRLF, data, CRLF; the
// last chunk "0" CRLF CRLF. Extensions and trailers are refused.
type chunkState int

const (
	chunkSize   chunkState = iota // before or inside the size
	chunkSizeLF                   // after the size's CR
	chunkData                     // inside the data
	chunkDataCR                   // before the CR behind the data
	chunkDataLF                   // before its LF
	chunkLastCR                   // before the CR of the final empty line
	chunkLastLF                   // before its LF
	chunkDone                     // behind the body
)

type chunkReader struct {
	state  chunkState
	digits int   // of the size that were read
	size   int64 // of the chunk, then what is left of its data
}

// next consumes as much of b as belongs to the body and returns how much that
// is. done says that the body ended there. ok is false when the framing breaks.
func (c *chunkReader) next(b []byte) (n int, done, ok bool) {
	for n < len(b) {
		switch ch := b[n]; c.state {
		case chunkSize:
			switch {
			case isHex(ch) && c.digits < 8 && (c.digits == 0 || c.size != 0):
				c.size = c.size<<4 | int64(hexValue(ch))
				c.digits++
			case ch == '\r' && c.digits > 0:
				c.state = chunkSizeLF
			default:
				return n, false, false
			}
		case chunkSizeLF:
			if ch != '\n' {
				return n, false, false
			}
			c.digits = 0
			if c.state = chunkData; c.size == 0 {
				c.state = chunkLastCR
			}
		case chunkData:
			take := min(int64(len(b)-n), c.size)
			n += int(take)
			if c.size -= take; c.size == 0 {
				c.state = chunkDataCR
			}
			continue
		case chunkDataCR, chunkLastCR:
			if ch != '\r' {
				return n, false, false
			}
			c.state++
		case chunkDataLF:
			if ch != '\n' {
				return n, false, false
			}
			c.state = chunkSize
		case chunkLastLF:
			if ch != '\n' {
				return n, false, false
			}
			c.state = chunkDone
			return n + 1, true, true
		case chunkDone:
			return n, true, true
		}
		n++
	}
	return n, false, true
}
