# Why a call was refused and what the department can do about it. Asked only
# after a deny, so clarity counts here, not speed. One rule for each condition
# of allow; a condition without a reason leaves the caller with the general one.
package sealgate.authz

reasons contains {
	"code": "SG-AUTHZ-GRANT-STATUS",
	"zh": sprintf("授权 %s 当前不是生效状态", [input.grant.id]),
	"en": sprintf("grant %s is not active", [input.grant.id]),
	"fix_zh": "请与大数据主管部门联系恢复授权，或重新申请",
	"fix_en": "ask the data bureau to restore the grant, or apply again",
} if {
	input.grant.status != "active"
}

reasons contains {
	"code": "SG-AUTHZ-DENIED",
	"zh": sprintf("接口 %s 当前未发布", [input.interface.id]),
	"en": sprintf("interface %s is not published", [input.interface.id]),
	"fix_zh": "请等待数源部门恢复发布",
	"fix_en": "wait until the providing department publishes it again",
} if {
	input.interface.status != "published"
}

reasons contains {
	"code": "SG-AUTHZ-SHARE",
	"zh": sprintf("接口 %s 的共享类型不允许共享", [input.interface.id]),
	"en": sprintf("the share class of interface %s does not allow sharing", [input.interface.id]),
	"fix_zh": "非共享数据须有法律、法规依据，请与数源部门协商",
	"fix_en": "data of class \"none\" needs a basis in law; talk to the providing department",
} if {
	not input.interface.share in {"unconditional", "authorised"}
}

reasons contains {
	"code": "SG-AUTHZ-ZONE",
	"zh": sprintf("授权 %s 不包含网络区域“%s”", [input.grant.id, input.caller.zone]),
	"en": sprintf("grant %s does not name the zone %q", [input.grant.id, input.caller.zone]),
	"fix_zh": "请从授权所列的网络区域调用，或申请增加区域",
	"fix_en": "call from a zone that the grant names, or apply for this one",
} if {
	not input.caller.zone in input.grant.zones
}

reasons contains {
	"code": "SG-AUTHZ-PURPOSE",
	"zh": sprintf("所填用途不在授权 %s 之内", [input.grant.id]), # what was sent is not repeated: it can be anything
	"en": sprintf("the purpose that was sent is not one of those that grant %s was given for", [input.grant.id]),
	"fix_zh": "请在 X-SG-Purpose 中填写授权所列的用途，或为新用途另行申请",
	"fix_en": "send a purpose of the grant in X-SG-Purpose, or apply for the new purpose",
} if {
	not input.purpose in input.grant.purposes
}

reasons contains {
	"code": "SG-AUTHZ-ITEM",
	"zh": sprintf("政务服务事项“%s”不在授权 %s 之内", [item_code, input.grant.id]),
	"en": sprintf("service item %q is not one of those that grant %s was given for", [item_code, input.grant.id]),
	"fix_zh": "请在 X-SG-Item 中填写授权所列的事项编码，或为该事项另行申请",
	"fix_en": "send an item code of the grant in X-SG-Item, or apply for this item",
} if {
	item_code := concat("", [code | code := input.item.code])
	not item_code in input.grant.items
}

reasons contains {
	"code": "SG-AUTHZ-REGION",
	"zh": sprintf("授权 %s 不覆盖行政区划 %s", [input.grant.id, input.caller.region]),
	"en": sprintf("grant %s does not cover region %s", [input.grant.id, input.caller.region]),
	"fix_zh": "请由授权覆盖地区的部门调用，或申请扩大区域范围",
	"fix_en": "call from a department of a covered region, or apply for a wider one",
} if {
	every region in input.grant.regions {
		not covers(region, input.caller.region)
	}
}
