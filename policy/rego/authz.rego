# Stable stage: may this system, for this item and purpose, call this interface?
#
# Go has found the grant and refused calls without one before this is asked
# (gateway/catalog, Authorise). The input holds nothing that changes from call to
# call, so the answer is cached until the catalogue or the policy changes. Keep
# it so: no time, no addresses, no counters here; those belong to the per-call
# stage, package sealgate.call.
#
# Write conditions into the one allow body. The same twelve conditions as helper
# rules cost three times as much, and an allow that hangs on the absence of a
# deny lets calls through when the deny rule errs.
package sealgate.authz

default allow := false

# METADATA
# title: 允许调用 allow the call
# description: every condition must hold; the most selective come first
allow if {
	input.grant.status == "active"
	input.interface.status == "published"
	input.interface.share in {"unconditional", "authorised"}
	input.caller.zone in input.grant.zones
	input.purpose in input.grant.purposes

	# A call that names no item has code "" here, and needs a grant that says so.
	concat("", [code | code := input.item.code]) in input.grant.items

	some region in input.grant.regions
	covers(region, input.caller.region)
}

# METADATA
# title: 行政区划覆盖 does a region cover another
# description: |
#   GB/T 2260: six digits, of which 00 at the end stands for the whole city and
#   0000 for the whole province; nine digits are a township, twelve a village.
#   "000000" is every region.
covers("000000", _)

covers(outer, inner) if {
	count(outer) >= 6
	startswith(inner, outer)
}

covers(outer, inner) if {
	count(outer) == 6
	endswith(outer, "0000")
	startswith(inner, substring(outer, 0, 2))
}

covers(outer, inner) if {
	count(outer) == 6
	endswith(outer, "00")
	startswith(inner, substring(outer, 0, 4))
}

# actions may only tighten what the grant says; Go refuses anything else.

# METADATA
# title: 最小必要 only what the item needs
# description: a granted field that the service item does not need is dropped
actions[path] := "drop" if {
	some path, _ in object.remove(input.grant.fields, input.item.fields)
}

# METADATA
# title: 敏感个人信息不出外网 sensitive personal data stays off the internet
# description: in the internet zone every field of grade 4 is dropped
actions[path] := "drop" if {
	input.caller.zone == "internet"
	some path, _ in input.grant.fields
	input.interface.fields[path].grade == 4
}

# METADATA
# title: 告知数源部门 tell the provider
# description: the provider hears of every call that may return a field of grade 4
obligations contains "notify-provider" if {
	some path, _ in input.grant.fields
	input.interface.fields[path].grade == 4
}
