"""Whether the record batches of an Arrow stream are compressed, told from their headers.

A few kilobytes can hold gigabytes of zeros, and PyArrow decompresses a batch before it says anything of its size. A
message's header is a Flatbuffers table (https://arrow.apache.org/docs/format/Columnar.html, "Encapsulated message
format"; the tables are declared in Arrow's Message.fbs).
"""

from __future__ import annotations

import struct

import pyarrow as pa

#: Numbers of fields: `Message.header`, `DictionaryBatch.data`, `RecordBatch.compression`.
_HEADER, _DATA, _COMPRESSION = 2, 1, 3


def has_compressed_buffers(body: bytes) -> bool:
    """Whether any batch of a stream has compressed buffers.

    Raises:
        pyarrow.ArrowException, struct.error: The body is no stream of Arrow messages.
    """
    source = pa.BufferReader(body)
    while True:
        try:
            message = pa.ipc.read_message(source)
        except EOFError:
            return False
        if message.type not in ("record batch", "dictionary"):
            continue
        metadata = message.metadata.to_pybytes()
        batch = _table(metadata, _field(metadata, _root(metadata), _HEADER))
        if message.type == "dictionary":
            batch = _table(metadata, _field(metadata, batch, _DATA))
        if _field(metadata, batch, _COMPRESSION) is not None:
            return True


def _root(data: bytes) -> int:
    return _table(data, 0)


def _table(data: bytes, at: int | None) -> int:
    """The position of the table that an offset refers to."""
    if at is None:
        raise struct.error("a message lacks its header")
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int | None:
    """The position of a table's field; None where it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0 or 4 + 2 * number >= struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]
    return table + offset if offset else None
