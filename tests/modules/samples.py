"""The samples of tests/modules: modules that must build, and modules that must not."""
import dataclasses

KINDS = ["component", "subsystem", "policy", "personality", "view"]
CONTRACT_KINDS = ["component", "subsystem", "policy", "personality"]
FOLDERS = {"component": "drivers", "subsystem": "vfs", "policy": "policy", "personality": "abi", "view": "views"}
CONTAINED = ("component", "policy")

STRING_C = """#include <lib/types.h>
void *memcpy(void *dst, const void *src, size_t n);
void *memcpy(void *dst, const void *src, size_t n)
{
	for (size_t i = 0; i < n; i++)
		((volatile char *)dst)[i] = ((const char *)src)[i];
	return dst;
}
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	(void)fmt;
	(void)ap;
	if (size)
		*buf = 0;
	return 0;
}
"""


@dataclasses.dataclass
class Sample:
    name: str
    kind: str
    what: str
    text: str
    error: str | None
    folder: str
    contracts: list
    args: tuple = ()
    keep_flags: bool = False


def contract_of(kind):
    return "t_" + ("subsystem" if kind == "view" else kind)


def module_text(kind, before="", expression="(x + 1)", after="", implement=True, module=True):
    """A whole module of a kind, with more declarations and another expression as its answer."""
    contract = contract_of(kind)
    if kind == "component":
        head, context, result = "", "struct kabi_ctx *ctx", "answer_t"
    elif kind == "policy":
        head, context, result = "", "const struct kabi_policy_ctx *ctx", "u64"
    else:
        head, context, result = "long test_core_function(long x);\n", "struct call *ctx", "answer_t"
    text = f"#include <kabi/{contract}.h>\n{head}"
    if module:
        text += 'KABI_MODULE(1, "GPL-2.0-only");\n'
    text += before
    text += f"static {result} first({context}, u64 x)\n{{\n\t(void)ctx;\n\treturn ({result}){expression};\n}}\n{after}"
    if implement:
        text += f"KABI_IMPLEMENT({contract}, .first = first);\n"
    return text


# what, declarations, expression, expected words; the same for every kind of module
WRITABLE = [
    ("initialised global variable", "u64 global_data = 5;\n", "(x + global_data++)", r"writable section \.data: .*global_data"),
    ("zeroed global variable", "u64 global_bss;\n", "(x + global_bss++)", r"writable section \.bss: .*global_bss"),
    ("static variable", "static u64 file_static = 7;\n", "(x + file_static++)", r"writable section \.data: .*file_static"),
    ("zeroed static variable", "static u64 file_bss;\n", "(x + file_bss++)", r"writable section \.bss: .*file_bss"),
    ("function-local static variable",
     "static u64 count(void)\n{\n\tstatic u64 calls = 3;\n\n\treturn calls++;\n}\n", "(x + count())",
     r"writable section \.data: .*count\.calls"),
    ("zeroed function-local static variable",
     "static u64 count(void)\n{\n\tstatic u64 calls;\n\n\treturn calls++;\n}\n", "(x + count())",
     r"writable section \.bss: .*count\.calls"),
    ("initialised thread-local variable", "static _Thread_local u64 per_thread = 4;\n", "(x + per_thread++)",
     r"thread-local variable in section \.tdata: .*per_thread"),
    ("zeroed thread-local variable", "static _Thread_local u64 per_thread;\n", "(x + per_thread++)",
     r"thread-local variable in section \.tbss: .*per_thread"),
    ("constructor", "[[gnu::constructor]] static void at_start(void)\n{\n\t__asm__ volatile(\"\");\n}\n", "(x + 1)",
     r"constructor or destructor in section \.init_array"),
    ("destructor", "[[gnu::destructor]] static void at_end(void)\n{\n\t__asm__ volatile(\"\");\n}\n", "(x + 1)",
     r"constructor or destructor in section \.fini_array"),
    ("old-style constructor table",
     "static void at_start(void)\n{\n\t__asm__ volatile(\"\");\n}\n"
     "[[gnu::section(\".ctors\"), gnu::used]] static void (*table[])(void) = {at_start};\n", "(x + 1)",
     r"constructor or destructor in section \.ctors"),
    ("writable section of its own", "[[gnu::section(\".hidden\"), gnu::used]] static u64 in_hidden = 5;\n", "(x + in_hidden++)",
     r"writable section \.hidden: .*in_hidden"),
    ("zeroed section of its own", "[[gnu::section(\".bss.hidden\"), gnu::used]] static u64 in_hidden;\n", "(x + in_hidden++)",
     r"writable section \.bss: .*in_hidden"),
    ("writable data in the vtables' section",
     "__asm__(\".section .kabi.vtable,\\\"aw\\\",%progbits\\n.globl planted\\nplanted: .quad 5\\n.previous\");\n", "(x + 1)", None),
]

FUNCTION = "static u64 __attribute__((noinline)) other(u64 x)\n{\n\t__asm__ volatile(\"\");\n\treturn x * 3;\n}\n"
CODE_ADDRESS = [
    ("table of function pointers", FUNCTION +
     "struct ops {\n\tu64 (*call)(u64 x);\n};\nextern const struct ops table[2];\nconst struct ops table[2] = {{other}, {nullptr}};\n"
     "[[gnu::section(\".rodata\"), gnu::used]] static u64 (*const in_rodata)(u64) = other;\n",
     "(table[x & 1].call(x))", r"(data holds a code address: .* refers to .*other|writable section \.data\.rel\.ro|section type mismatch)"),
    ("function pointer planted by assembly", FUNCTION +
     "__asm__(\".section .rodata.planted,\\\"a\\\",%progbits\\n.balign 8\\nplanted: .quad other\\n.previous\");\n"
     "[[gnu::used]] static u64 (*keep(void))(u64)\n{\n\treturn other;\n}\n", "(x + 1)",
     r"data holds a code address: planted refers to other"),
    ("relative code address", FUNCTION +
     "__asm__(\".section .rodata.planted,\\\"a\\\",%progbits\\n.balign 8\\nplanted: .long other - .\\n.previous\");\n"
     "[[gnu::used]] static u64 (*keep(void))(u64)\n{\n\treturn other;\n}\n", "(x + 1)",
     r"data holds a code address: planted refers to other"),
    ("code address in a note", FUNCTION +
     "__asm__(\".section .note.kabi,\\\"a\\\",%note\\n.balign 8\\nplanted: .quad other\\n.previous\");\n"
     "[[gnu::used]] static u64 (*keep(void))(u64)\n{\n\treturn other;\n}\n", "(x + 1)",
     r"data holds a code address: planted refers to other"),
]

EXECUTABLE = [
    ("code in a section of its own", "[[gnu::section(\".code2\"), gnu::noinline]] static u64 elsewhere(u64 x)\n{\n\t__asm__ volatile(\"\");\n\treturn x;\n}\n",
     "(elsewhere(x))", r"code in section \.code2: .*elsewhere"),
    ("indirect function", "static u64 (*resolve(void))(u64);\nu64 chosen(u64 x) __attribute__((ifunc(\"resolve\")));\n" + FUNCTION +
     "static u64 (*resolve(void))(u64)\n{\n\treturn other;\n}\n", "(chosen(x))", r"indirect function: chosen"),
    ("read-only section of its own", "[[gnu::section(\".strange\"), gnu::used]] static const u64 strange = 5;\n", "(x + 1)",
     r"section \.strange is not part of a module: .*strange"),
]

# Who may not include what (ARCHITECTURE.md). Values: include lines.
CORE_HEADERS = ["core/call.h", "core/mm.h", "core/log.h", "core/object.h", "core/evolve.h", "nucleus/slot.h", "nucleus/cap.h",
                "arch/mmu.h", "arch/elf.h", "kabi/slots.h", "kabi/frame.h"]
FORBIDDEN = {
    "component": CORE_HEADERS + ["stdio.h", "linux/types.h"],
    "policy": CORE_HEADERS + ["sdk/component.h", "stdio.h"],
    "subsystem": ["net/net.h", "abi/linux.h", "sdk/component.h", "stdio.h"],
    "personality": ["vfs/vfs.h", "sdk/component.h", "stdio.h"],
    "view": ["vfs/vfs.h", "sdk/component.h", "stdio.h"],
}


class Builder:
    def __init__(self):
        self.samples = []

    def add(self, kind, what, text, error, folder=None, contracts=None, **more):
        name = more.pop("name", None) or f"s{len(self.samples):03d}_{kind}"
        self.samples.append(Sample(name, kind, what, text, error, folder or FOLDERS[kind],
                                   contracts or [contract_of(kind)], **more))


def relocation_text(kind):
    """Uses as many relocation types as C gives: calls, branches, tables, each width of load from read-only data."""
    call = "(u64)test_core_function((long)x)" if kind != "component" else "x"
    return module_text(
        kind, FUNCTION + """
struct wide {
	u64 a, b;
} __attribute__((aligned(16)));
static const u8 bytes[5] = {1, 2, 3, 4, 5};
static const u16 halves[5] = {10, 20, 30, 40, 50};
static const u32 words[5] = {100, 200, 300, 400, 500};
static const u64 doubles[5] = {1000, 2000, 3000, 4000, 5000};
static const struct wide pairs[3] = {{1, 2}, {3, 4}, {5, 6}};
[[gnu::noinline]] static const char *text_of(u64 x)
{
	switch (x) {
	case 1: return "one";
	case 2: return "two";
	case 9: return "nine";
	default: return "many";
	}
}
[[gnu::noinline]] static u64 mix(u64 x, struct wide *out)
{
	*out = pairs[x % 3];
	if (x & 1)
		return other(x) + bytes[x % 5] + halves[x % 5];
	return words[x % 5] + doubles[x % 5] + (u64)text_of(x)[0] + words[2] + halves[1] + doubles[3] + bytes[2];
}
[[gnu::used]] static const u64 *which(void)
{
	return doubles;
}
/* What C gives only by chance: every other type that the port's relocation code claims. */
#if defined(__aarch64__)
__asm__(".section .rodata.wide,\\"a\\",%progbits\\n.balign 64\\n.skip 32\\nwide_data: .skip 32\\n.previous\\n"
	".section .rodata.relative,\\"a\\",%progbits\\nrelative: .word wide_data - .\\n.balign 8\\n.quad wide_data - .\\n.previous\\n"
	".text\\n.globl planted_text\\nplanted_text: adrp x0, wide_data\\n"
	"ldrb w1, [x0, :lo12:wide_data]\\nldrh w1, [x0, :lo12:wide_data]\\nldr w1, [x0, :lo12:wide_data]\\n"
	"ldr x1, [x0, :lo12:wide_data]\\n.arch_extension fp\\nldr q1, [x0, :lo12:wide_data]\\nadr x2, planted_far\\ntbz x1, #3, planted_far\\n"
	"cbz x1, planted_far\\nb.eq planted_far\\nb planted_far\\nbl planted_far\\n.previous\\n"
	".section .text.far,\\"ax\\",%progbits\\n.globl planted_far\\nplanted_far: ret\\n.previous\\n");
#elif defined(__x86_64__)
__asm__(".section .rodata.wide,\\"a\\",@progbits\\n.balign 64\\nwide_data: .skip 32\\n.previous\\n"
	".section .rodata.relative,\\"a\\",@progbits\\nrelative: .quad wide_data - .\\n.long wide_data - .\\n.previous\\n"
	".text\\n.globl planted_text\\nplanted_text: jmp planted_far\\nje planted_far\\nlea wide_data+4(%rip), %rax\\n.previous\\n"
	".section .text.far,\\"ax\\",@progbits\\n.globl planted_far\\nplanted_far: ret\\n.previous\\n");
#endif
""", f"(({{ struct wide w; mix(x, &w) + w.a + {call}; }}))")


def build_samples():
    b = Builder()
    for kind in KINDS:
        good = "((u64)test_core_function((long)x))" if kind not in CONTAINED else "(x + 1)"
        b.add(kind, "a good module", module_text(kind, expression=good), None, name="good_" + kind)
        for what, before, expression, error in WRITABLE:
            if error:
                b.add(kind, what, module_text(kind, before, expression), error)
        for what, before, expression, error in CODE_ADDRESS + EXECUTABLE:
            b.add(kind, what, module_text(kind, before, expression), error)
        b.add(kind, "a module without KABI_MODULE", module_text(kind, module=False), r"no KABI_MODULE")
        b.add(kind, "a module that implements nothing",
              module_text(kind, after="[[gnu::used]] static const void *keep(void)\n{\n\treturn (const void *)first;\n}\n",
                          implement=False), r"no KABI_IMPLEMENT")
        for header in FORBIDDEN[kind]:
            folders = ("drivers", "fs") if kind == "component" and header.startswith(("core/call", "nucleus", "arch/mmu")) \
                else (FOLDERS[kind],)
            for folder in folders:
                b.add(kind, f"{folder}/: #include <{header}>", f"#include <{header}>\n" + module_text(kind),
                      r"file not found", folder=folder)
    for kind in KINDS:
        b.add(kind, "an include that climbs out of the module's folder",
              "#include \"../../lib/include/lib/list.h\"\n" + module_text(kind), r"leaves the module's folder")
        b.add(kind, "an include of a neighbour's header", "#include \"../good_" + kind + "/good_" + kind + ".c\"\n", r"leaves the module's folder")
        b.add(kind, "an embedding of a file from elsewhere", module_text(
            kind, "static const u8 other[] = {\n#embed \"../../meson_options.txt\"\n};\n", "(other[x & 1])"), r"leaves the module's folder")
        b.add(kind, "an include of a test", module_text(kind, "#if 0\n#include \"test/double.h\"\n#endif\n"), r"is of a test")
        b.add(kind, "an include of a contract that it does not declare",
              module_text(kind, "#if 0\n#include <kabi/rtc_driver.h>\n#endif\n"), r"kabi/rtc_driver\.h is of a contract that the module does not declare")
    for kind in CONTAINED:
        b.add(kind, "a call of a core function",
              module_text(kind, "long test_core_function(long x);\n", "((u64)test_core_function((long)x))"),
              r"undefined symbol test_core_function")
        b.add(kind, "a use of a core variable", module_text(kind, "extern u64 core_variable;\n", "(x + core_variable)"),
              r"undefined symbol core_variable")
        b.add(kind, "a weak reference to core", module_text(kind, "extern u64 core_variable __attribute__((weak));\n",
                                                            "(&core_variable ? x + core_variable : x)"),
              r"undefined symbol core_variable")
        b.add(kind, "a constant table of pointers",
              module_text(kind, "extern const char *const names[5];\nconst char *const names[5] = {\"a\", \"bc\"};\n", "(names[x & 3][0])"),
              r"writable section \.data\.rel\.ro: .*names")
        b.add(kind, "memcpy of its own from lib",
              module_text(kind, "[[gnu::noinline]] static u64 sum(const u8 *p)\n{\n\tu8 copy[200];\n\n"
                          "\t__builtin_memcpy(copy, p, *p);\n\t__asm__ volatile(\"\" : : \"r\"(copy) : \"memory\");\n\treturn copy[1];\n}\n",
                          "(sum((const u8 *)&x))"), None)
    b.add("component", "the sdk's template", TEMPLATE, None, name="template", contracts=["rtc_driver"])
    b.add("subsystem", "all relocation types of C", relocation_text("subsystem"), None, name="relocations_trusted")
    b.add("component", "all relocation types of C", relocation_text("component"), None, name="relocations_component")
    return b.samples


def loader_samples():
    """Files that somebody linked past ukocheck: the loader must refuse them alone."""
    b = Builder()
    for kind in ("component", "subsystem", "policy"):
        for what, before, expression, error in WRITABLE[:12]:
            words = error.split(":")[-1].replace(".*", "").strip() if ":" in error else ""
            b.add(kind, what, module_text(kind, before, expression), f"(writable section|thread-local variable|constructor).*{words}")
        for what, before, expression, _ in CODE_ADDRESS[1:3]:
            b.add(kind, what, module_text(kind, before, expression), r"data holds a code address: planted refers to other")
        b.add(kind, "no KABI_MODULE", module_text(kind, module=False), r"no KABI_MODULE note")
        b.add(kind, "code in a section of its own", module_text(kind, EXECUTABLE[0][1], EXECUTABLE[0][2]),
              r"section \.code2 is not part of a module: elsewhere")
        b.add(kind, "a symbol that core lacks", module_text(kind, "extern u64 no_such_thing(u64 x);\n", "(no_such_thing(x))"),
              r"undefined symbol no_such_thing")
        b.add(kind, "a contract of another kind",
              module_text(kind).replace(f"KABI_IMPLEMENT({contract_of(kind)}",
                                        "KABI_IMPLEMENT(" + contract_of("personality")).replace(
                  "<kabi/", "<kabi/t_personality.h>\n#include <kabi/", 1).replace(".first = first", ".first = (void *)first"),
              rf"a {kind} may not implement contract t_personality")
        b.add(kind, "a mandatory method missing",
              module_text(kind).replace(".first = first", ".second = first"), r"method first is missing")
        b.add(kind, "a later version of the contract",
              module_text(kind).replace("KABI_IMPLEMENT(", f"#undef kabi_version_{contract_of(kind)}\n#define kabi_version_{contract_of(kind)} 2\nKABI_IMPLEMENT("),
              r"version 2 with 2 methods, this kernel has version 1 with 2")
        b.add(kind, "more methods than the contract has",
              module_text(kind).replace("KABI_IMPLEMENT(", f"#undef kabi_nr_methods_{contract_of(kind)}\n#define kabi_nr_methods_{contract_of(kind)} 3\nKABI_IMPLEMENT("),
              r"with 3 methods, this kernel has version 1 with 2")
    b.add("component", "a call of a core function",
          module_text("component", "long test_core_function(long x);\n", "((u64)test_core_function((long)x))"),
          r"undefined symbol test_core_function: a component sees only its contracts")
    b.add("component", "a vtable section that is writable", module_text("component"), r"writable section \.kabi\.vtable",
          keep_flags=True)
    return b.samples


TEMPLATE = None


def _read_template():
    import pathlib
    return (pathlib.Path(__file__).resolve().parents[2] / "sdk/template/template.c").read_text()


TEMPLATE = _read_template()


def cpio(files):
    out = b""
    for number, (name, data) in enumerate([*files.items(), ("TRAILER!!!", b"")]):
        fields = (number, 0o100444, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return out


HEAD = "contract bad version 1 kind component;\n"
METHOD = "method ok(x: u32);\n"
CONTRACT_ERRORS = [
    ("an unknown type", HEAD + "method m(x: u33);\n", r"bad\.kabi:2:13: error: unknown type 'u33'"),
    ("a struct by value", HEAD + "struct s { u32 a; }\nmethod m(x: s);\n", r":3:13: error: no struct crosses by value"),
    ("a core object to a component", HEAD + "object inode;\nmethod m(x: object inode);\n", r"use a handle"),
    ("a user address to a component", HEAD + "method m(x: user bytes);\n", r"never has a user address"),
    ("a file of another name", METHOD.join(["contract worse version 1 kind component;\n", ""]), r"must be in a file worse\.kabi"),
    ("no methods", HEAD, r"has no methods"),
    ("a second method of a name", HEAD + METHOD + METHOD, r":3:8: error: second 'ok' \(the first is at line 2\)"),
    ("a method that is not appended", "contract bad version 2 kind component;\nmethod a() since 2 { default ENOSYS; }\n" + METHOD,
     r"append-only"),
    ("a later method without default", "contract bad version 2 kind component;\n" + METHOD + "method a() since 2;\n", r"needs 'default'"),
    ("a policy that answers", "contract bad version 1 kind policy;\nmethod m(x: u32) -> answer;\n", r"a policy returns void or a scalar"),
    ("a component that returns a scalar", HEAD + "method m() -> u64;\n", r"methods of this kind return answer"),
    ("an unknown exclusion", HEAD + "method m(d: handle) { exclusion lunch shared; }\n", r"unknown exclusion class"),
    ("an exclusion without a handle", HEAD + "method m(d: u32) { exclusion queue shared; }\n", r"needs a handle parameter"),
    ("an open string", HEAD + "method m() { doc \"x; }\n", r"string is not closed"),
    ("an open comment", HEAD + "/* x\n", r"comment is not closed"),
    ("a number beyond 64 bits", HEAD + "const X = 99999999999999999999;\n", r"does not fit 64 bits"),
    ("an enum value beyond its base", HEAD + "enum e : u8 { a = 256 }\n" + METHOD, r"value does not fit 8 bits"),
    ("a default in a struct", HEAD + "struct s { u32 a = 5; }\n" + METHOD, r"belong to state"),
    ("a field from the future", HEAD + "state s version 1 lifetime state { u32 a since 2 = 0; }\n" + METHOD, r"the state is at version 1"),
    ("an unknown lifetime", HEAD + "state s version 1 lifetime weekend { u32 a; }\n" + METHOD, r"lifetime is state, device or scratch"),
    ("a struct that contains itself", HEAD + "struct s { s a; }\n" + METHOD, r"used before its layout is known"),
    ("a missing import", HEAD + "import nothing_here;\n" + METHOD, r"no file nothing_here\.kabi"),
    ("a character without meaning", HEAD + "method m() -> $;\n", r"character '\$'"),
    ("slots of a component", HEAD + "slots a, b;\n" + METHOD, r"fixed slots"),
    ("a second field", HEAD + "struct s { u32 a; u8 a; }\n" + METHOD, r"second field 'a'"),
    ("a second parameter", HEAD + "method m(a: u32, a: u8);\n", r"second parameter 'a'"),
    ("a tunable outside of its range", "contract bad version 1 kind policy;\ntunable t u64 default 5 range 6 .. 9;\nmethod m() -> void;\n",
     r"default is outside the range"),
]
