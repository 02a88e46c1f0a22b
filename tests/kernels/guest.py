# SPDX-License-Identifier: Apache-2.0
"""A guest: a kernel, an initramfs made here, QEMU by software emulation, and what the guest sent back."""
import io
import os
import re
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path

from harness.process import BUILD, REPO

HERE = Path(__file__).parent
OWN = BUILD / "tests/kernels"
PROGRAMS = {"plumb": BUILD / "plumb", "paths": BUILD / "tests/e2e/paths", "truth": OWN / "truth", "withhold": OWN / "withhold"}
FILES = {
    "/etc/passwd": "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
DEADLINE_S = 300


def missing():
    """What this machine lacks to run a guest, or None."""
    if os.uname().machine != "x86_64":
        return "the kernel tests need an x86-64 machine: their guests run the program that was built here"
    for program, package in (("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static")):
        if not shutil.which(program):
            return f"no {program}: install {package}"
    return None


def kernel(series):
    """Path of its image, or (None, why)."""
    done = subprocess.run([HERE / "kernel.sh", series], capture_output=True, text=True)
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or [f"kernel.sh ended with {done.returncode}"])[-1]
    return Path(done.stdout.strip()), None


def libraries(program):
    """Shared objects of a program, its loader included, as the dynamic linker of this machine finds them."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"(?:=> )?(/\S+) \(0x", said))


def cpio_entry(name, mode, data=b""):
    """One file of an initramfs: the kernel's Documentation, early-userspace/buffer-format (newc)."""
    cpio_entry.inode += 1
    path = name.lstrip("/").encode() + b"\0"
    head = b"070701" + b"%08X" * 13 % (cpio_entry.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    return pad(head + path) + pad(data)


cpio_entry.inode = 0


def pad(data):
    return data + b"\0" * (-len(data) % 4)


def initramfs(path, trials):
    """busybox, our programs with their libraries, and the list of trials that guest.sh runs."""
    files = {f"/bin/{name}": program for name, program in PROGRAMS.items()} | {"/bin/busybox": shutil.which("busybox"), "/init": HERE / "guest.sh"}
    for program in PROGRAMS.values():
        files |= {library: library for library in libraries(program)}
    contents = {name: (Path(source).read_bytes(), 0o755) for name, source in files.items()}
    contents |= {name: (text.encode(), 0o644) for name, text in (FILES | {"/etc/trials": trials}).items()}
    folders = sorted({str(parent) for name in contents for parent in Path(name).parents} - {"/"} | {"/usr"})
    with open(path, "wb") as out:
        for folder in folders:
            out.write(cpio_entry(folder, stat.S_IFDIR | 0o755))
        for name, (data, mode) in contents.items():
            out.write(cpio_entry(name, stat.S_IFREG | mode, data))
        out.write(cpio_entry("TRAILER!!!", 0))


def boot(image, folder, trials):
    """Runs a guest to its end. Returns {file: bytes} of what it sent; the console is in folder/console."""
    ramdisk, results, console = folder / "initramfs", folder / "results.tgz", folder / "console"
    initramfs(ramdisk, trials)
    results.unlink(missing_ok=True)
    # One thread for all emulated CPUs: with one for each, QEMU before 8.1 may run an int3 that the kernel has already taken out of its code (static branches), and the kernel panics.
    argv = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "1024", "-nographic", "-nodefaults", "-no-reboot",
            "-kernel", image, "-initrd", ramdisk, "-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on tsc=reliable nowatchdog rcupdate.rcu_cpu_stall_suppress=1", "-serial", f"file:{console}", "-serial", f"file:{results}"]
    # Emulated CPUs are late when this machine is busy: the guest must doubt neither its clock nor its tasks.
    # PDEATHSIG: an emulator outlives no test that was cut short.
    argv = ["setpriv", "--pdeathsig", "KILL", *argv]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"the guest did not end within {DEADLINE_S} s:\n{tail(console)}") from None
    assert done.returncode == 0, f"QEMU ended with {done.returncode}: {done.stderr}"
    try:
        with tarfile.open(fileobj=io.BytesIO(results.read_bytes())) as archive:
            return {m.name.removeprefix("./"): archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}
    except (tarfile.TarError, EOFError) as e:
        raise AssertionError(f"the guest sent nothing whole ({e}):\n{tail(console)}") from None


def tail(console):
    return console.read_text(errors="replace")[-3000:] if console.exists() else "(no console)"
