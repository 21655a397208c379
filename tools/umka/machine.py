"""The virtual machine of each architecture: QEMU's command line."""

import dataclasses
import shutil

from deps import fetch
from umka.common import Failure

# `max` with the faster of the two pointer-authentication algorithms: QEMU's default one is several
# times slower in emulation and gives guests nothing more to see than another field value.
MACHINES = {
    "x86_64": {"program": "qemu-system-x86_64", "console": "ttyS0",
               "argv": ["-M", "q35", "-cpu", "max"]},
    "aarch64": {"program": "qemu-system-aarch64", "console": "ttyAMA0",
                "argv": ["-M", "virt,gic-version=3", "-cpu", "max,pauth-impdef=on"]},
}


@dataclasses.dataclass
class Disk:
    path: str
    format: str = "raw"
    throwaway: bool = False
    boot: bool = False


def console(arch, kind="serial"):
    """The terminal's name in the guest: its serial line, or a virtio console."""
    return "hvc0" if kind == "hvc" else _machine(arch)["console"]


def _machine(arch):
    if arch not in MACHINES:
        raise Failure(f"--arch {arch}: there is no port to it yet ({', '.join(MACHINES)} have one)")
    return MACHINES[arch]


def base(arch, cpus, memory_mib):
    """(argv, environment) of a machine whose console (see terminal()) is on stdin and stdout."""
    machine = _machine(arch)
    argv, env = fetch.qemu_command(machine["program"])
    argv += [*machine["argv"], "-accel", "tcg,thread=multi", "-smp", str(cpus),
             "-m", str(memory_mib), "-nodefaults", "-no-user-config", "-display", "none",
             "-no-reboot", "-rtc", "base=utc",
             "-chardev", "stdio,id=console,signal=off,mux=off"]
    return argv, env


def terminal(kind, early):
    """The device behind the console; what goes to the serial line beside a virtio one is in `early`."""
    if kind == "hvc":
        return ["-chardev", f"file,id=early,path={early}", "-serial", "chardev:early",
                "-device", "virtio-serial-pci", "-device", "virtconsole,chardev=console"]
    return ["-serial", "chardev:console"]


def entropy():
    return ["-device", "virtio-rng-pci"]


def disks(wanted):
    argv = []
    for i, disk in enumerate(wanted):
        path = str(disk.path).replace(",", ",,")
        snapshot = ",snapshot=on" if disk.throwaway else ""
        argv += ["-drive", f"if=none,id=disk{i},format={disk.format},file={path}{snapshot}",
                 "-device", f"virtio-blk-pci,drive=disk{i},id=vd{chr(ord('a') + i)}"
                 + (",bootindex=0" if disk.boot else "")]
    return argv


def firmware(kind, scratch):
    """SeaBIOS is QEMU's default; UEFI firmware is two flash chips, of which the variables are a copy."""
    if kind == "bios":
        return []
    top = fetch.ovmf() / "usr/share/OVMF"
    shutil.copy(top / "OVMF_VARS_4M.fd", scratch / "vars.fd")
    return ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={top / 'OVMF_CODE_4M.fd'}",
            "-drive", f"if=pflash,unit=1,format=raw,file={scratch / 'vars.fd'}"]


def network():
    return ["-netdev", "user,id=net0", "-device", "virtio-net-pci,netdev=net0"]


def monitor(path):
    return ["-chardev", f"socket,id=monitor,path={path},server=on,wait=off",
            "-mon", "chardev=monitor,mode=readline"]
