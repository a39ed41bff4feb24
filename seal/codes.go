package seal

import (
	"slices"
	"strings"
)

// CodeInfo describes one code of a verification report. Codes are stable;
// texts may be improved.
type CodeInfo struct {
	Code string
	Step int    // of the verification procedure, 1 to 25
	ZH   string // what it means, for a clerk
	EN   string
}

// CodeOK is the code of a step without problem.
const CodeOK = "OK"

// Codes that this package reports of itself; those of form come from seal/ofd
// and seal/ses.
const (
	codeStructSES       = "E_SES_STRUCT"
	codeStructCMS       = "E_CMS_STRUCT"
	codeAlgorithm       = "E_ALG"
	codeCertFormat      = "E_CERT_FORMAT"
	codeCertForm        = "W_CERT_FORM"
	codeDataHash        = "E_DATAHASH"
	codePropertyPath    = "W_PROPERTY_PATH"
	codeSigValue        = "E_SIG_VALUE"
	codeRawSigValue     = "W_RAW_SIGVALUE"
	codeSignerNotInSeal = "E_SIGNER_NOT_IN_SEAL"
	codeSignerList      = "I_SIGNER_LIST"
	codeSealSig         = "E_SEAL_SIG"
	codeSealMismatch    = "E_SEAL_MISMATCH"
	codeSealImage       = "I_SEAL_IMAGE"
	codeSignatureGap    = "W_SIGNATURE_GAP"
	codeMakerExpiredNow = "W_MAKER_EXPIRED"
	codeSealNotYet      = "E_SEAL_NOT_YET"
	codeSealExpired     = "E_SEAL_EXPIRED"
	codeSealStatus      = "I_SEAL_STATUS_UNKNOWN"
	codeSealRevoked     = "E_SEAL_REVOKED"
	codeMakerRevoked    = "E_MAKER_REVOKED"
	codeRevocation      = "I_REVOCATION_UNKNOWN"
	codeNoTimestamp     = "W_TS_ABSENT"
	codeTimestamp       = "I_TS_UNVERIFIED"
	codeTSFormat        = "E_TS_FORMAT"
	codeTSImprint       = "E_TS_IMPRINT"
	codeTSSig           = "E_TS_SIG"
	codeTSUsage         = "E_TS_CERT_USAGE"
	codeTSUntrusted     = "E_TS_UNTRUSTED"
	codeTSExpired       = "E_TS_EXPIRED"
	codeTSOrder         = "E_TS_ORDER"
	codeTimeFuture      = "E_TIME_FUTURE"
	codeTimeClaimed     = "W_TIME_CLAIMED"
	codeTimeNone        = "W_TIME_NONE"
	codeBaseSig         = "E_BASE_SIG"
	codeFormat          = "I_FORMAT_UNSUPPORTED"
	codeInterrupted     = "I_INTERRUPTED"
)

// codeTable lists every code by step. It is never changed.
var codeTable = [...]CodeInfo{
	{"E_ZIP_FORMAT", 1, "文件不是可以唯一解读的 OFD 压缩包", "not a package that can be read in one way only"},
	{"E_ZIP_LIMIT", 1, "文件超出允许的大小、数量或压缩比", "larger, deeper or denser than the limits"},
	{"I_FORMAT_UNSUPPORTED", 1, "暂不支持验证这种格式的文件", "files of this format cannot be verified"},
	{"I_INTERRUPTED", 1, "验证被中断，未完成", "the verification was interrupted"},
	{"E_ZIP_DUPLICATE", 2, "包内有两个会被当作同一文件的条目", "two entries that some reader takes for the same file"},
	{"E_ZIP_PATH", 2, "包内条目的名称不安全", "an entry with an unsafe name"},
	{"E_ZIP_MISMATCH", 2, "包内条目的头信息互相矛盾", "headers, layout or sizes contradict each other"},
	{"E_ZIP_CRC", 2, "包内条目的内容已损坏", "the stored content is damaged"},
	{"W_ZIP_PREFIX", 2, "第一个条目之前有多余的字节", "bytes before the first entry"},
	{"E_XML_FORMAT", 3, "XML 不规范或可有多种解读", "not strict UTF-8 XML, or ambiguous"},
	{"E_XML_DTD", 3, "XML 含有禁止使用的文档类型声明", "a document type declaration, which is forbidden"},
	{"S_UNSIGNED", 4, "文件没有签章", "the file carries no signature"},
	{"E_SIGLIST_MISSING", 4, "签名列表文件不存在", "the list of signatures is missing"},
	{"E_SIG_UNLISTED", 4, "包内有未列入签名列表的签章，可能已被移除", "the package holds a signature that no list names; it may have been taken out"},
	{"E_SIG_MISSING", 5, "签名描述文件不存在", "the description of a signature is missing"},
	{"E_SIG_FORMAT", 5, "签名描述文件不符合规范", "the description of a signature is malformed"},
	{"E_SIG_DUP_ID", 5, "签名标识缺失或重复", "a signature has no identifier, or one used twice"},
	{"E_WEAK_DIGEST", 6, "使用了已不安全的摘要算法", "a broken digest algorithm"},
	{"E_DIGEST_ALG", 6, "摘要算法不是 SM3", "the digest algorithm is not SM3"},
	{"E_REF_MISSING", 7, "受保护的文件不存在", "a protected file is missing"},
	{"E_REF_DUPLICATE", 7, "同一文件被引用两次", "a file is referenced twice"},
	{"E_REF_DIGEST", 7, "受保护的文件在签章后被修改", "a protected file was changed after signing"},
	{"E_UNCOVERED", 8, "会影响显示的文件未受任何签章保护", "a file that can change what is shown is protected by no signature"},
	{"W_UNCOVERED", 8, "包内有未受任何签章保护的文件", "a file is protected by no signature"},
	{"W_SIGNATURE_GAP", 8, "该签章未保护此文件，仅由其他签章保护，可能在该签章之后被修改", "this signature does not protect the file, only another one does: it may have been changed since"},
	{"E_SV_MISSING", 9, "签名值文件不存在", "the signature value is missing"},
	{"E_SES_STRUCT", 9, "签章数据不符合 GB/T 38540 或 GM/T 0031", "not a signature of GB/T 38540 or GM/T 0031"},
	{"E_CMS_STRUCT", 9, "签名数据不符合 GB/T 35275", "not a signature of GB/T 35275"},
	{"W_SES_NONCANONICAL", 9, "签章数据含有非规范编码", "an encoding that DER forbids"},
	{"W_SES_VERSION", 9, "版本号与数据结构不一致", "version number and structure disagree"},
	{"W_SES_TIME", 9, "时间的写法不符合标准", "a time is not written as the standard says"},
	{"W_SES_CERTLIST", 9, "印章的签章人列表含有无法识别的条目", "the seal's list of signers has an entry of no known form"},
	{"W_SES_EXTENSION", 9, "印章含有未知的关键扩展项", "the seal has an unknown critical extension"},
	{"W_EXT_CRITICAL", 9, "签章含有未知的关键扩展项", "the signature has an unknown critical extension"},
	{"E_ALG", 10, "签名算法不是 SM2/SM3", "the signature algorithm is not SM2 with SM3"},
	{"E_CERT_FORMAT", 10, "证书中读不出 SM2 公钥", "no SM2 key can be read from a certificate"},
	{"W_CERT_FORM", 10, "证书编码不规范", "a certificate is malformed outside its key and dates"},
	{"E_DATAHASH", 11, "签章与签名描述文件不对应", "the signature belongs to another description"},
	{"W_PROPERTY_PATH", 12, "签章记载的路径与实际位置不一致", "the signature names another place in the package"},
	{"E_SIG_VALUE", 13, "签名值验证不通过", "the signature value does not verify"},
	{"W_RAW_SIGVALUE", 13, "签名值未按标准编码", "the signature value is not encoded as the standard says"},
	{"E_SIGNER_NOT_IN_SEAL", 14, "签章人无权使用该印章", "the signer may not use this seal"},
	{"I_SIGNER_LIST", 14, "无法判定签章人是否有权使用该印章", "whether the signer may use this seal cannot be told"},
	{"E_SEAL_SIG", 15, "印章本身的签名验证不通过", "the seal maker's signature does not verify"},
	{"E_SEAL_MISMATCH", 16, "包内印章文件与签章中的印章不一致", "the seal file differs from the seal that was signed"},
	{"I_SEAL_IMAGE", 16, "签名描述另指定了印章图片，与制章人签名的图片不一致", "another picture is shown than the one that the seal's maker signed"},
	{"E_MAKER_UNTRUSTED", 17, "制章人证书不可信任", "the seal maker's certificate is not trusted"},
	{"E_MAKER_EXPIRED", 17, "制作印章时制章人证书不在有效期内", "the seal maker's certificate was not valid when the seal was made"},
	{"W_MAKER_EXPIRED", 17, "签章时制章人证书已过期", "the seal maker's certificate had ended when the document was sealed"},
	{"E_MAKER_REVOKED", 17, "制章人证书已被吊销", "the seal maker's certificate was revoked"},
	{"E_MAKER_USAGE", 17, "制章人证书不得用于签名", "the seal maker's certificate may not sign"},
	{"E_SEAL_NOT_YET", 18, "签章时印章尚未生效", "the seal was not yet valid"},
	{"E_SEAL_EXPIRED", 18, "签章时印章已过期", "the seal had expired"},
	{"E_SEAL_REVOKED", 19, "签章时印章已被停用或撤销", "the seal was suspended or cancelled"},
	{"I_SEAL_STATUS_UNKNOWN", 19, "未查询印章是否被撤销", "whether the seal was revoked is not known"},
	{"E_SIGNER_UNTRUSTED", 20, "签章人证书不可信任", "the signer's certificate is not trusted"},
	{"E_SIGNER_EXPIRED", 20, "签章时签章人证书已过期", "the signer's certificate had expired"},
	{"E_SIGNER_NOT_YET", 20, "签章时签章人证书尚未生效", "the signer's certificate was not yet valid"},
	{"E_SIGNER_REVOKED", 20, "签章人证书已被吊销", "the signer's certificate was revoked"},
	{"E_SIGNER_USAGE", 20, "签章人证书不得用于签名", "the signer's certificate may not sign"},
	{"I_REVOCATION_UNKNOWN", 20, "未查询证书是否被吊销", "whether the certificate was revoked is not known"},
	{"W_TS_ABSENT", 21, "没有时间戳", "there is no timestamp"},
	{"E_TS_FORMAT", 21, "时间戳格式不正确", "the timestamp is malformed"},
	{"E_TS_IMPRINT", 21, "时间戳不属于该签名值", "the timestamp belongs to something else"},
	{"E_TS_SIG", 21, "时间戳的签名验证不通过", "the timestamp's signature does not verify"},
	{"E_TS_CERT_USAGE", 21, "时间戳证书不得用于签发时间戳", "the timestamp's certificate may not sign timestamps"},
	{"E_TS_UNTRUSTED", 21, "时间戳机构不可信任", "the timestamp authority is not trusted"},
	{"E_TS_EXPIRED", 21, "签发时间戳时证书不在有效期内", "the timestamp authority's certificate was not valid"},
	{"E_TS_ORDER", 21, "时间戳与声明的签章时间矛盾", "the timestamp contradicts the signing time"},
	{"I_TS_UNVERIFIED", 21, "时间戳未经验证", "the timestamp was not verified"},
	{"E_TIME_FUTURE", 22, "签章时间在未来", "the signing time lies in the future"},
	{"W_TIME_CLAIMED", 22, "签章时间由签章人自行声明", "the signing time is only claimed by the signer"},
	{"W_TIME_NONE", 22, "没有签章时间，按当前时间判定", "there is no signing time; judged as of now"},
	{"W_STAMP_PAGE", 23, "印章没有显示在存在的页面上", "the seal is not shown on an existing page"},
	{"W_STAMP_OFFPAGE", 23, "印章显示在页面之外", "the seal lies off the page"},
	{"E_BASE_SIG", 24, "所依据的签名不存在或无效", "the signature it builds on is missing or invalid"},
	{"E_POST_LOCK_CHANGE", 25, "文件锁定后又被添加签章", "a signature was added after the file was locked"},
	{"W_CHAIN_GAP", 25, "后一签章未保护前一签章的文件", "a later signature does not protect an earlier one"},
}

// stepTexts says what holds when a step has no problem; index is the step.
var stepTexts = [...]struct{ zh, en string }{
	1:  {"文件可以打开，未超出限制", "the file opens within the limits"},
	2:  {"包内条目唯一、完整", "entries are unique and intact"},
	3:  {"XML 规范", "the XML is strict"},
	4:  {"签名列表齐全", "the lists of signatures are there"},
	5:  {"签名描述文件规范", "the signature's description is well-formed"},
	6:  {"摘要算法为 SM3", "the digest algorithm is SM3"},
	7:  {"受保护的文件均未被修改", "no protected file was changed"},
	8:  {"所有文件都受签章保护", "every file is protected"},
	9:  {"签章数据符合标准", "the signature data follow the standard"},
	10: {"签名算法为 SM2/SM3", "the algorithms are SM2 and SM3"},
	11: {"签章与签名描述文件对应", "the signature belongs to its description"},
	12: {"签章记载的路径正确", "the signature names its own place"},
	13: {"签名值验证通过", "the signature value verifies"},
	14: {"签章人有权使用该印章", "the signer may use this seal"},
	15: {"印章由制章人签名，未被修改", "the seal is as its maker signed it"},
	16: {"包内印章文件一致", "the seal file is the seal that was signed"},
	17: {"制章人证书可信任", "the seal maker's certificate is trusted"},
	18: {"签章时印章在有效期内", "the seal was valid"},
	19: {"印章未被撤销", "the seal was not revoked"},
	20: {"签章人证书可信任", "the signer's certificate is trusted"},
	21: {"时间戳有效", "the timestamp is valid"},
	22: {"签章时间合理", "the signing time is plausible"},
	23: {"印章显示在页面上", "the seal is shown on its pages"},
	24: {"所依据的签名有效", "the signature it builds on is valid"},
	25: {"各签章前后衔接", "the signatures follow each other properly"},
}

// Codes returns every code that a report can carry, by step.
func Codes() []CodeInfo { return slices.Clone(codeTable[:]) }

// describe returns the description of a code; an unknown code describes itself.
func describe(code string) CodeInfo {
	for i := range codeTable {
		if codeTable[i].Code == code {
			return codeTable[i]
		}
	}
	return CodeInfo{Code: code, ZH: code, EN: code}
}

// outcomeOf returns the outcome that a code means. E_ and S_ fail, W_ warns, I_
// leaves open. What no signature protects, and a signature that no list names,
// leave the verdict open; revocation and seal status only warn here, for this is
// asked while no source is configured. strict turns into failures what a careful
// archive does not take.
func outcomeOf(code string, strict bool) Outcome {
	switch code {
	case "E_UNCOVERED", "W_UNCOVERED", "E_SIG_UNLISTED":
		if strict {
			return Fail
		}
		return Unknown
	case codeRevocation, codeSealStatus:
		return Warn
	case "W_ZIP_PREFIX", codePropertyPath, codeSignatureGap:
		if strict {
			return Fail
		}
		return Warn
	}
	switch {
	case strings.HasPrefix(code, "W_"):
		return Warn
	case strings.HasPrefix(code, "I_"):
		return Unknown
	}
	return Fail
}
