/* SPDX-License-Identifier: Apache-2.0 */
/* Tags, heads and results: see ldap_wire.h. */
#include "proto/ldap_wire.h"

enum ldap_scan ldap_tlv_read(struct slice in, struct ldap_tlv *ret)
{
	if (in.len < 2)
		return LDAP_SHORT;
	*ret = (struct ldap_tlv){ .tag = in.ptr[0], .head = 2, .len = in.ptr[1] };
	if ((ret->tag & 0x1f) == 0x1f)
		return LDAP_BAD;
	if (ret->len < 0x80)
		return LDAP_OK;
	unsigned bytes = ret->len & 0x7f;
	if (bytes == 0 || bytes > 4) /* one that is not said, or too large */
		return LDAP_BAD;
	ret->head = (uint8_t)(2 + bytes);
	if (in.len < ret->head)
		return LDAP_SHORT;
	ret->len = 0;
	for (unsigned i = 0; i < bytes; i++)
		ret->len = ret->len << 8 | in.ptr[2 + i];
	return ret->len <= LDAP_LENGTH_MAX ? LDAP_OK : LDAP_BAD;
}

static bool op_fits(uint8_t op, enum proto_side side)
{
	switch (op) {
	case LDAP_BIND: case LDAP_UNBIND: case LDAP_SEARCH: case LDAP_MODIFY: case LDAP_ADD: case LDAP_DELETE: case LDAP_MODIFY_DN: case LDAP_COMPARE: case LDAP_ABANDON:
	case LDAP_EXTENDED:
		return side == PROTO_TO_SERVER;
	case LDAP_BIND_DONE: case LDAP_ENTRY: case LDAP_SEARCH_DONE: case LDAP_MODIFY_DONE: case LDAP_ADD_DONE: case LDAP_DELETE_DONE: case LDAP_MODIFY_DN_DONE:
	case LDAP_COMPARE_DONE: case LDAP_REFERENCE: case LDAP_EXTENDED_DONE: case LDAP_INTERMEDIATE:
		return side == PROTO_TO_CLIENT;
	default: return false;
	}
}

/* 0 tells what nobody has asked for. */
static bool id_read(struct slice in, uint32_t len, uint32_t *ret)
{
	*ret = 0;
	for (uint32_t i = 0; i < len; i++)
		*ret = *ret << 8 | in.ptr[i];
	return *ret <= INT32_MAX;
}

enum ldap_scan ldap_head_read(struct slice in, enum proto_side side, struct ldap_head *ret)
{
	struct ldap_tlv message, op;

	if (in.len && in.ptr[0] != LDAP_SEQUENCE)
		return LDAP_BAD;
	enum ldap_scan scan = ldap_tlv_read(in, &message);
	if (scan != LDAP_OK)
		return scan;
	size_t at = message.head;
	if (message.len < 5 || (in.len > at && in.ptr[at] != LDAP_INTEGER) || (in.len > at + 1 && (in.ptr[at + 1] == 0 || in.ptr[at + 1] > 4)))
		return LDAP_BAD;
	if (in.len < at + 2 || in.len < at + 2 + in.ptr[at + 1])
		return LDAP_SHORT;
	if (!id_read(slice_from(in, at + 2), in.ptr[at + 1], &ret->id))
		return LDAP_BAD;
	at += 2u + in.ptr[at + 1];
	if (in.len > at && (!op_fits(in.ptr[at], side) || (ret->id == 0 && in.ptr[at] != LDAP_EXTENDED_DONE)))
		return LDAP_BAD;
	scan = ldap_tlv_read(slice_from(in, at), &op);
	if (scan != LDAP_OK)
		return scan;
	ret->size = message.head + message.len;
	ret->op = op.tag;
	ret->at = (uint8_t)(at + op.head);
	ret->len = op.len;
	uint32_t end = ret->at + op.len; /* controls may follow */
	if (end > ret->size || (end < ret->size && in.len > end && in.ptr[end] != LDAP_CONTROLS))
		return LDAP_BAD;
	return LDAP_OK;
}

bool ldap_take(struct slice *in, uint8_t tag, struct slice *ret_value)
{
	struct ldap_tlv t;

	if (ldap_tlv_read(*in, &t) != LDAP_OK || t.tag != tag)
		return false;
	*ret_value = slice_head(slice_from(*in, t.head), t.len);
	*in = slice_from(*in, (size_t)t.head + t.len);
	return true;
}

void ldap_result_read(struct slice content, struct ldap_result *ret)
{
	struct slice code, matched, message;

	*ret = (struct ldap_result){ 0 };
	if (!ldap_take(&content, LDAP_ENUM, &code) || code.len == 0 || code.len > 4)
		return;
	ret->known = id_read(code, (uint32_t)code.len, &ret->code);
	if (ldap_take(&content, LDAP_STRING, &matched) && ldap_take(&content, LDAP_STRING, &message))
		ret->message = slice_head(message, LDAP_MESSAGE_MAX);
}

/* RFC 4511, appendix A.1: these are no errors. */
bool ldap_code_failed(uint32_t code)
{
	return code != LDAP_SUCCESS && code != LDAP_COMPARE_FALSE && code != LDAP_COMPARE_TRUE && code != LDAP_REFERRAL && code != LDAP_SASL_GOES_ON;
}

const char *ldap_code_name(uint32_t code)
{
	switch (code) {
	case 1: return "operationsError";
	case 2: return "protocolError";
	case 3: return "timeLimitExceeded";
	case 4: return "sizeLimitExceeded";
	case 7: return "authMethodNotSupported";
	case 8: return "strongerAuthRequired";
	case 11: return "adminLimitExceeded";
	case 12: return "unavailableCriticalExtension";
	case 13: return "confidentialityRequired";
	case 16: return "noSuchAttribute";
	case 17: return "undefinedAttributeType";
	case 18: return "inappropriateMatching";
	case 19: return "constraintViolation";
	case 20: return "attributeOrValueExists";
	case 21: return "invalidAttributeSyntax";
	case 32: return "noSuchObject";
	case 33: return "aliasProblem";
	case 34: return "invalidDNSyntax";
	case 36: return "aliasDereferencingProblem";
	case 48: return "inappropriateAuthentication";
	case 49: return "invalidCredentials";
	case 50: return "insufficientAccessRights";
	case 51: return "busy";
	case 52: return "unavailable";
	case 53: return "unwillingToPerform";
	case 54: return "loopDetect";
	case 64: return "namingViolation";
	case 65: return "objectClassViolation";
	case 66: return "notAllowedOnNonLeaf";
	case 67: return "notAllowedOnRDN";
	case 68: return "entryAlreadyExists";
	case 69: return "objectClassModsProhibited";
	case 71: return "affectsMultipleDSAs";
	case 80: return "other";
	case 118: return "canceled"; /* RFC 3909 */
	case 119: return "noSuchOperation";
	case 120: return "tooLate";
	case 121: return "cannotCancel";
	case 122: return "assertionFailed"; /* RFC 4528 */
	case 123: return "authorizationDenied"; /* RFC 4370 */
	case 4096: return "e-syncRefreshRequired"; /* RFC 4533 */
	default: return NULL;
	}
}
