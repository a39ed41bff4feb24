package sealgate.call_test

import data.sealgate.call

at(zone, hour, workday) := {
	"caller": {"zone": zone},
	"time": {"rfc3339": "2026-06-01T09:00:00+08:00", "hour": hour, "weekday": 1, "workday": workday},
}

test_office_hours_are_allowed if {
	call.allow with input as at("internet", 8, true)
	call.allow with input as at("internet", 17, true)
}

test_outside_office_hours_is_refused if {
	every c in [{"hour": 7, "workday": true}, {"hour": 18, "workday": true}, {"hour": 12, "workday": false}] {
		not call.allow with input as at("internet", c.hour, c.workday)
		{r.code | some r in call.reasons with input as at("internet", c.hour, c.workday)} == {"SG-AUTHZ-HOURS"}
	}
}

test_the_extranet_is_not_limited if {
	call.allow with input as at("extranet", 3, false)
}

test_an_unknown_zone_is_refused if {
	not call.allow with input as at("", 12, true)
}
