"""What sources may include beyond what their include paths already decide (ARCHITECTURE.md's table).

A relative or absolute path could climb out of a module or layer past its include paths; a test is no part of what it tests; and
of the generated headers, which all lie in one folder, a module has those of the contracts that it declares.
"""
import os
import pathlib
import re

INCLUDE = re.compile(r'\s*#\s*(?:include|embed)\w*\s*["<]([^">]+)[">]')
# Generated headers beside a module's own contracts. A trusted module calls others through their slots: all contracts are open
# to it, but those of components, which only core calls.
OPEN_HEADERS = {"component": {"base", "kernel_services"}, "policy": {"base"}}
COMPONENT_CONTRACTS = {"block_driver", "char_driver", "entropy_driver", "rtc_driver", "filesystem", "fs_services", "kernel_services"}


def includes_of(source):
    for number, line in enumerate(source.read_text(errors="replace").splitlines(), 1):
        if found := INCLUDE.match(line):
            yield number, found[1]


def strays(source, homes, whose):
    """Includes of one file that are of a test, or lead out of `homes` by a relative or absolute path."""
    for number, name in includes_of(source):
        parts = name.split("/")
        if "test" in parts[:-1]:
            yield f"{source}:{number}: error: the include {name} is of a test"
        if not (name.startswith("/") or ".." in parts):
            continue
        target = pathlib.Path(os.path.normpath(source.absolute().parent / name))
        if not any(home in target.parents for home in homes):
            yield f"{source}:{number}: error: the include {name} leaves {whose}"


def undeclared(kind, contracts, source):
    for number, name in includes_of(source):
        header = re.fullmatch(r"kabi/(\w+)\.h", name)
        if not header or header[1] in contracts:
            continue
        closed = header[1] not in OPEN_HEADERS[kind] if kind in OPEN_HEADERS else header[1] in COMPONENT_CONTRACTS
        if closed:
            yield f"{source}:{number}: error: the include {name} is of a contract that the module does not declare"


def of_module(kind, contracts, sources):
    """Complaints about a module: `sources`, and whatever else lies in the folder of the first of them, tests apart."""
    if not sources:
        yield "error: a module without sources"
        return
    sources = [pathlib.Path(os.path.normpath(pathlib.Path(s).absolute())) for s in sources]
    home = sources[0].parent
    # test/ is linked into host programs, never into the module, which therefore may not reach into it.
    own = [f for f in home.rglob("*.[chS]") if "test" not in f.relative_to(home).parts]
    for source in sorted({*sources, *own}):
        yield from strays(source, [home], "the module's folder")
        yield from undeclared(kind, contracts, source)


def of_layers(root):
    """Complaints about what is linked into the kernel: each layer keeps to itself and to its include paths."""
    root = pathlib.Path(root).absolute()
    ports = [p.name for p in (root / "arch").iterdir() if p.is_dir() and p.name not in ("include", "common", "test")]
    layers = [("lib", ["lib"]), ("nucleus", ["nucleus"]), ("core", ["core"]), ("arch/include", ["arch/include"]),
              ("arch/common", ["arch/common"])] + [("arch/" + p, ["arch/" + p, "arch/common"]) for p in ports]
    for folder, homes in layers:
        for source in sorted((root / folder).rglob("*.[chS]")):
            if "test" not in source.relative_to(root / folder).parts:
                yield from strays(source, [root / h for h in homes], "its layer, " + folder)
