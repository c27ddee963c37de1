# SPDX-License-Identifier: Apache-2.0
"""Malicious pickles, by what they call, how they write it, and what they are packed into."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

TOUCH = "touch /tmp/bastide-was-here"
CODE = "open('/tmp/bastide-was-here', 'w')"

# module, name, arguments: what would reach code, files or the network when it is called.
CALLS: list[tuple[str, str, tuple[object, ...]]] = [
    ("os", "system", (TOUCH,)), ("posix", "system", (TOUCH,)), ("nt", "system", (TOUCH,)), ("os", "popen", (TOUCH,)),
    ("os", "execv", ("/usr/bin/touch", [TOUCH])), ("os", "remove", ("/tmp/bastide-is-not-here",)), ("os", "putenv", ("A", "b")),
    ("posix", "posix_spawn", ("/usr/bin/touch", ["touch"], {})), ("subprocess", "Popen", (["touch"],)), ("subprocess", "run", (["touch"],)),
    ("subprocess", "check_output", (["touch"],)), ("subprocess", "getoutput", (TOUCH,)), ("commands", "getoutput", (TOUCH,)),
    ("pty", "spawn", ("touch",)), ("builtins", "eval", (CODE,)), ("builtins", "exec", (CODE,)), ("__builtin__", "eval", (CODE,)),
    ("builtins", "compile", (CODE, "x", "exec")), ("builtins", "__import__", ("os",)), ("builtins", "open", ("/tmp/x", "w")),
    ("builtins", "breakpoint", ()), ("io", "open", ("/tmp/x", "w")), ("_io", "FileIO", ("/tmp/x", "w")), ("codecs", "open", ("/tmp/x", "w")),
    ("runpy", "run_path", ("x.py",)), ("runpy", "_run_code", (CODE, {})), ("timeit", "timeit", (CODE,)), ("timeit", "main", (["-n1", CODE],)),
    ("cProfile", "run", (CODE,)), ("profile", "run", (CODE,)), ("trace", "Trace.run", (CODE,)), ("pdb", "run", (CODE,)),
    ("bdb", "Bdb.run", (CODE,)), ("doctest", "debug_script", (CODE,)), ("code", "InteractiveInterpreter.runcode", (CODE,)),
    ("importlib", "import_module", ("antigravity",)), ("importlib.util", "spec_from_file_location", ("x", "x.py")),
    ("pkgutil", "resolve_name", ("os:system",)), ("zipimport", "zipimporter", ("x.zip",)), ("imp", "load_source", ("x", "x.py")),
    ("marshal", "loads", (b"N",)), ("types", "FunctionType", ()), ("ctypes", "CDLL", ("libc.so.6",)), ("ctypes", "cdll.LoadLibrary", ("x",)),
    ("webbrowser", "open", ("http://x.test",)), ("urllib.request", "urlopen", ("http://x.test",)), ("socket", "create_connection", (("x", 1),)),
    ("http.client", "HTTPSConnection", ("x.test",)), ("ssl", "get_server_certificate", (("x", 1),)), ("smtplib", "SMTP", ("x.test",)),
    ("ftplib", "FTP", ("x.test",)), ("requests", "get", ("http://x.test",)), ("requests.api", "get", ("http://x.test",)),
    ("aiohttp", "request", ("GET", "x")), ("xmlrpc.client", "ServerProxy", ("http://x.test",)), ("shutil", "rmtree", ("/tmp/none",)),
    ("shutil", "copyfile", ("a", "b")), ("tempfile", "mkdtemp", ()), ("tarfile", "open", ("x",)), ("zipfile", "ZipFile", ("x", "w")),
    ("sqlite3", "connect", ("/tmp/x",)), ("logging", "FileHandler", ("/tmp/x",)), ("logging.config", "fileConfig", ("x",)),
    ("linecache", "getlines", ("/etc/passwd",)), ("pathlib", "Path.write_text", ("x", "y")), ("glob", "glob", ("/*",)),
    ("distutils.file_util", "write_file", ("/tmp/x", ["y"])), ("distutils.spawn", "spawn", (["touch"],)), ("pip", "main", (["--version"],)),
    ("pip._internal", "main", (["--version"],)), ("ensurepip", "_run_pip", (["--version"],)), ("venv", "create", ("/tmp/x",)),
    ("pydoc", "pipepager", ("x", TOUCH)), ("pydoc", "locate", ("os",)), ("_pyrepl.pager", "pipe_pager", ("x", TOUCH)),
    ("idlelib.pyshell", "ModifiedInterpreter.runcommand", (CODE,)), ("idlelib.run", "Executive.runcode", (CODE,)),
    ("lib2to3.pgen2.grammar", "Grammar.loads", (b"N",)), ("lib2to3.pgen2.pgen", "ParserGenerator.make_label", ()),
    ("uuid", "_get_command_stdout", ("touch",)), ("imaplib", "IMAP4_stream", (TOUCH,)), ("mailcap", "findmatch", ({}, "x")),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start", ()), ("multiprocessing.util", "spawnv_passfds", (b"/usr/bin/touch", [], [])),
    ("concurrent.futures", "ProcessPoolExecutor", ()), ("threading", "Thread", ()), ("_thread", "start_new_thread", ()),
    ("signal", "alarm", (1,)), ("sys", "setrecursionlimit", (1,)), ("gc", "get_objects", ()), ("atexit", "register", ()),
    ("operator", "attrgetter", ("system",)), ("operator", "methodcaller", ("system", TOUCH)), ("_operator", "attrgetter", ("x",)),
    ("functools", "reduce", ()), ("itertools", "starmap", ()), ("builtins", "map", ()), ("builtins", "getattr", ()),
    ("pickle", "loads", (b"N.",)), ("_pickle", "loads", (b"N.",)), ("cPickle", "loads", (b"N.",)), ("joblib", "load", ("x",)),
    ("dill", "loads", (b"N.",)), ("cloudpickle", "loads", (b"N.",)), ("torch", "load", ("x",)), ("torch.serialization", "load", ("x",)),
    ("numpy", "load", ("x",)), ("numpy", "fromfile", ("x",)), ("numpy", "save", ("x", 1)), ("numpy", "savetxt", ("x", [1])),
    ("numpy", "memmap", ("/tmp/x", "u1", "w+", 0, (1,))), ("numpy.f2py.crackfortran", "getlincoef", (CODE, {})),
    ("numpy.testing._private.utils", "runstring", (CODE, {})), ("numpy.testing._private.utils", "rundocs", ("x",)),
    ("numpy.distutils.exec_command", "exec_command", (TOUCH,)), ("pandas", "read_pickle", ("x",)), ("pandas.io.pickle", "read_pickle", ("x",)),
    ("pandas", "read_csv", ("http://x.test",)), ("pandas.io.common", "urlopen", ("http://x.test",)), ("pandas", "eval", ("x",)),
    ("pandas.core.computation.eval", "eval", ("x",)), ("torch.hub", "load", ("x", "y")), ("torch.hub", "download_url_to_file", ("x", "y")),
    ("torch.utils.cpp_extension", "load_inline", ("x", "y")), ("torch.jit", "load", ("x",)), ("torch.package", "PackageImporter", ("x",)),
    ("torch._inductor.codecache", "compile_file", (["x"], "y", ["touch"])), ("torch.utils._config_module", "ConfigModule.load_config", (b"N.",)),
    ("torch._dynamo.guards", "GuardBuilder.get", (CODE,)), ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", (CODE,)),
    ("torch.distributed.rpc.internal", "_InternalRPCPickler.deserialize", (b"N.",)), ("torch.fx.graph_module", "reduce_graph_module", ({}, "x")),
    ("torch.utils.collect_env", "run", (TOUCH,)), ("torch.utils.bottleneck.__main__", "run_cprofile", (CODE, {})),
    ("torch.utils.data.datapipes.utils.decoder", "basichandlers", ("pickle", b"N.")), ("sklearn.utils._joblib", "load", ("x",)),
    ("sklearn.datasets", "fetch_openml", ("x",)), ("scipy.io", "loadmat", ("x",)), ("yaml", "unsafe_load", ("x",)), ("yaml", "load", ("x",)),
    ("jsonpickle", "decode", ("x",)), ("shelve", "open", ("/tmp/x",)), ("xgboost.core", "_load_lib", ()),
    ("copyreg", "add_extension", ("os", "system", 1)),
    ("IPython", "start_ipython", ()), ("setuptools", "setup", ()), ("ray", "init", ()), ("fsspec", "open", ("http://x.test",)),
    ("nltk", "download", ("x",)), ("transformers", "pipeline", ("x",)), ("some.module.of.theirs", "run", (TOUCH,)),
]  # fmt: skip


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def _arguments(values: tuple[object, ...]) -> bytes:
    """The opcodes of a tuple, without the end of a pickle."""
    body = pickle.dumps(values, 2)
    return body[2:-1]


def _stack_global(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return b"\x80\x04" + _text(module) + _text(name) + b"\x93" + _arguments(values) + b"R."


def _global(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return b"\x80\x04c" + module.encode() + b"\n" + name.encode() + b"\n" + _arguments(values) + b"R."


def _in_state(module: str, name: str, values: tuple[object, ...]) -> bytes:
    """Deep in an honest-looking model: a dict with weights, and the call as one of its values."""
    return (
        b"\x80\x04}("
        + _text("weights")
        + pickle.dumps([0.5] * 50, 2)[2:-1]
        + _text("bias")
        + _stack_global(module, name, values)[2:-1]
        + b"u."
    )


def _dropped(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return _stack_global(module, name, values)[:-1] + b"0" + pickle.dumps({"weights": [1.0]}, 2)[2:]


def _broken(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return _stack_global(module, name, values)[:-1] + b"\xff\xfe\xfd"


def _second(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return pickle.dumps({"weights": [1.0]}, 4) + _stack_global(module, name, values)


WRITTEN: dict[str, Callable[[str, str, tuple[object, ...]], bytes]] = {
    "stackglobal": _stack_global, "global": _global, "state": _in_state, "dropped": _dropped, "broken": _broken, "second": _second,
}  # fmt: skip


def _zip(data: bytes, name: str = "archive/data.pkl", method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, data)
        if name.endswith("data.pkl"):
            archive.writestr("archive/version", "3\n")
    return out.getvalue()


def _npy(data: bytes) -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "raw": ("pkl", bytes), "bin": ("bin", bytes), "torch": ("pt", _zip), "deflated": ("pth", lambda d: _zip(d, method=zipfile.ZIP_DEFLATED)),
    "gzip": ("pkl.gz", gzip.compress), "zlib": ("joblib", zlib.compress), "bz2": ("pkl.bz2", bz2.compress), "xz": ("joblib.xz", lzma.compress),
    "npy": ("npy", _npy), "npz": ("npz", lambda d: _zip(_npy(d), "arr_0.npy")), "unnamed": ("model", bytes),
}  # fmt: skip


def files() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each; every call in every writing, and packings in turn, so that each pair occurs."""
    packings = list(PACKED.items())
    for number, (module, name, values) in enumerate(CALLS):
        for row, (writing, write) in enumerate(WRITTEN.items()):
            packing, (suffix, pack) = packings[(number + row) % len(packings)]
            yield (
                f"{number:03}-{module.replace('.', '_')}-{name.replace('.', '_')}-{writing}-{packing}.{suffix}",
                pack(write(module, name, values)),
            )
