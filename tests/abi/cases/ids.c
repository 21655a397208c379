/* ids.c: user and group identities, capabilities, and what they allow. */
#define ABI_FAMILY "ids"
#include "../abi.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

struct three {
	uint32_t real, effective, saved;
};

static struct three users(void)
{
	struct three t;

	OK(SYS(getresuid, &t.real, &t.effective, &t.saved));
	return t;
}

static void expect_users(uint32_t real, uint32_t effective, uint32_t saved)
{
	struct three t = users();

	EQ(t.real, real);
	EQ(t.effective, effective);
	EQ(t.saved, saved);
}

static uint64_t effective_caps(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	OK(SYS(capget, &head, data));
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

CASE(root, "getuid:value", "geteuid:value", "getgid:value", "getegid:value", "getresuid:values",
	"getresgid:values", "getresuid:EFAULT")
{
	struct three g = {9, 9, 9};

	EQ(SYS(getuid), 0);
	EQ(SYS(geteuid), 0);
	EQ(SYS(getgid), 0);
	EQ(SYS(getegid), 0);
	expect_users(0, 0, 0);
	OK(SYS(getresgid, &g.real, &g.effective, &g.saved));
	T(g.real == 0 && g.effective == 0 && g.saved == 0);
	ERR(SYS(getresuid, (void *)-4096L, &g, &g), EFAULT);
}

CASE(setresuid, "setresuid:each", "setresuid:-1 keeps", "setresuid:EPERM", "setresuid:saved back",
	"geteuid:value")
{
	OK(SYS(setresuid, 1, 2, 3)); /* each */
	expect_users(1, 2, 3);
	OK(SYS(setresuid, -1, 3, -1)); /* -1 keeps */
	expect_users(1, 3, 3);
	OK(SYS(setresuid, 3, 1, 1)); /* any of the three may be taken */
	expect_users(3, 1, 1);
	ERR(SYS(setresuid, 0, -1, -1), EPERM);
	ERR(SYS(setresuid, -1, 5, -1), EPERM);
	OK(SYS(setresuid, -1, 3, -1)); /* saved back */
	EQ(SYS(geteuid), 3);
}

CASE(setuid, "setuid:root sets all", "setuid:EPERM", "setuid:EINVAL", "setuid:user sets effective",
	"setreuid:saved follows", "setreuid:EPERM")
{
	CHILD_OK
	{
		OK(SYS(setuid, 7)); /* root sets all */
		expect_users(7, 7, 7);
		ERR(SYS(setuid, 0), EPERM);
		ERR(SYS(setuid, -1), EINVAL);
	}
	CHILD_OK
	{
		OK(SYS(setresuid, 5, 6, 0));
		OK(SYS(setuid, 5)); /* user sets effective */
		expect_users(5, 5, 0);
	}
	OK(SYS(setreuid, 10, 11));
	expect_users(10, 11, 11); /* saved follows */
	OK(SYS(setreuid, 11, 10));
	ERR(SYS(setreuid, 0, -1), EPERM);
}

CASE(setgid, "setresgid:each", "setgid:root sets all", "setregid:saved follows", "setresgid:EPERM",
	"setgid:EPERM", "setregid:EPERM", "setgid:EINVAL")
{
	struct three g;

	OK(SYS(setresgid, 1, 2, 3)); /* each */
	OK(SYS(getresgid, &g.real, &g.effective, &g.saved));
	T(g.real == 1 && g.effective == 2 && g.saved == 3);
	OK(SYS(setgid, 4)); /* root sets all */
	OK(SYS(setregid, 8, 9));
	OK(SYS(getresgid, &g.real, &g.effective, &g.saved));
	T(g.real == 8 && g.effective == 9 && g.saved == 9); /* saved follows */
	ERR(SYS(setgid, -1), EINVAL);
	OK(SYS(setresuid, 1000, 1000, 1000));
	ERR(SYS(setresgid, 0, -1, -1), EPERM);
	ERR(SYS(setgid, 0), EPERM);
	ERR(SYS(setregid, 0, -1), EPERM);
	OK(SYS(setresgid, 9, 8, 8));
}

CASE(groups, "setgroups:list", "getgroups:list", "getgroups:EINVAL", "setgroups:EPERM",
	"setgroups:EINVAL", "getgroups:size", "setgroups:grants access", "getgroups:EFAULT")
{
	uint32_t set[3] = {300, 100, 200}, got[3];
	static uint32_t many[65537];

	OK(SYS(setgroups, 3, set));     /* list */
	EQ(SYS(getgroups, 0, NULL), 3); /* size */
	EQ(SYS(getgroups, 3, got), 3);
	EQ(got[0] + got[1] + got[2], 600);
	ERR(SYS(getgroups, 2, got), EINVAL);
	ERR(SYS(getgroups, 3, (void *)-4096L), EFAULT);
	ERR(SYS(setgroups, 65537, many), EINVAL);
	abi_file("f", "x");
	OK(SYS(fchownat, AT_FDCWD, "f", 0, 200, 0));
	OK(SYS(fchmodat, AT_FDCWD, "f", 0040));
	OK(SYS(setresgid, 1000, 1000, 1000));
	OK(SYS(setresuid, 1000, 1000, 1000));
	OK(SYS(openat, AT_FDCWD, "f", O_RDONLY)); /* grants access */
	ERR(SYS(openat, AT_FDCWD, "f", O_WRONLY), EACCES);
	ERR(SYS(setgroups, 1, set), EPERM);
	EQ(SYS(getgroups, 0, NULL), 3);
}

CASE(fsuid, "setfsuid:old value", "setfsgid:old value", "setfsuid:refused in silence",
	"setfsuid:used for files")
{
	struct stat st;

	EQ(SYS(setfsuid, 50), 0); /* old value */
	EQ(SYS(setfsuid, -1), 50);
	EQ(SYS(setfsgid, 60), 0);
	OK(SYS(setfsuid, 0));
	OK(SYS(fchmodat, AT_FDCWD, ".", 0777));
	OK(SYS(setfsuid, 50));
	OK(SYS(openat, AT_FDCWD, "f", O_RDWR | O_CREAT, 0600)); /* used for files */
	OK(SYS(newfstatat, AT_FDCWD, "f", &st, 0));
	T(st.st_uid == 50 && st.st_gid == 60);
	OK(SYS(setresuid, 1000, 1000, 1000));
	SYS(setfsuid, 0);
	EQ(SYS(setfsuid, -1), 1000); /* refused in silence */
}

CASE(capabilities, "capget:root has them", "capset:drops", "capset:EPERM", "capget:EINVAL",
	"capset:EINVAL", "capget:ESRCH", "setresuid:clears capabilities")
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};
	uint64_t all = effective_caps();

	T(all & (1ull << CAP_CHOWN) && all & (1ull << CAP_KILL) && all & (1ull << CAP_SETUID));
	CHILD_OK
	{
		OK(SYS(setresuid, 1000, 1000, 1000)); /* clears capabilities */
		EQ(effective_caps(), 0);
	}
	CHILD_OK
	{
		OK(SYS(setresuid, -1, 1000, -1));
		EQ(effective_caps(), 0);
		OK(SYS(setresuid, -1, 0, -1));
		EQ(effective_caps(), all); /* permitted ones come back */
	}
	OK(SYS(capget, &head, data));
	data[0].effective &= ~(1u << CAP_CHOWN);
	data[0].permitted &= ~(1u << CAP_CHOWN);
	OK(SYS(capset, &head, data)); /* drops */
	abi_file("f", "");
	ERR(SYS(fchownat, AT_FDCWD, "f", 5, 5, 0), EPERM);
	data[0].permitted |= 1u << CAP_CHOWN;
	ERR(SYS(capset, &head, data), EPERM);
	head.version = 1;
	ERR(SYS(capget, &head, data), EINVAL);
	EQ(head.version, _LINUX_CAPABILITY_VERSION_3);
	head.version = 1;
	ERR(SYS(capset, &head, data), EINVAL);
	head = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 4000000};
	ERR(SYS(capget, &head, data), ESRCH);
}

CASE(override, "openat:CAP_DAC_OVERRIDE", "capset:drops", "kill:CAP_KILL", "openat:EACCES")
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	long pid = OK(abi_fork());

	if (pid == 0) {
		OK(SYS(setresuid, 4242, 4242, 4242));
		abi_sleep_ms(10000);
		_exit(0);
	}
	abi_file("f", "x");
	OK(SYS(fchownat, AT_FDCWD, "f", 1000, 1000, 0));
	OK(SYS(fchmodat, AT_FDCWD, "f", 0));
	OK(SYS(openat, AT_FDCWD, "f", O_RDWR)); /* CAP_DAC_OVERRIDE */
	abi_sleep_ms(20);
	OK(SYS(capget, &head, data));
	data[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_KILL);
	OK(SYS(capset, &head, data)); /* drops */
	ERR(SYS(openat, AT_FDCWD, "f", O_RDONLY), EACCES);
	ERR(SYS(kill, pid, SIGTERM), EPERM); /* no CAP_KILL any more */
	data[0].effective |= 1u << CAP_KILL;
	OK(SYS(capset, &head, data));
	OK(SYS(kill, pid, SIGTERM));
	EQ(abi_wait(pid), SIGTERM);
}

CASE(keepcaps, "prctl:PR_SET_KEEPCAPS", "prctl:PR_CAPBSET_READ", "prctl:PR_CAPBSET_DROP",
	"prctl:PR_GET_KEEPCAPS", "prctl:PR_GET_SECUREBITS", "prctl:EINVAL")
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	EQ(SYS(prctl, PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0), 1);
	OK(SYS(prctl, PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0));
	EQ(SYS(prctl, PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0), 0);
	ERR(SYS(prctl, PR_CAPBSET_READ, 999, 0, 0, 0), EINVAL);
	EQ(SYS(prctl, PR_GET_SECUREBITS, 0, 0, 0, 0), 0);
	OK(SYS(prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0));
	EQ(SYS(prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0), 1);
	OK(SYS(setresuid, 1000, 1000, 1000));
	OK(SYS(capget, &head, data));
	EQ(data[0].effective, 0);
	T(data[0].permitted & (1u << CAP_KILL)); /* kept, and may be raised again */
}

CASE(apt_sandbox, "setgroups:one group", "setresgid:user", "setresuid:user", "openat:EACCES",
	"setuid:EPERM")
{
	uint32_t group = 65534;

	/* The steps by which apt enters its sandbox user. */
	OK(SYS(setgroups, 1, &group));           /* one group */
	OK(SYS(setresgid, 65534, 65534, 65534)); /* user */
	OK(SYS(setresuid, 42, 42, 42));
	expect_users(42, 42, 42);
	ERR(SYS(setuid, 0), EPERM);
	ERR(SYS(openat, AT_FDCWD, "new", O_CREAT | O_RDWR, 0600), EACCES);
}
