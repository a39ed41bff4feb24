#!/usr/bin/env bash
# SG1 request headers with OpenSSL 3 (SM2 or HMAC-SM3), for curl. 用 OpenSSL 3 生成 SG1 请求头。
#
#   SG_APP=rs-benefit SG_KEY=app.pem ./sg1.sh GET 'https://gw.example:8443/pop/v1/persons?id=1' > headers
#   curl --cacert ca.pem -H @headers 'https://gw.example:8443/pop/v1/persons?id=1'
#
# SG_KEY is a PEM file with an SM2 private key (signs with SM2), or SG_HMAC a file with the
# HMAC key in base64. SG_PURPOSE, SG_ITEM, SG_BIZ, SG_ORG, SG_OPERATOR are the five elements;
# plain text, percent-encoded here. A third argument names a file with the body.
# With HTTP/1.1 and HTTP/2 alike curl sends the host as it stands in the URL.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: SG_APP=… SG_KEY=… $0 METHOD URL [BODYFILE]" >&2; exit 2; }
method=$1 url=$2 body=${3:-/dev/null}

encoded() { # percent-encodes what is not visible ASCII, and %
	local LC_ALL=C i c
	for ((i = 0; i < ${#1}; i++)); do
		c=${1:i:1}
		case $c in %) printf %%25 ;; [[:graph:]]) printf '%s' "$c" ;; *) printf '%%%02X' "$(($(printf '%d' "'$c") & 255))" ;; esac
	done
}

hmac_sm3() { # of stdin; the key never stands in a command line that others can see (ps)
	local hex inner= outer= i
	hex=$(base64 -d <"$1" | od -An -v -tx1 | tr -d ' \n')
	[ ${#hex} -le 128 ] || { echo "HMAC key longer than 64 bytes" >&2; return 1; }
	for ((i = 0; i < 128; i += 2)); do
		inner+=$(printf '\\x%02x' $((0x0${hex:i:2} ^ 0x36)))
		outer+=$(printf '\\x%02x' $((0x0${hex:i:2} ^ 0x5c)))
	done
	{ printf "$outer"; { printf "$inner"; cat; } | openssl dgst -sm3 -binary; } | openssl dgst -sm3 -binary
}

for element in PURPOSE ITEM BIZ ORG OPERATOR; do
	name=SG_$element
	printf -v "$name" '%s' "$(encoded "${!name:-}")"
done
rest=${url#*://}
host=$(printf '%s' "${rest%%[/?]*}" | tr 'A-Z' 'a-z')
path=/${rest#*/}; [ "$rest" = "${rest#*/}" ] && path=/
query=; case $path in *\?*) query=${path#*\?}; path=${path%%\?*} ;; esac
# the pairs as sent, sorted as byte strings
sorted=$(printf '%s' "$query" | tr '&' '\n' | LC_ALL=C sort | paste -sd '&' -)
digest="sm3=$(openssl dgst -sm3 -binary <"$body" | base64 -w0)"
nonce=${SG_NONCE:-$(openssl rand 16 | base64 -w0 | tr '+/' '-_' | tr -d '=')}
time=${SG_TIME:-$(date +%s%3N)}

text=$(printf 'SG1\n%s\n%s\n%s\n%s\nx-sg-app:%s\nx-sg-time:%s\nx-sg-nonce:%s\nx-sg-digest:%s\nx-sg-purpose:%s\nx-sg-item:%s\nx-sg-biz:%s\nx-sg-org:%s\nx-sg-operator:%s' \
	"$method" "$host" "$path" "$sorted" "$SG_APP" "$time" "$nonce" "$digest" \
	"$SG_PURPOSE" "$SG_ITEM" "$SG_BIZ" "$SG_ORG" "$SG_OPERATOR")
if [ -n "${SG_KEY:-}" ]; then
	sign="sm2=$(printf '%s' "$text" | openssl dgst -sm3 -sign "$SG_KEY" -sigopt distid:1234567812345678 | base64 -w0)"
else
	sign="hmac-sm3=$(printf '%s' "$text" | hmac_sm3 "$SG_HMAC" | base64 -w0)"
fi

printf 'X-SG-App: %s\nX-SG-Time: %s\nX-SG-Nonce: %s\nX-SG-Digest: %s\n' "$SG_APP" "$time" "$nonce" "$digest"
[ -z "$SG_PURPOSE" ] || printf 'X-SG-Purpose: %s\n' "$SG_PURPOSE"
[ -z "$SG_ITEM" ] || printf 'X-SG-Item: %s\n' "$SG_ITEM"
[ -z "$SG_BIZ" ] || printf 'X-SG-Biz: %s\n' "$SG_BIZ"
[ -z "$SG_ORG" ] || printf 'X-SG-Org: %s\n' "$SG_ORG"
[ -z "$SG_OPERATOR" ] || printf 'X-SG-Operator: %s\n' "$SG_OPERATOR"
printf 'X-SG-Sign: %s\n' "$sign"
