"""The few messages of etcd's API that the log sends and reads, as protobuf classes made at import.

The tables follow etcd's published ``rpc.proto`` and ``kv.proto`` (package etcdserverpb, version 3.4 on);
a field that the log has no use for is left out, and protobuf passes over it. Enumerations are plain
numbers here: on the wire they are the same. Pure.
"""

from typing import Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

EQUAL, NOT_EQUAL = 0, 3  # Compare.result
CREATE, MOD = 1, 2  # Compare.target
NOSPACE: Final = 1  # AlarmMember.alarm
GET, DEACTIVATE = 0, 2  # AlarmRequest.action

_PACKAGE: Final = "p2px.etcd"  # our own: another library in this process may know the same messages
# message -> "[*]type number name", * for repeated; a type is protobuf's or a message of this table
_MESSAGES: Final = {
    "KeyValue": "bytes 1 key, int64 2 create_revision, int64 3 mod_revision, int64 4 version, bytes 5 value",
    "Header": "int64 3 revision",
    "RangeRequest": "bytes 1 key, bytes 2 range_end, int64 3 limit, int64 4 revision, bool 8 keys_only",
    "RangeResponse": "Header 1 header, *KeyValue 2 kvs",
    "PutRequest": "bytes 1 key, bytes 2 value",
    "DeleteRangeRequest": "bytes 1 key, bytes 2 range_end",
    "DeleteRangeResponse": "Header 1 header, int64 2 deleted",
    "RequestOp": "RangeRequest 1 range, PutRequest 2 put, DeleteRangeRequest 3 delete_range",
    "ResponseOp": "RangeResponse 1 range",
    "Compare": "int32 1 result, int32 2 target, bytes 3 key, int64 5 create_revision, int64 6 mod_revision,"
    " bytes 64 range_end",
    "TxnRequest": "*Compare 1 compare, *RequestOp 2 success, *RequestOp 3 failure",
    "TxnResponse": "Header 1 header, bool 2 succeeded, *ResponseOp 3 responses",
    "CompactionRequest": "int64 1 revision",
    "CompactionResponse": "Header 1 header",
    "AuthenticateRequest": "string 1 name, string 2 password",
    "AuthenticateResponse": "string 2 token",
    "AlarmRequest": "int32 1 action, uint64 2 member, int32 3 alarm",
    "AlarmMember": "uint64 1 member, int32 2 alarm",
    "AlarmResponse": "*AlarmMember 2 alarms",
    "StatusRequest": "",
    "StatusResponse": "int64 3 size, int64 9 size_in_use",
    "DefragmentRequest": "",
    "DefragmentResponse": "",
}
_TYPES: Final = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
}
_ONE_OF: Final = {"RequestOp": "range put delete_range", "Compare": "create_revision mod_revision"}


def _described(name: str, fields: str) -> DescriptorProto:
    message = DescriptorProto(name=name)
    alternatives = _ONE_OF.get(name, "").split()
    if alternatives:
        message.oneof_decl.add(name="alternative")
    for field in filter(None, fields.split(", ")):
        kind, number, label = field.split()
        added = message.field.add(name=label, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
        if kind.startswith("*"):
            added.label = FieldDescriptorProto.LABEL_REPEATED
            kind = kind[1:]
        if kind in _TYPES:
            added.type = _TYPES[kind]
        else:
            added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
        if label in alternatives:
            added.oneof_index = 0
    return message


def _classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="p2px/etcd.proto", package=_PACKAGE, syntax="proto3")
    file.message_type.extend(_described(name, fields) for name, fields in _MESSAGES.items())
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


# Generated classes have no static types; the rooms that use them say what comes out.
MESSAGES: Final[dict[str, Any]] = _classes()
