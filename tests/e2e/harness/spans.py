# SPDX-License-Identifier: Apache-2.0
"""OTLP/JSON lines (one ExportTraceServiceRequest each) as Span objects."""
import json
from dataclasses import dataclass, field

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
STATUS_UNSET, STATUS_ERROR = 0, 2


@dataclass
class Span:
    trace_id: str
    span_id: str
    parent_id: str  # "" = root
    name: str
    kind: int
    start_ns: int  # Unix time
    end_ns: int
    attrs: dict
    resource: dict
    status: int
    message: str
    raw: dict = field(repr=False, default=None)

    @property
    def duration_ns(self):
        return self.end_ns - self.start_ns

    @property
    def pid(self):
        return self.resource.get("process.pid")

    @property
    def service(self):
        return self.resource.get("service.name")

    def __getitem__(self, key):
        return self.attrs.get(key)

    @property
    def text(self):
        """All that it says, but for ids and times, whose digits are chance."""
        return str({k: v for k, v in self.raw.items() if not k.endswith(("Id", "UnixNano"))})

    @property
    def path(self):
        """Request path with query, of either side of an HTTP exchange."""
        full = self.attrs.get("url.full")
        if full:
            rest = full.split("://", 1)[1]
            return rest[rest.index("/"):]
        query = self.attrs.get("url.query")
        return self.attrs.get("url.path", "") + ("?" + query if query else "")


def _value(v):
    kind, value = next(iter(v.items()))
    if kind == "intValue":
        return int(value)
    if kind == "arrayValue":
        return [_value(x) for x in value.get("values", [])]
    return value


def _attributes(items):
    names = [i["key"] for i in items]
    assert len(names) == len(set(names)), f"an attribute twice: {names}"
    return {i["key"]: _value(i["value"]) for i in items}


def parse(text):
    spans = []
    for line in text.splitlines():
        request = json.loads(line)
        for resource in request["resourceSpans"]:
            attrs = _attributes(resource.get("resource", {}).get("attributes", []))
            for scope in resource["scopeSpans"]:
                for s in scope["spans"]:
                    spans.append(Span(s["traceId"], s["spanId"], s.get("parentSpanId", ""), s["name"], s["kind"], int(s["startTimeUnixNano"]),
                                      int(s["endTimeUnixNano"]), _attributes(s.get("attributes", [])), attrs,
                                      s.get("status", {}).get("code", 0), s.get("status", {}).get("message", ""), s))
    return spans


def describe(spans, most=25):
    """For assertion messages."""
    lines = [f"  {'server' if s.kind == SERVER else 'client' if s.kind == CLIENT else s.kind} pid={s.pid} {s.name!r} {s.duration_ns / 1e6:.2f} ms "
             f"{s.attrs}" for s in spans[:most]]
    return f"{len(spans)} spans:\n" + "\n".join(lines)
