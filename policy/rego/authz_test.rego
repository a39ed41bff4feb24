package sealgate.authz_test

import data.sealgate.authz

item := "11220000013544541J3000117002011"

# A call that every condition allows; tests change one thing of it.
good := {
	"caller": {
		"system": "rs-benefit", "department": "rs", "uscc": "11220000013544541J", "region": "220000",
		"level": "province", "zone": "extranet", "auth": "sm2", "cert_serial": "",
	},
	"interface": {
		"id": "pop.person.query", "provider": "ga", "base": "population", "share": "authorised",
		"method": "GET", "status": "published",
		"fields": {
			"code": {"grade": 1, "kind": ""},
			"data.name": {"grade": 3, "kind": "name"},
			"data.health": {"grade": 4, "kind": "diagnosis"},
		},
	},
	"grant": {
		"id": "g1", "items": [item], "purposes": ["失业保险金审核"],
		"fields": {"code": "show", "data.name": "mask", "data.health": "mask"},
		"zones": ["extranet", "internet"], "regions": ["220000"], "cidrs": [],
		"not_before": "2026-01-01", "not_after": "2027-12-31", "status": "active", "quota": {},
	},
	"item": {"code": item, "fields": ["code", "data.name", "data.health"]},
	"scenario": null,
	"purpose": "失业保险金审核",
}

changed(path, value) := json.patch(good, [{"op": "replace", "path": path, "value": value}])

codes(call) := {r.code | some r in authz.reasons with input as call}

test_a_call_within_its_grant_is_allowed if {
	authz.allow with input as good
	authz.actions == {} with input as good
	authz.obligations == {"notify-provider"} with input as good
	authz.reasons == set() with input as good
}

test_the_default_denies if {
	not authz.allow with input as {}
}

test_unconditional_sharing_still_needs_the_grant if {
	authz.allow with input as changed("/interface/share", "unconditional")
	not authz.allow with input as changed("/grant", null)
}

test_share_class_none_is_refused if {
	call := changed("/interface/share", "none")
	not authz.allow with input as call
	codes(call) == {"SG-AUTHZ-SHARE"}
}

test_an_interface_that_is_not_published_is_refused if {
	every status in ["suspended", "withdrawn", ""] {
		call := changed("/interface/status", status)
		not authz.allow with input as call
		codes(call) == {"SG-AUTHZ-DENIED"}
	}
}

test_a_grant_that_is_not_active_is_refused if {
	every status in ["suspended", "revoked", "expired", ""] {
		call := changed("/grant/status", status)
		not authz.allow with input as call
		codes(call) == {"SG-AUTHZ-GRANT-STATUS"}
	}
}

test_a_zone_that_the_grant_does_not_name_is_refused if {
	call := changed("/grant/zones", ["internet"])
	not authz.allow with input as call
	codes(call) == {"SG-AUTHZ-ZONE"}
}

test_another_purpose_is_refused if {
	every purpose in ["贷款营销", "", "失业保险金"] {
		call := changed("/purpose", purpose)
		not authz.allow with input as call
		codes(call) == {"SG-AUTHZ-PURPOSE"}
	}
}

test_another_item_is_refused if {
	call := changed("/item/code", "11220000013544541J3000117002012")
	not authz.allow with input as call
	codes(call) == {"SG-AUTHZ-ITEM"}
}

test_no_item_is_refused_unless_the_grant_covers_calls_without_one if {
	call := changed("/item", null)
	not authz.allow with input as call
	codes(call) == {"SG-AUTHZ-ITEM"}
	authz.allow with input as json.patch(call, [{"op": "replace", "path": "/grant/items", "value": [""]}])
}

test_a_grant_covers_the_regions_below_its_own if {
	every c in [
		{"caller": "220000", "grant": "220000"},
		{"caller": "220100", "grant": "220000"},
		{"caller": "220102", "grant": "220100"},
		{"caller": "220102001", "grant": "220102"},
		{"caller": "220102001003", "grant": "220102001"},
		{"caller": "220102001003", "grant": "220000"},
		{"caller": "110000", "grant": "000000"},
	] {
		authz.allow with input as json.patch(good, [
			{"op": "replace", "path": "/caller/region", "value": c.caller},
			{"op": "replace", "path": "/grant/regions", "value": ["999999", c.grant]},
		])
	}
}

test_a_grant_does_not_cover_regions_beside_or_above_its_own if {
	every c in [
		{"caller": "220000", "grant": "220100"},
		{"caller": "220200", "grant": "220100"},
		{"caller": "210000", "grant": "220000"},
		{"caller": "220102", "grant": "220102001"},
		{"caller": "220102002", "grant": "220102001"},
		{"caller": "", "grant": "220000"},
	] {
		call := json.patch(good, [
			{"op": "replace", "path": "/caller/region", "value": c.caller},
			{"op": "replace", "path": "/grant/regions", "value": [c.grant]},
		])
		not authz.allow with input as call
		codes(call) == {"SG-AUTHZ-REGION"}
	}
}

test_a_grant_without_regions_covers_none if {
	not authz.allow with input as changed("/grant/regions", [])
	codes(changed("/grant/regions", [])) == {"SG-AUTHZ-REGION"}
}

test_fields_that_the_item_does_not_need_are_dropped if {
	authz.actions == {"data.name": "drop", "data.health": "drop"} with input as changed("/item/fields", ["code"])
}

test_every_field_is_dropped_when_the_item_needs_nothing if {
	authz.actions == {"code": "drop", "data.name": "drop", "data.health": "drop"} with input as changed("/item/fields", [])
}

test_fields_of_grade_4_are_dropped_in_the_internet_zone if {
	authz.actions == {"data.health": "drop"} with input as changed("/caller/zone", "internet")
}

test_a_field_that_is_dropped_for_two_reasons_is_dropped if {
	call := json.patch(good, [
		{"op": "replace", "path": "/caller/zone", "value": "internet"},
		{"op": "replace", "path": "/item/fields", "value": ["code", "data.name"]},
	])
	authz.actions == {"data.health": "drop"} with input as call
}

test_the_provider_is_not_told_of_calls_without_grade_4 if {
	authz.obligations == set() with input as changed("/grant/fields", {"code": "show", "data.name": "mask"})
}

test_every_reason_says_what_to_do if {
	call := json.patch(good, [
		{"op": "replace", "path": "/grant/status", "value": "revoked"},
		{"op": "replace", "path": "/interface/status", "value": "withdrawn"},
		{"op": "replace", "path": "/interface/share", "value": "none"},
		{"op": "replace", "path": "/grant/zones", "value": []},
		{"op": "replace", "path": "/purpose", "value": "x"},
		{"op": "replace", "path": "/item", "value": null},
		{"op": "replace", "path": "/grant/regions", "value": []},
	])
	all := authz.reasons with input as call
	count(all) == 7
	every r in all {
		object.keys(r) == {"code", "zh", "en", "fix_zh", "fix_en"}
		every text in r {
			text != ""
		}
	}
}
