package demo

import "strings"

// residentID completes 17 digits with the check character of GB 11643
// (ISO 7064 MOD 11-2).
func residentID(first17 string) string {
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(first17[i]-'0') * w
	}
	return first17 + string("10X98765432"[sum%11])
}

// organisationCode completes 8 characters with the check character of GB 11714,
// without the dash.
func organisationCode(first8 string) string {
	weights := [8]int{3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += strings.IndexByte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", first8[i]) * w
	}
	switch c := 11 - sum%11; c {
	case 10:
		return first8 + "X"
	case 11:
		return first8 + "0"
	default:
		return first8 + string(byte('0'+c))
	}
}

// uscc builds a unified social credit code of GB 32100: the registering
// department and category (two characters), the region, an organisation code of
// 8 characters and both check characters.
func uscc(category, region, first8 string) string {
	const alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	body := category + region + organisationCode(first8)
	sum, weight := 0, 1
	for i := range len(body) {
		sum += strings.IndexByte(alphabet, body[i]) * weight
		weight = weight * 3 % 31
	}
	return body + string(alphabet[(31-sum%31)%31])
}

// bankCard completes a number with the check digit of ISO 7812 (Luhn).
func bankCard(body string) string {
	sum := 0
	for i := range len(body) {
		d := int(body[len(body)-1-i] - '0')
		if i%2 == 0 { // every second digit, beginning left of the check digit
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return body + string(byte('0'+(10-sum%10)%10))
}
