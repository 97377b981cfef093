# SPDX-License-Identifier: MIT
"""The ways from power-on to the kernel: BOOT=..., what QEMU is given and which files that takes.

  kernel      QEMU's own loader: PVH on x86_64, the Image header on arm64, OpenSBI on riscv64
  uboot       U-Boot finds the image in memory (arm64, riscv64: booti), on a disk (x86_64: bootelf)
  uboot-disk  U-Boot boots /extlinux/extlinux.conf of the first partition of a virtio disk by itself
  uboot64     (x86_64) as uboot, by the U-Boot that runs in 64-bit mode
  grub        (x86_64) GRUB from a CD, by the Multiboot 2 protocol
  fw_jump     (riscv64) the OpenSBI that knows the kernel's address when it is built

Nobody presses a key, nothing needs root: the disk is a directory that QEMU shows as FAT, and what
U-Boot shall do stands in the place where it looks for its settings on that port.
"""
import os
import shlex
import shutil
import struct
import subprocess
import zlib

import fdt

PATHS = {"x86_64": ("kernel", "uboot", "uboot64", "grub"),
         "arm64": ("kernel", "uboot", "uboot-disk"),
         "riscv64": ("kernel", "uboot", "uboot-disk", "fw_jump")}
FIRMWARE = {
    ("x86_64", "uboot"): "/usr/lib/u-boot/qemu-x86/u-boot.rom",
    ("x86_64", "uboot64"): "/usr/lib/u-boot/qemu-x86_64/u-boot.rom",
    ("arm64", "uboot"): "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
    ("arm64", "uboot-disk"): "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
    ("riscv64", "uboot"): "/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf",
    ("riscv64", "uboot-disk"): "/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf",
    ("riscv64", "fw_jump"): "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin",
}
# Where `uboot` has the image put. arm64's header lets it stay there; riscv64's has it moved to
# where OpenSBI would have jumped.
PLACE = {"arm64": 0x40400000, "riscv64": 0x84000000}
FLASH_SIZE = 64 << 20   # arm64's second flash, where U-Boot keeps its environment
ENV_SIZE = 0x40000
X86_LOAD = 0x4000000    # where bootelf reads the ELF file from


def lacking(w):
    """What this boot path needs and the host lacks, as a sentence; None if nothing."""
    path = FIRMWARE.get((w["arch"], w["boot"]))
    if path and not os.path.exists(path):
        return f"BOOT={w['boot']}: there is no {path}"
    if w["boot"] == "grub":
        for tool in ("grub-mkrescue", "xorriso", "mformat"):
            if not shutil.which(tool):
                return f"BOOT=grub: there is no {tool}"
        if not os.path.isdir("/usr/lib/grub/i386-pc"):
            return "BOOT=grub: there is no /usr/lib/grub/i386-pc (GRUB for PCs)"
    return None


def folder(w, out):
    return f"{out}/boot-{w['boot']}"


def place(w):
    """Where the image is put in memory."""
    return int(w["place"], 0) if w.get("place") else PLACE.get(w["arch"], 0)


def words(w, out, image):
    """QEMU's words that put firmware, image and command line into the machine."""
    arch, boot = w["arch"], w["boot"]
    at, firmware = folder(w, out), FIRMWARE.get((arch, boot))
    load = ["-device", f"loader,file={image},addr={place(w):#x},force-raw=on"]
    disk = f"if=none,id=disk,format=raw,snapshot=on,file=fat:{at}"
    if boot == "grub":
        return ["-boot", "d", "-cdrom", f"{at}.iso"]
    if arch == "x86_64" and boot != "kernel":
        # The chipset's own controller: U-Boot waits long for drives that this one does not have.
        device = "virtio-blk-pci" if w["machine"].startswith("pc") else "ide-hd"
        return ["-bios", firmware, "-drive", disk, "-device", f"{device},drive=disk"]
    if (arch, boot) == ("arm64", "uboot"):
        return ["-bios", firmware, "-drive", f"if=pflash,index=1,format=raw,file={at}/flash", *load]
    if (arch, boot) == ("riscv64", "uboot"):
        return ["-kernel", firmware, "-dtb", f"{at}/dtb", *load]
    if boot == "uboot-disk":
        option = "-bios" if arch == "arm64" else "-kernel"
        return [option, firmware, "-drive", disk, "-device", "virtio-blk-device,drive=disk"]
    given = ["-bios", firmware] if firmware else []
    return given + ["-kernel", image] + (["-append", w["append"]] if w["append"] else [])


# ---- Files ---------------------------------------------------------------------------------------

def write(path, data):
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def quoted(text):
    """As U-Boot's and GRUB's shells take it back as one word."""
    return "'" + text.replace("'", "'\\''") + "'"


def environment(variables):
    """U-Boot's environment as it lies in flash: a checksum, then NAME=VALUE, each ended by 0."""
    text = b"".join(f"{name}={value}\0".encode() for name, value in variables)
    text = (text + b"\0").ljust(ENV_SIZE - 4, b"\xff")
    return struct.pack("<I", zlib.crc32(text)) + text


def script_image(text):
    """U-Boot's image of a script (boot.scr): a header with checksums, a list of one size, text."""
    body = struct.pack(">II", len(text), 0) + text.encode()
    kind = bytes((17, 7, 6, 0))  # U-Boot's own, x86 or any, script, not compressed

    def header(checksum):
        return struct.pack(">7I4s32s", 0x27051956, checksum, 0, len(body), 0, 0,
                           zlib.crc32(body), kind, b"grace")
    return header(zlib.crc32(header(0))) + body


def tree_with_config(blob, properties):
    """A device tree with a node /config that has these properties, of text or bytes."""
    tree = fdt.read(blob)
    tree.root.ask("config").props.update(
        {name: value if isinstance(value, bytes) else value.encode() + b"\0"
         for name, value in properties})
    return fdt.write(tree)


def prepare_flash(w, at):
    path = f"{at}/flash"
    write(path, environment((
        ("bootdelay", "-2"), ("bootargs", w["append"]),
        ("bootcmd", f"booti {place(w):#x} - ${{fdtcontroladdr}}"))))
    os.truncate(path, FLASH_SIZE)


def prepare_tree(w, at, command):
    """U-Boot on riscv64 has no environment of its own here, but heeds /config in its own tree."""
    dump = list(command)
    del dump[dump.index("-dtb"):dump.index("-dtb") + 2]
    dump[dump.index("-M") + 1] += f",dumpdtb={at}/qemu.dtb"
    subprocess.run(dump, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60, check=True)
    with open(f"{at}/qemu.dtb", "rb") as tree:
        data = tree.read()
    write(f"{at}/dtb", tree_with_config(data, (
        ("bootdelay", b"\0\0\0\0"),
        ("bootcmd", f"setenv bootargs {quoted(w['append'])}; "
                    f"booti {place(w):#x} - ${{fdtcontroladdr}}"))))


def prepare_extlinux(w, at, image):
    shutil.copyfile(image, f"{at}/grace.img")
    os.makedirs(f"{at}/extlinux", exist_ok=True)
    write(f"{at}/extlinux/extlinux.conf", "TIMEOUT 0\nDEFAULT grace\nLABEL grace\n"
          f"KERNEL /grace.img\nAPPEND {w['append']}\n")


def prepare_bootelf(w, at, image):
    """What follows the address is handed to the entry as its arguments (firmware.c)."""
    shutil.copyfile(image, f"{at}/grace.elf")
    write(f"{at}/boot.scr", script_image(
        f"load ${{devtype}} ${{devnum}}:${{distro_bootpart}} {X86_LOAD:#x} /grace.elf\n"
        "setenv autostart yes\n"
        f"bootelf -p {X86_LOAD:#x} grace {quoted(w['append'])}\n"))


def prepare_grub(w, at, image):
    os.makedirs(f"{at}/boot/grub", exist_ok=True)
    shutil.copyfile(image, f"{at}/boot/grace.img")
    args = " ".join(map(quoted, shlex.split(w["append"])))
    write(f"{at}/boot/grub/grub.cfg", "serial --unit=0 --speed=115200\nterminal_input serial\n"
          "terminal_output serial\n"
          f"multiboot2 /boot/grace.img {args}\nboot\n")
    done = subprocess.run(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", f"{at}.iso", at],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise OSError(f"grub-mkrescue failed:\n{done.stdout}")


def prepare(w, out, command, image):
    """Writes the files that words() names; command is QEMU's whole command line."""
    boot, at = w["boot"], folder(w, out)
    if boot in ("kernel", "fw_jump"):
        return
    shutil.rmtree(at, ignore_errors=True)
    os.makedirs(at)
    if boot == "grub":
        prepare_grub(w, at, f"{out}/grace.img")
    elif w["arch"] == "x86_64":
        prepare_bootelf(w, at, image)
    elif boot == "uboot-disk":
        prepare_extlinux(w, at, image)
    elif w["arch"] == "arm64":
        prepare_flash(w, at)
    else:
        prepare_tree(w, at, command)
