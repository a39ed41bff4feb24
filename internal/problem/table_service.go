package problem

func auditEntries() []Entry {
	fixZH, fix := "联系系统管理员；恢复后自动继续", "contact the administrator; service resumes by itself"
	return []Entry{
		{"SG-AUDIT-UNAVAILABLE", 503, 5, "审计不可用", "Audit unavailable",
			"审计记录无法落盘，因此未执行任何操作", "The audit record cannot be made durable, therefore nothing was done", fixZH, fix},
		{"SG-AUDIT-FULL", 503, 30, "审计空间已满", "Audit storage full",
			"审计存储空间已满，因此未执行任何操作", "The audit storage is full, therefore nothing was done", fixZH, fix},
		{"SG-AUDIT-TIMEOUT", 503, 5, "审计超时", "Audit timed out",
			"审计记录没有在时限内落盘，因此未执行任何操作", "The audit record was not durable in time, therefore nothing was done", fixZH, fix},
		{"SG-AUDIT-RECORD", 503, 0, "审计记录无效", "Audit record refused",
			"审计记录不符合格式，因此未执行任何操作", "The audit record does not fit its format, therefore nothing was done", fixZH, fix},
		{"SG-AUDIT-CORRUPT", 503, 0, "审计账本损坏", "Audit ledger damaged",
			"审计账本校验不通过", "The audit ledger does not verify", fixZH, fix},
		{"SG-AUDIT-OTHER", 503, 0, "其他拒绝", "Other refusals",
			"审计汇总中未单列的拒绝", "Refusals that the summary in the ledger does not list one by one", fixZH, fix},
		{"SG-AUDIT-CLOSED", 503, 5, "审计已关闭", "Audit closed",
			"审计账本正在关闭", "The audit ledger is closing", fixZH, fix},
	}
}

func policyEntries() []Entry {
	fixZH, fix := "联系平台安全管理员，并提供 request_id", "contact the platform's security officer and name the request_id"
	fixBundleZH, fixBundle := "取用完整的原文件，不要改动", "use the file as it was signed"
	return []Entry{
		{"SG-POLICY-NONE", 503, 30, "没有有效策略", "No valid policy",
			"没有可用的策略，一律拒绝", "There is no valid policy; everything is refused", fixZH, fix},
		{"SG-POLICY-ERROR", 503, 0, "策略求值出错", "Policy failed",
			"策略求值出错，按拒绝处理", "The policy failed while it was evaluated; that counts as a refusal", fixZH, fix},
		{"SG-POLICY-RESULT", 503, 0, "策略结果无效", "Policy result invalid",
			"策略没有给出唯一的布尔结果，按拒绝处理", "The policy gave no single boolean; that counts as a refusal", fixZH, fix},
		{"SG-POLICY-TIMEOUT", 503, 1, "策略求值超时", "Policy timed out",
			"策略求值超过时限，按拒绝处理", "The policy took longer than its budget; that counts as a refusal", fixZH, fix},
		{"SG-POLICY-ACTIONS", 503, 0, "策略的字段动作无效", "Policy's field actions invalid",
			"策略给出的字段动作放宽了授权，或指向授权以外的字段", "The policy's field actions loosen the grant or name a field outside it", fixZH, fix},
		{"SG-POLICY-OBLIGATION", 503, 0, "策略义务未知", "Policy's obligation unknown",
			"策略附加了网关不认识的义务", "The policy imposes an obligation that the gateway does not know", fixZH, fix},
		{"SG-POLICY-INVALID", 422, 0, "策略不能使用", "Policy cannot be used",
			"策略不能编译，或使用了不允许的功能", "The policy does not compile or uses what is not allowed", "用 sealgate policy check 查看原因", "see the reason with sealgate policy check"},
		{"SG-POLICY-BUNDLE-FORMAT", 422, 0, "策略包损坏或不合规", "Policy bundle malformed",
			"策略包不是规定的格式，或内容与清单不符，未启用", "The policy bundle is not of its form or does not match its manifest; it was not activated", fixBundleZH, fixBundle},
		{"SG-POLICY-BUNDLE-UNSIGNED", 422, 0, "策略包签名不全", "Policy bundle not fully signed",
			"策略包缺少发布或审批签名，未启用", "The policy bundle lacks a release or an approval; it was not activated", "由两名策略管理员分别发布和审批", "have one officer release and another approve it"},
		{"SG-POLICY-BUNDLE-SIGNATURE", 422, 0, "策略包签名无效", "Policy bundle's signature wrong",
			"策略包的签名验证不通过，未启用", "A signature of the policy bundle does not verify; it was not activated", fixBundleZH, fixBundle},
		{"SG-POLICY-BUNDLE-OFFICER", 422, 0, "策略管理员不被认可", "Policy officer not recognised",
			"签名人的证书不被信任、已过期、已吊销或与姓名不符，未启用", "An officer's certificate is not trusted, has expired, was revoked or bears another name; the bundle was not activated", "核对 gateway.policy.officers 与证书状态", "check gateway.policy.officers and the certificates"},
		{"SG-POLICY-BUNDLE-SAME-OFFICER", 422, 0, "发布与审批为同一人", "One officer signed twice",
			"发布和审批必须由两名不同的管理员签名，未启用", "Release and approval must be of two officers; the bundle was not activated", "由另一名策略管理员审批", "have another officer approve it"},
		{"SG-POLICY-BUNDLE-SEQUENCE", 422, 0, "策略包序号不连续", "Policy bundle out of sequence",
			"策略包早于或不同于已启用的版本，未启用", "The policy bundle is older than, or not the successor of, what was activated; it was not activated", "以已启用的策略包为前一版重新制作", "build it anew behind the active bundle"},
		{"SG-POLICY-BUNDLE-SELFCHECK", 422, 0, "策略自检不通过", "Policy self-check failed",
			"策略允许了必须拒绝的调用，未启用", "The policy allows what must be denied; it was not activated", "用 sealgate policy check 查看原因", "see the reason with sealgate policy check"},
	}
}

func stopEntries() []Entry {
	return []Entry{
		{"SG-STOP-EMERGENCY", 503, 0, "紧急停止", "Emergency stop",
			"该接口或系统已被紧急停止", "This interface or system was stopped in an emergency", "关注平台通告", "watch the platform's announcements"},
		{"SG-STOP-SHUTDOWN", 503, 5, "服务正在停止", "Shutting down",
			"网关正在停止，不再接受新调用", "The gateway is shutting down and takes no new calls", "稍后重试", "try again shortly"},
		{"SG-STOP-OVERLOAD", 503, 1, "服务过载", "Overloaded",
			"网关的并发已达上限", "The gateway is at its limit of concurrent work", "按 Retry-After 等待后重试", "wait as Retry-After says and try again"},
		{"SG-STOP-NOT-READY", 503, 5, "服务未就绪", "Not ready",
			"网关尚未就绪", "The gateway is not ready yet", "稍后重试", "try again shortly"},
		{"SG-STOP-NONCES", 503, 5, "防重放存储不可用", "Replay protection unavailable",
			"无法确认随机数是否使用过，因此拒绝", "Whether the nonce was used before cannot be told, therefore the call is refused", "稍后用新的随机数重试", "try again with a fresh nonce"},
		{"SG-STOP-SECRETS", 503, 5, "密钥材料不可用", "Secrets unavailable",
			"无法取得验证或脱敏所需的密钥材料，因此拒绝", "A secret that verifying or masking needs cannot be had, therefore the call is refused", "联系系统管理员", "contact the administrator"},
		{"SG-STOP-TIMESTAMP", 503, 10, "无法取得时间戳", "No timestamp",
			"必须加盖时间戳，但无法取得有效的时间戳，因此没有用印", "A timestamp is required and no valid one can be had, therefore nothing was sealed", "稍后重试，或联系系统管理员", "try again later, or contact the administrator"},
		{"SG-STOP-STATE", 503, 5, "状态存储不可用", "State store unavailable",
			"状态存储无法读写", "The state store cannot be read or written", "联系系统管理员", "contact the administrator"},
	}
}

func sealEntries() []Entry {
	return []Entry{
		{"SG-SEAL-DOCUMENT", 422, 0, "文档无法用印", "Document cannot be sealed",
			"文档不是可以安全读取的版式文件", "The document is not a fixed-layout file that can be read safely", "换用符合 GB/T 33190 的文档", "use a document that follows GB/T 33190"},
		{"SG-SEAL-LOCKED", 409, 0, "文档已锁定", "Document is locked",
			"已有签章锁定了文档，不能再加盖", "A seal that is already there locks the document", "使用未锁定的文档", "use the document before it was locked"},
		{"SG-SEAL-EXISTING-INVALID", 409, 0, "已有印章无效", "Existing seal is invalid",
			"文档中已有的印章验证不通过，不再加盖", "A seal that is already in the document does not verify; no other is added", "使用未被改动的文档", "use the unchanged document"},
		{"SG-SEAL-POSITION", 422, 0, "用印位置无效", "Seal position invalid",
			"页码不存在，或位置在页面之外", "There is no such page, or the position lies outside it", "核对页码和坐标（毫米）", "check page number and coordinates in millimetres"},
		{"SG-SEAL-UNKNOWN", 422, 0, "没有该印章", "No such seal",
			"没有可用的该名称印章", "There is no usable seal of that name", "用 sealgate seals list 查询", "see sealgate seals list"},
		{"SG-SEAL-INACTIVE", 409, 0, "印章不可用", "Seal not active",
			"印章已停用、注销或过期", "The seal is suspended, cancelled or expired", "使用有效的印章", "use an active seal"},
		{"SG-SEAL-APPROVAL", 409, 0, "用印审批无效", "Approval not valid",
			"没有与该文档、印章和位置一致的有效审批，或审批已使用", "There is no live approval of this document, seal and position, or it was used", "重新申请用印审批", "apply for a new approval"},
		{"SG-SEAL-IDEMPOTENCY", 409, 0, "幂等标识冲突", "Idempotency key reused",
			"同一幂等标识用于不同的请求", "The same idempotency key came with another request", "为新的请求使用新的幂等标识", "use a new key for a new request"},
		{"SG-SEAL-SIGNER", 409, 0, "签章人证书不可用", "Signer's certificate not usable",
			"签章人证书无效，或印章未列入该证书", "The signer's certificate is not valid, or the seal does not list it", "由印章保管人更新签章人证书或重新制章", "the custodian renews the signer's certificate or has the seal made anew"},
		{"SG-SEAL-KEY", 409, 0, "签名密钥不符", "Signing key does not match",
			"签名密钥与签章人证书不对应", "The key that signed does not belong to the signer's certificate", "联系系统管理员核对密钥与证书", "the administrator compares key and certificate"},
		{"SG-SEAL-BUSY", 409, 2, "用印正在进行", "Sealing in progress",
			"同一幂等标识的用印尚未完成", "The sealing with this idempotency key has not ended yet", "按 Retry-After 等待后以同一标识重试", "wait as Retry-After says and try again with the same key"},
		{"SG-SEAL-SELFCHECK", 409, 0, "用印自检不通过", "Self-check failed",
			"成品没有通过自检验证，未输出任何文件", "The result did not verify; no file was written", "联系系统管理员并提供 request_id", "contact the administrator and name the request_id"},
		{"SG-SEAL-REQUEST", 422, 0, "用印请求无效", "Seal request invalid",
			"用印请求的参数不完整或不合法", "The parameters of the seal request are incomplete or not valid", fixRequestZH, fixRequest},
		{"SG-SEAL-TOO-LARGE", 422, 0, "文档过大", "Document too large",
			"文档超过上限", "The document exceeds the limit", "缩小文档", "make the document smaller"},
	}
}

func keyEntries() []Entry {
	fixZH, fix := "联系系统管理员", "contact the administrator"
	return []Entry{
		{"SG-KEY-UNAVAILABLE", 503, 10, "密钥服务不可用", "Key service unavailable",
			"密钥服务无法应答，未签名", "The key service does not answer; nothing was signed", fixZH, fix},
		{"SG-KEY-SEALED", 503, 10, "密钥服务已封存", "Key service sealed",
			"密钥服务处于封存或未初始化状态，未签名", "The key service is sealed or not initialised; nothing was signed", "由保管人解封密钥服务", "have its custodians unseal the key service"},
		{"SG-KEY-FORBIDDEN", 503, 0, "密钥服务拒绝本机", "Key service refused us",
			"密钥服务不允许本机执行此操作", "The key service does not allow this machine to do this", "核对本机在密钥服务中的角色和策略", "check this machine's role and policy at the key service"},
		{"SG-KEY-LIMITED", 503, 1, "密钥服务繁忙", "Key service busy",
			"密钥服务暂不接受更多请求，未签名", "The key service takes no more requests for now; nothing was signed", "按 Retry-After 稍后重试", "try again after Retry-After"},
		{"SG-KEY-OUTCOME", 503, 1, "密钥服务结果未知", "Outcome at the key service unknown",
			"请求已发出但没有收到应答，可能已执行", "The request was sent and no answer came; it may have been carried out", "用同一幂等标识重试", "repeat it under the same idempotency id"},
		{"SG-KEY-LOCKED", 503, 0, "密钥库未解锁", "Key store locked",
			"密钥库尚未解锁", "The key store is not unlocked", fixZH, fix},
		{"SG-KEY-NOT-FOUND", 503, 0, "密钥不存在", "No such key",
			"没有该名称或版本的密钥", "There is no key of that name or version", fixZH, fix},
		{"SG-KEY-EXISTS", 503, 0, "密钥已存在", "Key exists",
			"该名称的密钥已存在", "A key of that name exists", "换用其他名称", "use another name"},
		{"SG-KEY-DISABLED", 503, 0, "密钥已停用", "Key disabled",
			"密钥已停用或销毁", "The key is disabled or destroyed", fixZH, fix},
		{"SG-KEY-PURPOSE", 503, 0, "密钥用途不符", "Key of another purpose",
			"该密钥的用途不允许签署此类结构", "The key's purpose does not allow this kind of structure", fixZH, fix},
		{"SG-KEY-TYPE", 503, 0, "不签署此类结构", "Type not signed here",
			"密钥服务不签署此类结构", "The key service does not sign structures of this type", fixZH, fix},
		{"SG-KEY-ITEM", 503, 0, "待签结构无效", "Structure refused",
			"密钥服务拒绝签署不符合规范的结构", "The key service refuses to sign what is not a well-formed structure of its type", fixZH, fix},
		{"SG-KEY-FOREIGN-SEAL", 503, 0, "印章与密钥不符", "Seal of another key",
			"印章中没有此密钥的证书", "The seal does not name this key's certificate", "使用与印章对应的密钥", "use the key that belongs to the seal"},
		{"SG-KEY-CLOCK", 503, 0, "时间超出允许范围", "Time outside the window",
			"待签结构中的时间与密钥服务的时钟不符", "The time inside the structure differs from the key service's clock", "与授时服务器同步时钟", "synchronise the clocks"},
		{"SG-KEY-VERSION", 503, 0, "密钥版本不是现用版本", "Key version not live",
			"指定的密钥版本不是现用版本", "The key version named is not the live one", "使用现用版本", "use the live version"},
		{"SG-KEY-WAIT", 503, 0, "密钥尚不能销毁", "Key may not be destroyed yet",
			"密钥停用后的等待期尚未结束", "The waiting time after the key was disabled is not over", "等待期结束后重试", "try again when it is over"},
		{"SG-KEY-BATCH", 503, 0, "批量数量无效", "Batch size refused",
			"一批应包含 1 至 256 个请求", "A batch holds 1 to 256 requests", "调整批量大小", "change the size of the batch"},
		{"SG-KEY-ANSWERS-FULL", 503, 60, "待保留的应答过多", "Too many answers kept",
			"密钥服务记住的请求标识已达上限", "The key service remembers as many request ids as it can", "稍后重试", "try again later"},
		{"SG-KEY-FAULT", 503, 0, "签名自检不通过", "Signature did not verify",
			"生成的签名没有通过自检，已扣留", "A signature that was made did not verify and was withheld", "立即联系系统管理员，停用此设备", "call the administrator at once and take the machine out of service"},
		{"SG-KEY-CERTIFICATE", 503, 0, "密钥证书无效", "Key's certificate not valid",
			"密钥没有证书，或证书不匹配、已过期", "The key has no certificate, or one that does not match or has expired", fixZH, fix},
		{"SG-KEY-IDEMPOTENCY", 503, 0, "幂等标识冲突", "Idempotency id reused",
			"同一标识用于不同的待签内容", "The same id came with other content", fixZH, fix},
		{"SG-KEY-STORE", 503, 0, "密钥库损坏或不可写", "Key store damaged or not writable",
			"密钥库无法读写或校验不通过", "The key store cannot be read or written, or does not verify", fixZH, fix},
		{"SG-KEY-CERT-EXPIRED", 503, 0, "密钥证书已过期", "Key's certificate expired",
			"密钥的证书现在不在有效期内", "The key's certificate is not valid now", "更换证书", "renew the certificate"},
		{"SG-KEY-NAME", 503, 0, "密钥名称无效", "Key name refused",
			"密钥名称只能用小写字母、数字和短横线，至多 63 个字符", "A key name has lower-case letters, digits and dashes, at most 63", "换用合规的名称", "choose another name"},
		{"SG-KEY-PASSPHRASE", 503, 0, "口令不正确", "Wrong passphrase",
			"口令打不开密钥库", "The passphrase does not open the key store", "核对口令文件", "check the passphrase file"},
		{"SG-KEY-PASSPHRASE-FORM", 503, 0, "口令不合规", "Passphrase refused",
			"口令应为 12 至 1024 字节，不含 NUL 和换行", "A passphrase has 12 to 1024 bytes, no NUL and no line break", "换用合规的口令", "choose another passphrase"},
		{"SG-KEY-BUSY", 503, 0, "密钥库被占用", "Key store in use",
			"另一个进程正在使用密钥库", "Another process uses the key store", "先停止另一个进程", "stop the other process first"},
		{"SG-KEY-ACCESS", 503, 0, "密钥文件权限不安全", "Key files open to others",
			"密钥文件或目录可被他人访问，或是链接", "A key file or folder is open to others, or is a link", "收紧权限：目录 0700，文件 0600", "tighten the modes: folders 0700, files 0600"},
		{"SG-KEY-SECRET", 503, 0, "没有该密钥材料", "No such secret",
			"没有该名称的对称密钥", "There is no secret of that name", fixZH, fix},
		{"SG-KEY-REQUEST", 503, 0, "密钥请求无效", "Key request invalid",
			"密钥名称、用途或参数不合法", "The key's name, purpose or parameters are not valid", fixZH, fix},
	}
}

func configEntries() []Entry {
	return []Entry{
		{"SG-CONFIG-INVALID", 422, 0, "配置无效", "Configuration invalid",
			"配置或导入文件有误，未作任何改变", "The configuration or imported file is not valid; nothing was changed", "用 sealgate config check 查看行号", "see the line with sealgate config check"},
	}
}

func internalEntries() []Entry {
	return []Entry{
		{Internal, 500, 0, "内部错误", "Internal error",
			"发生内部错误，按拒绝处理；详情见系统日志", "An internal error occurred and counts as a refusal; the log has the details", "联系系统管理员并提供 request_id", "contact the administrator and name the request_id"},
	}
}
