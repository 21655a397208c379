# gcc: 20 files with pthreads, compiled one by one, linked, and run.
i=0
while [ $i -lt 20 ]; do
	cat >part$i.c <<END
#include <pthread.h>
#include <stdatomic.h>
extern atomic_ulong total;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long sum;
static void *work(void *arg)
{
	unsigned long x = (unsigned long)arg + $i;

	for (int n = 0; n < 2000; n++) {
		x = x * 6364136223846793005ul + 1442695040888963407ul;
		pthread_mutex_lock(&lock);
		sum += x >> 40;
		pthread_mutex_unlock(&lock);
	}
	atomic_fetch_add(&total, 1);
	return (void *)x;
}
unsigned long part$i(void)
{
	pthread_t t[4];
	void *x;
	unsigned long all = 0;

	for (long k = 0; k < 4; k++)
		if (pthread_create(&t[k], 0, work, (void *)k) != 0)
			return 0;
	for (int k = 0; k < 4; k++) {
		pthread_join(t[k], &x);
		all ^= (unsigned long)x;
	}
	return all ^ sum;
}
END
	i=$((i + 1))
done
{
	printf '#include <stdatomic.h>\n#include <stdio.h>\natomic_ulong total;\n'
	seq -f 'unsigned long part%.0f(void);' 0 19
	printf 'int main(void) {\n'
	seq 0 19 | sed 's/.*/printf("part & %lx\\n", part&());/'
	printf '%s\n' 'printf("%lu threads\n", atomic_load(&total)); return total == 80 ? 0 : 1; }'
} >main.c
for f in *.c; do
	gcc -O2 -Wall -pthread -c $f || exit 1
done
ls *.o | wc -l
gcc -pthread -o all *.o && ./all
echo "status $?"
gcc -g -fsanitize=undefined -O0 -pthread -o slow *.c 2>/dev/null || gcc -g -O0 -pthread -o slow *.c
./slow | md5sum
echo 'int main(void) { return undeclared; }' >bad.c
gcc -c bad.c 2>bad.log
echo "bad: status $?, $(grep -c undeclared bad.log) lines"
