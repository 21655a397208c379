/* Same text, same hash wherever it lies; different parents and lengths differ; buckets fill evenly.
 */
#include "../../../lib/test/tap.h"
#include "../name_hash.h"

int main(void)
{
	static unsigned bucket[1024];
	char a[300], b[308];
	unsigned worst = 0;

	for (u32 len = 1; len < 256; len++) {
		for (u32 i = 0; i < len; i++)
			a[i] = (char)('a' + i % 26);
		for (u32 shift = 0; shift < 8; shift++) {
			memcpy(b + shift, a, len);
			CHECK_QUIET(name_hash_text(1, a, len) == name_hash_text(1, b + shift, len));
		}
		CHECK_QUIET(name_hash_text(1, a, len) != name_hash_text(2, a, len));
		CHECK_QUIET(len == 1 || name_hash_text(1, a, len) != name_hash_text(1, a, len - 1));
	}
	CHECK(tap_failed == 0);
	for (unsigned i = 0; i < 16384; i++) {
		int len = snprintf(a, sizeof(a), "file%u.c", i);

		bucket[name_hash_text(77, a, (u32)len) % 1024]++;
	}
	for (unsigned i = 0; i < 1024; i++)
		worst = bucket[i] > worst ? bucket[i] : worst;
	CHECK(worst < 48); /* mean 16 */
	TAP_END();
}
