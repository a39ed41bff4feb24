// Package mask shows a caller of a JSON interface what its grant shows, and
// nothing else. An answer is walked as a stream with an allow-list of fields:
// granted members pass, shown or masked as the decision says; every other
// member is left out.
//
// What it promises:
//
//   - A token that is passed on is byte-identical to the upstream's: numbers
//     such as 10000000000000000999 and 1.50, escapes, the order of members and
//     the white space between what stays. The walk never re-encodes; it cuts
//     and replaces byte ranges of the input.
//   - It fails closed. Invalid JSON (RFC 8259), duplicate member names (RFC
//     7493), invalid UTF-8, a byte order mark, data after the value, too deep,
//     too long: an [Error], and not one further byte for the caller. Bodies up
//     to [Window] are checked whole before the first byte is sent; of longer
//     ones the first Window bytes are.
//   - A value of a kind that nobody expected does not slip through: an object
//     or array at a masked path becomes null, so do booleans, and numbers
//     unless the interface says that they may become strings.
//   - Names are compared after unescaping, byte by byte: "n\u0061me" is name,
//     "Name" is another member. There is no case folding, so a member in
//     another case is not granted.
//
// What it refuses to do: guess. It does not transcode GBK or UTF-16, does not
// decompress, and does not look for personal data in fields that are shown.
// Member names are not masked: under a path such as `data.*.name` the names
// that `*` matches are passed on, so a provider whose member names are identity
// numbers must not be granted with `*`.
//
// Which rule holds when several name the same place is written at [Compile].
//
//	plan, err := mask.Compile(decision.Actions, kinds, mask.Options{MaxBytes: 8 << 20})
//	err = mask.CheckContentType(resp.Header)
//	stats, err := plan.Apply(w, resp.Body)
//	// err: withhold when (*mask.Error).Withheld(), else break the connection
package mask
