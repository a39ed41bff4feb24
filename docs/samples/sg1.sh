#!/usr/bin/env bash
# SG1 request headers with OpenSSL 3 (SM2 or HMAC-SM3), for curl. 用 OpenSSL 3 生成 SG1 请求头。
#
#   SG_APP=rs-benefit SG_KEY=app.pem ./sg1.sh GET 'https://gw.example:8443/pop/v1/persons?id=1' > headers
#   curl --cacert ca.pem -H @headers 'https://gw.example:8443/pop/v1/persons?id=1'
#
# SG_KEY is a PEM file with an SM2 private key (signs with SM2), or SG_HMAC a file that
# holds the raw HMAC key. SG_PURPOSE, SG_ITEM, SG_BIZ, SG_ORG, SG_OPERATOR are the five
# elements, percent-encoded where not ASCII. A third argument names a file with the body.
# With HTTP/1.1 and HTTP/2 alike curl sends the host as it stands in the URL.
set -euo pipefail
method=$1 url=$2 body=${3:-/dev/null}
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
	"${SG_PURPOSE:-}" "${SG_ITEM:-}" "${SG_BIZ:-}" "${SG_ORG:-}" "${SG_OPERATOR:-}")
if [ -n "${SG_KEY:-}" ]; then
	sign="sm2=$(printf '%s' "$text" | openssl dgst -sm3 -sign "$SG_KEY" -sigopt distid:1234567812345678 | base64 -w0)"
else
	hex=$(od -An -v -tx1 "$SG_HMAC" | tr -d ' \n')
	sign="hmac-sm3=$(printf '%s' "$text" | openssl dgst -sm3 -mac HMAC -macopt "hexkey:$hex" -binary | base64 -w0)"
fi

printf 'X-SG-App: %s\nX-SG-Time: %s\nX-SG-Nonce: %s\nX-SG-Digest: %s\n' "$SG_APP" "$time" "$nonce" "$digest"
[ -z "${SG_PURPOSE:-}" ] || printf 'X-SG-Purpose: %s\n' "$SG_PURPOSE"
[ -z "${SG_ITEM:-}" ] || printf 'X-SG-Item: %s\n' "$SG_ITEM"
[ -z "${SG_BIZ:-}" ] || printf 'X-SG-Biz: %s\n' "$SG_BIZ"
[ -z "${SG_ORG:-}" ] || printf 'X-SG-Org: %s\n' "$SG_ORG"
[ -z "${SG_OPERATOR:-}" ] || printf 'X-SG-Operator: %s\n' "$SG_OPERATOR"
printf 'X-SG-Sign: %s\n' "$sign"
