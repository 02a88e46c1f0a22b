# SPDX-License-Identifier: Apache-2.0
"""A guest: a kernel, an initramfs made here, QEMU by software emulation, and what the guest sent back."""
import io
import lzma
import os
import re
import shutil
import stat
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from harness.process import BUILD, REPO

HERE = Path(__file__).parent
PROGRAMS = {"plumb": "plumb", "paths": "tests/e2e/paths", "truth": "tests/kernels/truth", "calls": "tests/kernels/calls", "withhold": "tests/kernels/withhold"}
# Only where OpenSSL's headers are, which nothing of plumb needs.
OPENSSL = {"truth_ssl": "tests/kernels/truth_ssl"}
OPENSSL_HEADER = Path("/usr/include/openssl/ssl.h")
FILES = {
    "/etc/passwd": "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
DEADLINE_S = 300


@dataclass(frozen=True)
class Architecture:
    """What differs between guests of one architecture and another."""
    name: str
    build: Path        # where the programs for it are
    needs: tuple       # programs, and the packages that they come in; the emulator is the first
    machine: tuple     # its arguments
    console: str       # the first serial port
    results: str       # the second
    results_port: tuple
    kernel_options: str
    patience: int      # how many times as long as on x86_64 anything may take

    @property
    def foreign(self):
        return self.name != HOST


HOST = "x86_64"
X86_64 = Architecture(
    HOST, BUILD, (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static")), ("-machine", "q35", "-cpu", "max"),
    "ttyS0", "ttyS1", ("-serial", "chardev:results"), "tsc=reliable", 1)
# pauth-impdef: pointers are signed by a hash that is cheap to emulate. The machine has one serial port of its own.
ARM64 = Architecture(
    "arm64", BUILD / "arm64", (("qemu-system-aarch64", "qemu-system-arm"), ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")), ("-machine", "virt", "-cpu", "max,pauth-impdef=on"),
    "ttyAMA0", "ttyS0", ("-device", "pci-serial,chardev=results"), "", 4)
ARCHITECTURES = {a.name: a for a in (X86_64, ARM64)}


def programs(arch):
    """{name in the guest: path} of what was built for it."""
    return {name: arch.build / path for name, path in (PROGRAMS | ({} if lacks_openssl(arch) else OPENSSL)).items()}


def lacks_openssl(arch):
    """Why there is no program with OpenSSL for it, or None."""
    if arch.foreign:
        return "OpenSSL is not built for guests of another architecture"
    return None if OPENSSL_HEADER.exists() else "OpenSSL's headers are not installed (package libssl-dev)"


def missing(arch):
    """What this machine lacks to run a guest, or None."""
    if os.uname().machine != HOST:
        return "the kernel tests need an x86-64 machine"
    for program, package in arch.needs:
        if not shutil.which(program):
            return f"no {program}: install {package}"
    return fetched("sysroot.sh", "--cached", arch.name)[1] if arch.foreign else None


def fetched(script, *args):
    """Path that one of our scripts prints, and None; or None, and why there is none."""
    done = subprocess.run([HERE / script, *args], capture_output=True, text=True)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or [f"{script} ended with {done.returncode}"])[-1]
    return Path(done.stdout.strip()), None


def kernel(arch, series):
    """Path of its image and None, or None and why."""
    return fetched("kernel.sh", series, arch.name)


def modules(image):
    """The kernel's modules that were fetched with it, those first that others need: {name: bytes}."""
    found = {}
    for path in sorted(image.with_name(image.name.replace("vmlinuz", "modules")).glob("*.ko*")):
        data = path.read_bytes()
        found[path.name.split(".")[0].replace("-", "_")] = lzma.decompress(data) if path.suffix == ".xz" else data
    needs = {name: [n for n in re.search(rb"\0depends=([^\0]*)\0", data).group(1).decode().split(",") if n] for name, data in found.items()}
    ordered = {}
    while len(ordered) < len(found):
        ready = [name for name in found if name not in ordered and all(n in ordered or n not in found for n in needs[name])]
        assert ready, f"modules that need each other: {needs}"
        ordered |= {name: found[name] for name in ready}
    return ordered


def libraries(program):
    """Shared objects of a program, its loader included, as the dynamic linker of this machine finds them: {path in the guest: path here}."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return {path: path for path in re.findall(r"(?:=> )?(/\S+) \(0x", said)}


def foreign_libraries(program, sysroot):
    """The same of a program for another architecture, out of its packages, by what the objects say that they need."""
    found, waiting = {}, [Path(program)]
    while waiting:
        said = subprocess.run(["readelf", "--wide", "--dynamic", "--program-headers", waiting.pop()], capture_output=True, text=True, check=True).stdout
        for name in re.findall(r"Shared library: \[(.+)\]|program interpreter: (.+)\]", said):
            name = Path(name[0] or name[1]).name
            if name not in found:
                found[name] = next(path for folder in ("lib", "usr/lib") for path in sorted(sysroot.glob(f"{folder}/*/{name}")))
                waiting.append(found[name])
    # Where a loader without a cache looks.
    return {f"/lib/{name}": path for name, path in found.items()}


def cpio_entry(name, mode, data=b""):
    """One file of an initramfs: the kernel's Documentation, early-userspace/buffer-format (newc)."""
    cpio_entry.inode += 1
    path = name.lstrip("/").encode() + b"\0"
    head = b"070701" + b"%08X" * 13 % (cpio_entry.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    return pad(head + path) + pad(data)


cpio_entry.inode = 0


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def initramfs(arch, path, loaded, trials):
    """busybox, our programs with their libraries, modules to load, and the list of trials that guest.sh runs."""
    sysroot = fetched("sysroot.sh", "--cached", arch.name)[0] if arch.foreign else None
    busybox = sysroot / "bin/busybox" if arch.foreign else shutil.which("busybox")
    files = {f"/bin/{name}": program for name, program in programs(arch).items()} | {"/bin/busybox": busybox, "/init": HERE / "guest.sh"}
    for program in programs(arch).values():
        files |= foreign_libraries(program, sysroot) if arch.foreign else libraries(program)
    contents = {name: (Path(source).read_bytes(), 0o755) for name, source in files.items()}
    # In the order of their names.
    contents |= {f"/lib/modules/{i:02}-{name}.ko": (data, 0o644) for i, (name, data) in enumerate(loaded.items())}
    contents |= {name: (text.encode(), 0o644) for name, text in (FILES | {"/etc/trials": trials}).items()}
    folders = sorted({str(parent) for name in contents for parent in Path(name).parents} - {"/"} | {"/usr"})
    with open(path, "wb") as out:
        for folder in folders:
            out.write(cpio_entry(folder, stat.S_IFDIR | 0o755))
        for name, (data, mode) in contents.items():
            out.write(cpio_entry(name, stat.S_IFREG | mode, data))
        out.write(cpio_entry("TRAILER!!!", 0))


def boot(arch, image, folder, trials):
    """Runs a guest to its end. Returns {file: bytes} of what it sent; the console is in folder/console."""
    ramdisk, results, console = folder / "initramfs", folder / "results.tgz", folder / "console"
    initramfs(arch, ramdisk, modules(image), trials)
    results.unlink(missing_ok=True)
    deadline_s = DEADLINE_S * arch.patience
    options = f"console={arch.console} results={arch.results} patience={arch.patience} {arch.kernel_options} quiet panic=-1 random.trust_cpu=on nowatchdog rcupdate.rcu_cpu_stall_suppress=1"
    # One thread for all emulated CPUs: with one for each, QEMU before 8.1 may run an int3 that the kernel has already taken out of its code (static branches), and the kernel panics.
    argv = [arch.needs[0][0], "-accel", "tcg,thread=single", *arch.machine, "-smp", "2", "-m", "1024", "-nographic", "-nodefaults", "-no-reboot", "-kernel", image,
            "-initrd", ramdisk, "-append", options, "-serial", f"file:{console}", "-chardev", f"file,id=results,path={results}", *arch.results_port]
    # Emulated CPUs are late when this machine is busy: the guest must doubt neither its clock nor its tasks.
    # PDEATHSIG: an emulator outlives no test that was cut short.
    argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=deadline_s)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"the guest did not end within {deadline_s} s:\n{tail(console)}") from None
    assert done.returncode == 0, f"QEMU ended with {done.returncode}: {done.stderr}"
    try:
        with tarfile.open(fileobj=io.BytesIO(results.read_bytes())) as archive:
            return {m.name.removeprefix("./"): archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}
    except (tarfile.TarError, EOFError) as e:
        raise AssertionError(f"the guest sent nothing whole ({e}):\n{tail(console)}") from None


def tail(console):
    return console.read_text(errors="replace")[-3000:] if console.exists() else "(no console)"
