#include "../../lib/test/tap.h"
#include <lib/string.h>
#include "../path.h"

int main(void)
{
	CHECK(component_length("") == 0);
	CHECK(component_length("/a") == 0);
	CHECK(component_length("abc/d") == 3);
	CHECK(component_length("abc") == 3);
	CHECK(only_slashes(""));
	CHECK(only_slashes("///"));
	CHECK(!only_slashes("//x"));
	CHECK(component_kind(".", 1) == COMPONENT_DOT);
	CHECK(component_kind("./", 1) == COMPONENT_DOT);
	CHECK(component_kind("..", 2) == COMPONENT_DOTDOT);
	CHECK(component_kind(".a", 2) == COMPONENT_NORMAL);
	CHECK(component_kind("...", 3) == COMPONENT_NORMAL);
	CHECK(component_kind("a", 1) == COMPONENT_NORMAL);
	TAP_END();
}
