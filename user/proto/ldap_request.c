/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request asks, as a text: names of attributes, "?" for their values. "search ou=?,dc=? sub (&(objectClass=?)(uid=?))". What is no name of an attribute is
 * not shown in its place, either.
 */
#include "proto/ldap_wire.h"

enum { DN_SHOWN = 256, NAME_SHOWN = 64, DEPTH_MAX = 16, TEXT_END = 8 };

static void add(struct ldap_text *t, struct slice s)
{
	s = slice_head(s, (size_t)LDAP_TEXT_MAX - t->len);
	if (s.len)
		memcpy(t->text + t->len, s.ptr, s.len);
	t->len = (uint16_t)(t->len + s.len);
}

/* Is there room for n bytes, and what ends the text? */
static bool room(const struct ldap_text *t, size_t n) { return t->len + n + TEXT_END <= LDAP_TEXT_MAX; }

/* A name or the number of an attribute, with options: RFC 4512, 2.5. */
static bool is_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i], low = ascii_lower(c);
		if (!(low >= 'a' && low <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != ';')
			return false;
	}
	return s.len > 0 && s.len <= NAME_SHOWN;
}

static void add_name(struct ldap_text *t, struct slice s) { add(t, is_name(s) ? s : SLICE_LIT("?")); }

/* ---- names of entries ---- */

/* Where a value ends: at what separates it from the next one, unless that is escaped or quoted. */
static size_t value_end(struct slice dn, size_t at)
{
	bool quoted = false;

	for (; at < dn.len; at++) {
		uint8_t c = dn.ptr[at];
		if (c == '\\')
			at++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == ',' || c == ';' || c == '+'))
			return at;
	}
	return dn.len;
}

static struct slice trim(struct slice s)
{
	while (s.len && s.ptr[0] == ' ')
		s = slice_from(s, 1);
	while (s.len && s.ptr[s.len - 1] == ' ')
		s.len--;
	return s;
}

static void add_dn(struct ldap_text *t, struct slice dn)
{
	size_t start = t->len;

	add(t, dn.len ? SLICE_NONE : SLICE_LIT("\"\""));
	for (size_t at = 0; at < dn.len;) {
		size_t end = value_end(dn, at);
		struct slice pair = slice_make(dn.ptr + at, end - at);
		size_t equals = slice_find(pair, '=', 0);
		if (t->len - start > DN_SHOWN - NAME_SHOWN || !room(t, NAME_SHOWN + 3)) {
			add(t, SLICE_LIT("..."));
			return;
		}
		if (equals != SIZE_MAX) {
			add_name(t, trim(slice_head(pair, equals)));
			add(t, SLICE_LIT("="));
		}
		add(t, SLICE_LIT("?"));
		if (end < dn.len)
			add(t, dn.ptr[end] == '+' ? SLICE_LIT("+") : SLICE_LIT(","));
		at = end + 1;
	}
}

/* ---- filters: RFC 4515 ---- */

enum filter { AND = 0xa0, OR = 0xa1, NOT = 0xa2, EQUAL = 0xa3, SUBSTRINGS = 0xa4, GREATER = 0xa5, LESS = 0xa6, PRESENT = 0x87, APPROXIMATE = 0xa8, EXTENSIBLE = 0xa9 };
enum part { INITIAL = 0x80, ANY = 0x81, FINAL = 0x82 };

static void add_substrings(struct ldap_text *t, struct slice content)
{
	struct slice parts;
	struct ldap_tlv part;

	if (!ldap_take(&content, LDAP_SEQUENCE, &parts)) {
		add(t, SLICE_LIT("?"));
		return;
	}
	uint8_t last = ANY;
	while (ldap_tlv_read(parts, &part) == LDAP_OK && room(t, 4)) {
		add(t, part.tag == INITIAL ? SLICE_LIT("?") : SLICE_LIT("*?"));
		last = part.tag;
		parts = slice_from(parts, (size_t)part.head + part.len);
	}
	add(t, last == FINAL ? SLICE_NONE : SLICE_LIT("*"));
}

static void add_extensible(struct ldap_text *t, struct slice content)
{
	struct slice rule, type = SLICE_NONE;

	(void)ldap_take(&content, 0x81, &rule);
	if (ldap_take(&content, 0x82, &type))
		add_name(t, type);
	add(t, SLICE_LIT(":=?"));
}

/* One that holds no others, without its brackets. */
static void add_item(struct ldap_text *t, uint8_t tag, struct slice content)
{
	struct slice name = SLICE_NONE;

	if (tag == EXTENSIBLE) {
		add_extensible(t, content);
		return;
	}
	if (tag == PRESENT) {
		add_name(t, content);
		add(t, SLICE_LIT("=*"));
		return;
	}
	(void)ldap_take(&content, LDAP_STRING, &name);
	add_name(t, name);
	switch (tag) {
	case SUBSTRINGS: add(t, SLICE_LIT("=")); add_substrings(t, content); return;
	case GREATER: add(t, SLICE_LIT(">=?")); return;
	case LESS: add(t, SLICE_LIT("<=?")); return;
	case APPROXIMATE: add(t, SLICE_LIT("~=?")); return;
	default: add(t, SLICE_LIT("=?")); return;
	}
}

static bool is_item(uint8_t tag) { return (tag >= EQUAL && tag <= LESS) || tag == PRESENT || tag == APPROXIMATE || tag == EXTENSIBLE; }

/* Not by calling itself: how deep it goes is the peer's to say. */
static void add_filter(struct ldap_text *t, struct slice in)
{
	size_t ends[DEPTH_MAX];
	size_t at = 0;
	unsigned depth = 0;
	struct ldap_tlv f;

	do {
		if (!room(t, NAME_SHOWN + 8) || ldap_tlv_read(slice_from(in, at), &f) != LDAP_OK)
			break;
		bool item = is_item(f.tag);
		if (!item && (f.tag < AND || f.tag > NOT || depth == DEPTH_MAX))
			break;
		add(t, SLICE_LIT("("));
		at += f.head;
		if (item) {
			add_item(t, f.tag, slice_head(slice_from(in, at), f.len));
			add(t, SLICE_LIT(")"));
			at += f.len;
		} else {
			add(t, f.tag == AND ? SLICE_LIT("&") : f.tag == OR ? SLICE_LIT("|") : SLICE_LIT("!"));
			ends[depth++] = at + f.len;
		}
		while (depth && at >= ends[depth - 1] && t->len < LDAP_TEXT_MAX - TEXT_END) {
			add(t, SLICE_LIT(")"));
			depth--;
		}
	} while (depth);
	if (depth || at == 0)
		add(t, SLICE_LIT("..."));
}

/* ---- operations ---- */

static bool is_mechanism(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z') && !(s.ptr[i] >= '0' && s.ptr[i] <= '9') && s.ptr[i] != '-' && s.ptr[i] != '_')
			return false;
	return s.len > 0 && s.len <= 20;
}

static void read_bind(struct slice in, struct ldap_text *t, struct ldap_request *ret)
{
	struct slice version, dn, sasl, mechanism;

	if (!ldap_take(&in, LDAP_INTEGER, &version) || !ldap_take(&in, LDAP_STRING, &dn))
		return;
	add_dn(t, dn);
	if (!ldap_take(&in, 0xa3, &sasl)) {
		add(t, SLICE_LIT(" simple"));
		return;
	}
	if (!ldap_take(&sasl, LDAP_STRING, &mechanism) || !is_mechanism(mechanism))
		return;
	add(t, SLICE_LIT(" "));
	add(t, mechanism);
	ret->layer = slice_eq(mechanism, SLICE_LIT("GSSAPI")) || slice_eq(mechanism, SLICE_LIT("GSS-SPNEGO")) || slice_eq(mechanism, SLICE_LIT("DIGEST-MD5"));
}

static void read_search(struct slice in, struct ldap_text *t)
{
	static const char *const scopes[] = { " base ", " one ", " sub ", " subordinates " };
	struct slice dn, scope, aliases, size_limit, time_limit, types_only;

	if (!ldap_take(&in, LDAP_STRING, &dn))
		return;
	add_dn(t, dn);
	if (!ldap_take(&in, LDAP_ENUM, &scope) || scope.len != 1 || scope.ptr[0] > 3 || !ldap_take(&in, LDAP_ENUM, &aliases))
		return;
	add(t, slice_str(scopes[scope.ptr[0]]));
	if (ldap_take(&in, LDAP_INTEGER, &size_limit) && ldap_take(&in, LDAP_INTEGER, &time_limit) && ldap_take(&in, LDAP_BOOLEAN, &types_only))
		add_filter(t, in);
}

/* Of an entry, and what is said of it behind. */
static void read_entry(uint8_t op, struct slice in, struct ldap_text *t)
{
	struct slice dn, more, name;

	if (!ldap_take(&in, LDAP_STRING, &dn))
		return;
	add_dn(t, dn);
	if (op == LDAP_MODIFY_DN && ldap_take(&in, LDAP_STRING, &more)) {
		add(t, SLICE_LIT(" "));
		add_dn(t, more);
	} else if (op == LDAP_COMPARE && ldap_take(&in, LDAP_SEQUENCE, &more) && ldap_take(&more, LDAP_STRING, &name)) {
		add(t, SLICE_LIT(" ("));
		add_name(t, name);
		add(t, SLICE_LIT("=?)"));
	}
}

static const struct {
	const char *oid, *name;
} extensions[] = { { "1.3.6.1.4.1.1466.20037", "startTLS" }, { "1.3.6.1.4.1.4203.1.11.1", "passwordModify" }, { "1.3.6.1.4.1.4203.1.11.3", "whoAmI" }, { "1.3.6.1.1.8", "cancel" } };

static void read_extended(struct slice in, struct ldap_request *ret)
{
	struct slice oid;

	ret->name = "extended";
	if (!ldap_take(&in, 0x80, &oid))
		return;
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (slice_eq(oid, slice_str(extensions[i].oid))) {
			ret->name = extensions[i].name;
			ret->start_tls = i == 0;
		}
}

static void begin(struct ldap_text *t, const char *name, struct ldap_request *ret)
{
	ret->name = name;
	ret->shown = true;
	t->len = 0;
	add(t, slice_str(name));
	add(t, SLICE_LIT(" "));
}

void ldap_request_read(uint8_t op, struct slice content, struct ldap_text *text, struct ldap_request *ret)
{
	*ret = (struct ldap_request){ 0 };
	switch (op) {
	case LDAP_BIND: begin(text, "bind", ret); read_bind(content, text, ret); break;
	case LDAP_SEARCH: begin(text, "search", ret); read_search(content, text); break;
	case LDAP_MODIFY: begin(text, "modify", ret); read_entry(op, content, text); break;
	case LDAP_ADD: begin(text, "add", ret); read_entry(op, content, text); break;
	case LDAP_MODIFY_DN: begin(text, "modifyDN", ret); read_entry(op, content, text); break;
	case LDAP_COMPARE: begin(text, "compare", ret); read_entry(op, content, text); break;
	case LDAP_DELETE: begin(text, "delete", ret); add_dn(text, content); break;
	case LDAP_EXTENDED: read_extended(content, ret); break;
	case LDAP_ABANDON:
		ret->name = "abandon";
		for (size_t i = 0; i < content.len && i < 4; i++)
			ret->abandoned = ret->abandoned << 8 | content.ptr[i];
		break;
	default: ret->name = "unbind"; break;
	}
	if (ret->shown && text->len && text->text[text->len - 1] == ' ')
		text->len--;
}
