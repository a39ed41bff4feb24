package problem

const (
	fixRequestZH = "修改请求后重试；重试同一报文不会成功"
	fixRequest   = "correct the request; the same bytes will be refused again"
)

func httpEntries() []Entry {
	return []Entry{
		{"SG-HTTP-SYNTAX", 400, 0, "请求报文格式错误", "Malformed request",
			"请求行或首部不符合 RFC 9112，连接已关闭", "The request line or a header field breaks RFC 9112; the connection is closed", fixRequestZH, fixRequest},
		{"SG-HTTP-FRAMING", 400, 0, "报文长度有歧义", "Ambiguous body length",
			"Content-Length 与 Transfer-Encoding 缺失、重复、冲突或无法识别", "Content-Length and Transfer-Encoding are repeated, contradict each other or are not understood", "只发送一个 Content-Length，或只发送 Transfer-Encoding: chunked", "send exactly one Content-Length, or Transfer-Encoding: chunked alone"},
		{"SG-HTTP-TARGET", 400, 0, "请求地址不规范", "Refused request target",
			"路径含有点段、//、分号、反斜杠、编码的斜杠或控制字符，或与 Host 不一致", "The target holds dot segments, //, a semicolon, a backslash, an encoded slash, dot or control character, or contradicts Host", "按目录公布的路径原样调用", "call the path exactly as published in the catalogue"},
		{"SG-HTTP-HEADER", 400, 0, "首部不规范", "Refused header field",
			"首部含有非 ASCII 字节、下划线仿冒名、重复的 Host 或不允许的升级", "A header field holds non-ASCII bytes, an underscore twin of another name, a repeated Host or a forbidden upgrade", fixRequestZH, fixRequest},
		{"SG-HTTP-BODY", 400, 0, "请求体不完整或不允许", "Incomplete or forbidden body",
			"请求体分块错误、提前结束，或该方法不允许带请求体", "The body's chunks are malformed, it ended early, or this method takes no body", fixRequestZH, fixRequest},
		{"SG-HTTP-BODY-TOO-LARGE", 413, 0, "请求体过大", "Body too large",
			"请求体超过该接口的上限", "The body exceeds the limit of this interface", "分批提交，或向数源部门申请调整上限", "send it in parts, or ask the provider for another limit"},
		{"SG-HTTP-HEADER-TOO-LARGE", 431, 0, "首部过大", "Header too large",
			"请求行与首部之和超过上限", "Request line and header fields together exceed the limit", "减少首部或缩短地址", "send fewer header fields or a shorter target"},
		{"SG-HTTP-TIMEOUT", 408, 0, "请求接收超时", "Request took too long",
			"请求没有在时限内收完", "The request did not arrive in time", "检查网络后重试", "check the network and try again"},
		{"SG-HTTP-METHOD", 501, 0, "不支持的方法", "Method not supported",
			"网关不支持该 HTTP 方法", "The gateway does not support this HTTP method", "使用目录公布的方法", "use the method published in the catalogue"},
		{"SG-HTTP-VERSION", 400, 0, "不支持的 HTTP 版本", "HTTP version not supported",
			"只支持 HTTP/1.1，以及 TLS 上的 HTTP/2", "Only HTTP/1.1, and HTTP/2 over TLS, are spoken here", "使用 HTTP/1.1 或经 TLS 协商的 HTTP/2", "use HTTP/1.1 or HTTP/2 negotiated over TLS"},
		{"SG-HTTP-EXPECT", 400, 0, "不支持的 Expect", "Expectation not supported",
			"不支持该 Expect 值", "This Expect value is not supported", "去掉 Expect 首部", "leave the Expect header out"},
		{"SG-HTTP-MEDIA", 415, 0, "不支持的请求编码", "Request encoding not supported",
			"请求体不得压缩", "The request body must not be compressed", "以 identity 编码发送请求体", "send the body without Content-Encoding"},
		{"SG-HTTP-CONTENT-TYPE", 415, 0, "不支持的内容类型", "Content type not supported",
			"该地址不接受此 Content-Type", "This address does not take this Content-Type", "按接口文档设置 Content-Type", "set the Content-Type that the interface's documentation names"},
		{"SG-HTTP-SIGN-FORM", 400, 0, "签名首部格式错误", "Malformed signature header",
			"X-SG-* 首部缺失、重复或格式不符合 SG1", "An X-SG-* header is missing, repeated or not of the form SG1 asks for", "对照文档中的 SG1 示例检查各首部", "compare the headers with the SG1 samples of the documentation"},
		{"SG-HTTP-ELEMENTS", 400, 0, "缺少调用五要素", "Five elements missing",
			"涉及三级、四级字段的接口必须提供用途、事项编码、办件编号、机构和操作人", "An interface with fields of grade 3 or 4 requires purpose, item, case number, organisation and operator", "补齐 X-SG-Purpose、X-SG-Item、X-SG-Biz、X-SG-Org、X-SG-Operator 并重新签名", "send X-SG-Purpose, X-SG-Item, X-SG-Biz, X-SG-Org and X-SG-Operator, and sign again"},
	}
}

func authnEntries() []Entry {
	return []Entry{
		{"SG-AUTHN-MISSING", 401, 0, "未提供身份凭据", "No credentials",
			"请求没有签名，也没有已登记的客户端证书", "The request carries neither a signature nor a registered client certificate", "按 SG1 签名后调用", "sign the call as SG1 describes"},
		{"SG-AUTHN-APP", 401, 0, "系统未登记", "System not known",
			"X-SG-App 不是已登记且有效的业务系统，或签名算法未登记", "X-SG-App names no registered and active system, or none with this kind of key", "核对系统标识；新系统先向平台登记", "check the system's id; register a new system with the platform first"},
		{"SG-AUTHN-TIME", 401, 0, "请求时间超出窗口", "Outside the time window",
			"X-SG-Time 与网关时间相差超过 300 秒", "X-SG-Time differs from the gateway's clock by more than 300 seconds", "与授时服务器同步时钟后重新签名", "synchronise the clock and sign again"},
		{"SG-AUTHN-DIGEST", 401, 0, "请求体摘要不符", "Body digest does not match",
			"X-SG-Digest 不是收到的请求体的 SM3 摘要", "X-SG-Digest is not the SM3 digest of the body that arrived", "对实际发送的字节计算摘要", "compute the digest over the very bytes that are sent"},
		{"SG-AUTHN-SIGNATURE", 401, 0, "签名不正确", "Signature does not verify",
			"签名与所收到的请求不符", "The signature does not belong to the request that arrived", "比较签名原文的 14 行；检查代理是否改写了 Host 或路径", "compare the 14 signed lines; check whether a proxy rewrites Host or path"},
		{"SG-AUTHN-REPLAY", 401, 0, "请求重放", "Replayed request",
			"该随机数已经使用过", "This nonce was used before", "每次调用使用新的随机数并重新签名", "use a fresh nonce for every call and sign again"},
		{"SG-AUTHN-TOKEN", 401, 0, "访问令牌无效", "Bearer token not accepted",
			"Authorization 首部没有有效的 Bearer 令牌", "The Authorization field holds no valid bearer token", "向系统管理员申请令牌，并以 Authorization: Bearer 发送", "ask the administrator for a token and send it as Authorization: Bearer"},
		{"SG-AUTHN-SESSION", 401, 0, "会话密钥无效", "Session key not valid",
			"会话密钥不存在、已过期或已随系统撤销", "The session key does not exist, has expired or was revoked with its system", "用 SM2 签名重新申请会话密钥", "ask for a new session key with an SM2 signature"},
		{"SG-AUTHN-CERTIFICATE", 401, 0, "客户端证书无效", "Client certificate not accepted",
			"客户端证书未登记、已过期，或与 X-SG-App 不属于同一系统", "The client certificate is not registered, has expired or belongs to another system than X-SG-App", "核对登记的证书指纹", "check the registered certificate fingerprint"},
	}
}

func routeEntries() []Entry {
	return []Entry{
		{"SG-ROUTE-NOT-FOUND", 404, 0, "接口不存在", "No such interface",
			"没有向贵方公布的接口使用此地址和方法", "No interface published to you has this address and method", "在服务目录中查询接口地址", "look the interface up in the catalogue"},
	}
}

func authzEntries() []Entry {
	apply, applyZH := "apply for a grant of this interface for the service item through the platform", "通过平台为该事项申请本接口的授权"
	return []Entry{
		{"SG-AUTHZ-NO-GRANT", 403, 0, "没有授权", "No grant",
			"贵系统没有获得在该事项下调用此接口的授权", "Your system holds no grant of this interface for this service item", applyZH, apply},
		{"SG-AUTHZ-SEAL", 403, 0, "无权使用该印章", "Seal not permitted",
			"该访问令牌无权使用此印章", "This token may not use this seal", "向印章保管人申请", "ask the custodian of the seal"},
		{"SG-AUTHZ-DENIED", 403, 0, "策略不允许", "Denied by policy",
			"授权策略不允许本次调用，原因见 reasons", "The policy does not allow this call; see reasons", "按 reasons 中的建议处理", "follow the advice in reasons"},
		{"SG-AUTHZ-GRANT-STATUS", 403, 0, "授权未生效", "Grant not active",
			"授权已暂停、撤销或过期", "The grant is suspended, revoked or expired", "联系授权单位", "contact the office that granted it"},
		{"SG-AUTHZ-GRANT-TERM", 403, 0, "不在授权期限内", "Outside the term of the grant",
			"当前时间不在授权的起止时间之内", "The present time lies outside the term of the grant", "申请续期", "apply for an extension"},
		{"SG-AUTHZ-ADDRESS", 403, 0, "来源地址不允许", "Address not allowed",
			"来源地址不在登记的网段内", "The address of the caller lies outside the registered networks", "从登记的网段调用，或变更登记", "call from a registered network or have the registration changed"},
		{"SG-AUTHZ-ZONE", 403, 0, "接入区域不允许", "Zone not allowed",
			"授权不包含此接入区域（政务外网或互联网）", "The grant does not name this zone (extranet or internet)", "改从授权的区域接入", "call through a zone that the grant names"},
		{"SG-AUTHZ-ITEM", 403, 0, "事项不在授权内", "Service item not granted",
			"授权不包含该事项编码，或该事项不需要此接口", "The grant does not name this service item, or the item does not need this interface", applyZH, apply},
		{"SG-AUTHZ-PURPOSE", 403, 0, "用途不在授权内", "Purpose not granted",
			"授权不包含该用途", "The grant does not name this purpose", "使用授权中登记的用途", "use a purpose that the grant names"},
		{"SG-AUTHZ-REGION", 403, 0, "区划不在授权内", "Region not granted",
			"授权不包含调用方所在区划", "The grant does not name the caller's region", applyZH, apply},
		{"SG-AUTHZ-FIELDS", 403, 0, "字段不在授权内", "Fields not granted",
			"没有任何字段可以返回", "There is no field that may be returned", applyZH, apply},
		{"SG-AUTHZ-ORG", 403, 0, "机构与系统不符", "Organisation does not match",
			"X-SG-Org 必须是系统所属部门的统一社会信用代码", "X-SG-Org must be the USCC of the system's own department", "填写本部门的统一社会信用代码", "send your own department's USCC"},
		{"SG-AUTHZ-HOURS", 403, 0, "不在允许的时段内", "Outside the hours allowed",
			"策略不允许在此时段调用", "The policy does not allow calls at this hour", "在工作时段内调用", "call during working hours"},
		{"SG-AUTHZ-SHARE", 403, 0, "共享类型不允许", "Share class forbids it",
			"该接口的共享类型不允许本次调用", "The share class of this interface does not allow this call", applyZH, apply},
	}
}

func limitEntries() []Entry {
	return []Entry{
		{"SG-LIMIT-RATE", 429, 1, "调用过于频繁", "Too many calls",
			"每秒调用次数超过授权的限额", "The calls per second exceed the quota of the grant", "按 Retry-After 等待后重试", "wait as Retry-After says and try again"},
		{"SG-LIMIT-QUOTA", 429, 3600, "当日限额已用完", "Daily quota spent",
			"当日调用次数已达到授权的限额", "The calls of today have reached the quota of the grant", "次日再调用，或申请提高限额", "call again tomorrow or apply for a larger quota"},
		{"SG-LIMIT-CONCURRENCY", 429, 1, "并发过高", "Too many calls at once",
			"同时进行的调用超过上限", "More calls are in progress than the limit allows", "降低并发后重试", "lower the concurrency and try again"},
	}
}

func maskEntries() []Entry {
	fixZH, fix := "联系数源部门，并提供 request_id", "contact the provider and name the request_id"
	return []Entry{
		{"SG-MASK-WITHHELD", 502, 0, "应答已拦截", "Answer withheld",
			"数源应答无法按授权脱敏，未返回任何内容", "The provider's answer could not be masked as granted; nothing of it was sent", fixZH, fix},
		{"SG-MASK-SYNTAX", 502, 0, "应答格式错误", "Answer malformed",
			"数源应答不是严格合法的 JSON，未返回任何内容", "The provider's answer is not strictly valid JSON; nothing of it was sent", fixZH, fix},
		{"SG-MASK-DUPLICATE", 502, 0, "应答含重名成员", "Answer holds duplicate names",
			"数源应答中同一对象有重名成员，无法确定以哪个为准，未返回任何内容", "An object in the provider's answer has two members of one name, and readers disagree which counts; nothing of it was sent", fixZH, fix},
		{"SG-MASK-UTF8", 502, 0, "应答字符编码错误", "Answer not UTF-8",
			"数源应答不是无 BOM 的 UTF-8，未返回任何内容", "The provider's answer is not UTF-8 without a byte order mark; nothing of it was sent", fixZH, fix},
		{"SG-MASK-CONTENT-TYPE", 502, 0, "应答类型不允许", "Answer of another content type",
			"数源应答的类型或字符集与登记不符", "The provider's answer has another content type or character set than registered", fixZH, fix},
		{"SG-MASK-ENCODING", 502, 0, "应答编码不允许", "Answer encoded",
			"数源应答带有网关不解码的 Content-Encoding", "The provider's answer carries a Content-Encoding that the gateway does not decode", fixZH, fix},
		{"SG-MASK-TOO-LARGE", 502, 0, "应答过大", "Answer too large",
			"数源应答超过该接口登记的上限", "The provider's answer exceeds the registered limit of the interface", "缩小查询范围", "narrow the query"},
		{"SG-MASK-DEPTH", 502, 0, "应答嵌套过深", "Answer nested too deeply",
			"数源应答的嵌套层数超过上限", "The provider's answer is nested deeper than the limit", fixZH, fix},
		{"SG-MASK-REJECT", 502, 0, "应答含禁止返回的字段", "Answer holds a rejected field",
			"应答中出现了规定不得返回的字段，整个应答已拦截", "The answer holds a field whose presence withholds the whole answer", fixZH, fix},
		{"SG-MASK-PLAN", 502, 0, "脱敏规则无效", "Mask rules invalid",
			"该授权的脱敏规则无法编译", "The mask rules of this grant cannot be compiled", "联系平台安全管理员", "contact the platform's security officer"},
		{"SG-MASK-ACTION", 502, 0, "脱敏方式尚不支持", "Mask action not supported",
			"该授权使用了当前版本尚不支持的脱敏方式", "The grant uses a field action that this version does not support yet", "联系平台安全管理员改用其他脱敏方式", "ask the platform's security officer for another action"},
	}
}

func upstreamEntries() []Entry {
	fixZH, fix := "稍后重试；持续出现时联系数源部门并提供 request_id", "try again later; if it persists contact the provider and name the request_id"
	return []Entry{
		{"SG-UPSTREAM-UNREACHABLE", 502, 0, "数源接口无法连接", "Provider cannot be reached",
			"无法连接数源接口", "The provider's interface cannot be reached", fixZH, fix},
		{"SG-UPSTREAM-TIMEOUT", 504, 0, "数源接口超时", "Provider timed out",
			"数源接口没有在时限内应答", "The provider's interface did not answer in time", fixZH, fix},
		{"SG-UPSTREAM-STATUS", 502, 0, "数源接口返回错误", "Provider answered with an error",
			"数源接口返回了错误状态，其内容不予转发", "The provider's interface answered with an error status; its content is not passed on", fixZH, fix},
		{"SG-UPSTREAM-REDIRECT", 502, 0, "数源接口试图跳转", "Provider redirects",
			"网关不跟随跳转", "The gateway follows no redirects", fixZH, fix},
		{"SG-UPSTREAM-PROTOCOL", 502, 0, "数源应答不合规", "Provider breaks the protocol",
			"数源应答的首部或长度不合规", "The header or the length of the provider's answer breaks the protocol", fixZH, fix},
		{"SG-UPSTREAM-ABORTED", 502, 0, "数源应答中断", "Provider's answer was cut",
			"数源应答中途中断，已发送的部分不完整", "The provider's answer was cut; what was sent is not complete", fixZH, fix},
	}
}
