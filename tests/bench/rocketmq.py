# SPDX-License-Identifier: Apache-2.0
"""A packet capture of RocketMQ, made without a network: messages sent and pulled with headers in JSON as the Java client writes them, of seven one refused."""
import struct

import packets

BODY = b"v" * 200
PROPERTIES = b"KEYS\\u0001key\\u0002UNIQ_KEY\\u00017F00000100002A9F0000000000000000\\u0002WAIT\\u0001true\\u0002TAGS\\u0001spring"
STORED = b"TAGS\1spring\2UNIQ_KEY\0017F00000100002A9F0000000000000000\2"


def frame(code, flag, opaque, fields, body=b""):
    header = b'{"code":%d,"extFields":{%s},"flag":%d,"language":"JAVA","opaque":%d,"serializeTypeCurrentRPC":"JSON","version":453}' % (code, fields, flag, opaque)
    return struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body


def stored():
    rest = struct.pack(">B", 6) + b"orders" + struct.pack(">H", len(STORED)) + STORED
    return struct.pack(">IIIIIQQIQ8sQ8sIQI", 88 + len(BODY) + len(rest), 0xdaa320a7, 0, 2, 0, 7, 999, 0, 1, b"", 1, b"", 0, 0, len(BODY)) + BODY + rest


def exchange(i, opaque):
    """What the client says, and what the broker does."""
    if i % 2:
        ask = frame(11, 0, opaque, b'"commitOffset":"0","consumerGroup":"billing","maxMsgNums":"32","queueId":"2","queueOffset":"7","subVersion":"0","suspendTimeoutMillis":"15000","sysFlag":"6","topic":"orders"')
        return ask, frame(0, 1, opaque, b'"maxOffset":"9","minOffset":"0","nextBeginOffset":"9","suggestWhichBrokerId":"0"', stored() * 2)
    ask = frame(310, 0, opaque, b'"a":"shop","b":"orders","c":"TBW102","d":"4","e":"2","f":"0","g":"1700000000000","h":"0","i":"' + PROPERTIES + b'","j":"0","k":"false","l":"0","m":"false","n":"b"', BODY)
    return ask, frame(13 if i % 7 == 0 else 0, 1, opaque, b'"msgId":"7F00000100002A9F0000000000000000","queueId":"2","queueOffset":"7"')


def write_capture(path, exchanges):
    packets.alternate(path, exchanges, 10911, exchange)
