# Example of a per-call stage: calls from the internet zone only in office hours.
# Not active; put it beside the shipped rules to use it. When no policy has this
# package, the stage allows.
#
# The per-call stage sees what changes from call to call (input.time, input.ip,
# input.biz, input.org, input.operator, input.params, input.counters). Its
# answer is never cached, so keep it short.
package sealgate.call

default allow := false

# METADATA
# title: 工作时间 office hours
# description: internet callers on working days from 08:00 to 18:00, Asia/Shanghai
allow if {
	input.caller.zone == "internet"
	input.time.workday
	input.time.hour >= 8
	input.time.hour < 18
}

allow if input.caller.zone == "extranet"

reasons contains {
	"code": "SG-AUTHZ-HOURS",
	"zh": "互联网区的调用仅限工作日 8 时至 18 时",
	"en": "calls from the internet zone are limited to working days, 08:00 to 18:00",
	"fix_zh": "请在工作时间内重试，或从政务外网调用",
	"fix_en": "try again in office hours, or call from the government extranet",
} if {
	input.caller.zone == "internet"
}
