// SPDX-License-Identifier: Apache-2.0
// google.protobuf.Int64Value, { value }, of numbers below 2^31: field 1, a varint.
'use strict';

exports.encode = message => {
	let number = message.value;
	const bytes = number ? [0x08] : [];
	for (; number; number >>>= 7)
		bytes.push(number & 0x7f | (number > 0x7f ? 0x80 : 0));
	return Buffer.from(bytes);
};

exports.decode = bytes => {
	let number = 0;
	for (let i = 1; i < bytes.length; i++)
		number += (bytes[i] & 0x7f) * 2 ** (7 * (i - 1));
	return { value: number };
};
